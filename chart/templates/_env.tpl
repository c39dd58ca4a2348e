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
{{- /* PostgreSQL's own variables: in an address a password would need its special characters escaped. */}}
{{- range $variable, $key := dict "PGHOST" "host" "PGPORT" "port" "PGDATABASE" "dbname" "PGUSER" "username" "PGPASSWORD" "password" }}
- name: {{ $variable }}
  valueFrom:
    secretKeyRef:
      name: {{ $secret }}
      key: {{ $key }}
{{- end }}
- name: MACHINE_DATABASE__URL
  value: postgresql+asyncpg://
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
