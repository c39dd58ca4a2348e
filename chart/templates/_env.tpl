{{- /* The variables of the container, as a list; what `extraEnv` names is left out where they are used. */ -}}
{{- define "the-machine.env" -}}
- name: MACHINE_CONFIG
  value: /etc/the-machine/machine.yaml
# By these the bot knows the Application that deploys it.
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
# matplotlib keeps what it knows of fonts there; the root is read-only.
- name: MPLCONFIGDIR
  value: /tmp/matplotlib
{{- with include "the-machine.postgresqlSecret" . }}
{{- $secret := . }}
{{- range $variable, $key := dict "DB_HOST" "host" "DB_PORT" "port" "DB_NAME" "dbname" "DB_USER" "username" "DB_PASSWORD" "password" }}
- name: {{ $variable }}
  valueFrom:
    secretKeyRef:
      name: {{ $secret }}
      key: {{ $key }}
{{- end }}
- name: MACHINE_DATABASE__URL
  value: postgresql+asyncpg://$(DB_USER):$(DB_PASSWORD)@$(DB_HOST):$(DB_PORT)/$(DB_NAME)
{{- end }}
{{- with .Values.otlp.endpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ . | quote }}
- name: OTEL_SERVICE_NAME
  value: {{ include "the-machine.fullname" $ }}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: service.namespace=$(POD_NAMESPACE),service.instance.id=$(POD_NAME),k8s.namespace.name=$(POD_NAMESPACE),k8s.pod.name=$(POD_NAME)
{{- if $.Values.otlp.metrics }}
- name: OTEL_METRICS_EXPORTER
  value: otlp
{{- end }}
{{- end }}
{{- end -}}
