{{- /* The ports that the configured backends are asked on, those of Services and those of their pods, as JSON. */ -}}
{{- define "the-machine.backendPorts" -}}
{{- $ports := list -}}
{{- $known := .Values.networkPolicy.backendPorts -}}
{{- range default list .Values.config.alertmanagers -}}
{{- $ports = append $ports (int (eq (default "alertmanager" .kind) "grafana" | ternary $known.grafana $known.alertmanager)) -}}
{{- range .urls -}}
{{- $ports = append $ports (include "the-machine.portOf" . | int) -}}
{{- end -}}
{{- end -}}
{{- with (default dict (default dict .Values.config.kubernetes).argocd).server -}}
{{- $ports = append $ports (int $known.argocd) -}}
{{- $ports = append $ports (include "the-machine.portOf" .url | int) -}}
{{- end -}}
{{- with .Values.otlp.endpoint -}}
{{- $ports = append $ports (include "the-machine.portOf" . | int) -}}
{{- end -}}
{{- if eq (include "the-machine.database" .) "postgresql" -}}
{{- $ports = append $ports (int $known.postgresql) -}}
{{- end -}}
{{- $ports | uniq | sortAlpha | toJson -}}
{{- end -}}

{{- define "the-machine.portOf" -}}
{{- $url := urlParse . -}}
{{- $named := regexFind ":[0-9]+$" $url.host | trimPrefix ":" -}}
{{- default (ternary "443" "80" (eq $url.scheme "https")) $named -}}
{{- end -}}

{{- /* The ports on which Minecraft servers are asked, as JSON; they may be anywhere. */ -}}
{{- define "the-machine.minecraftPorts" -}}
{{- $ports := list -}}
{{- with .Values.config.minecraft -}}
{{- if .discover -}}
{{- $ports = list (dict "port" 25565 "protocol" "TCP") (dict "port" 19132 "protocol" "UDP") -}}
{{- end -}}
{{- range .servers -}}
{{- $isBedrock := eq (default "java" .edition) "bedrock" -}}
{{- $port := default (ternary "19132" "25565" $isBedrock) (regexFind ":[0-9]+$" .address | trimPrefix ":") -}}
{{- $ports = append $ports (dict "port" (int $port) "protocol" (ternary "UDP" "TCP" $isBedrock)) -}}
{{- with .rcon -}}
{{- $port := default "25575" (regexFind ":[0-9]+$" .address | trimPrefix ":") -}}
{{- $ports = append $ports (dict "port" (int $port) "protocol" "TCP") -}}
{{- end -}}
{{- end -}}
{{- range .consoles -}}
{{- $port := default "25575" (regexFind ":[0-9]+$" .address | trimPrefix ":") -}}
{{- $ports = append $ports (dict "port" (int $port) "protocol" "TCP") -}}
{{- end -}}
{{- end -}}
{{- $ports | uniq | toJson -}}
{{- end -}}
