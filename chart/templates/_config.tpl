{{- /* The content of machine.yaml: what is configured, with what the chart knows better than a person. */ -}}
{{- define "the-machine.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- $discord := $config.discord -}}
{{- if not (or (hasKey $discord "token") (hasKey $discord "token_file")) -}}
{{- $_ := set $discord "token_file" (include "the-machine.secretFile" "discord-token") -}}
{{- end -}}
{{- $web := default dict $config.web -}}
{{- if not (or (hasKey $web "tokens") (hasKey $web "tokens_file")) -}}
{{- $_ := set $web "tokens_file" (include "the-machine.secretFile" "webhook-tokens") -}}
{{- end -}}
{{- $_ := set $config "web" $web -}}
{{- $database := default dict $config.database -}}
{{- if and (not (or $database.url $database.url_file)) (eq (include "the-machine.postgresqlSecret" .) "") -}}
{{- $_ := set $database "url" "sqlite+aiosqlite:////data/machine.db" -}}
{{- end -}}
{{- if $database -}}
{{- $_ := set $config "database" $database -}}
{{- end -}}
{{- /* Helm reads an `on` without quotation marks as true. */ -}}
{{- range $grant := default list (default dict $config.access).grants -}}
{{- if hasKey $grant "true" -}}
{{- $_ := set $grant "on" (get $grant "true") -}}
{{- $_ := unset $grant "true" -}}
{{- end -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{- /* What of it a process takes only when it starts: what the models call NeedsRestart and NeedsRestartToAppear; a test compares. */ -}}
{{- define "the-machine.configForStart" -}}
{{- $config := fromYaml (include "the-machine.config" .) -}}
{{- $parts := dict -}}
{{- range $section, $keys := (dict
    "discord" (list "token" "token_file" "guild" "api_url" "gateway_url")
    "web" (list "host" "port" "max_body_mib")
    "minecraft" (list "discover" "namespaces")
    ) -}}
{{- range $key := $keys -}}
{{- $_ := set $parts (printf "%s.%s" $section $key) (get (default dict (get $config $section)) $key) -}}
{{- end -}}
{{- end -}}
{{- $_ := set $parts "database" (get $config "database") -}}
{{- /* A cluster, and Argo CD in it: whether at all, where it is, and how it is reached. */ -}}
{{- $kubernetes := default dict (get $config "kubernetes") -}}
{{- $argocd := default dict (get $kubernetes "argocd") -}}
{{- $_ := set $parts "kubernetes" (dict
    "is" (kindIs "map" (get $config "kubernetes"))
    "way" (pick $kubernetes "context" "kubeconfig" "timeout")
    "argocd" (kindIs "map" (get $kubernetes "argocd"))
    "namespaces" (get $argocd "namespaces")
    ) -}}
{{- /* Whether there are servers to watch at all; which ones may change at any time. */ -}}
{{- $_ := set $parts "minecraft" (kindIs "map" (get $config "minecraft")) -}}
{{- toJson $parts -}}
{{- end -}}

{{- /* Whether the cluster is asked at all: `true` or nothing. A section that is left empty is none. */ -}}
{{- define "the-machine.asksCluster" -}}
{{- if kindIs "map" (get .Values.config "kubernetes") }}true{{ end -}}
{{- end -}}

{{- define "the-machine.secretFile" -}}
/run/secrets/the-machine/{{ . }}
{{- end -}}

{{- define "the-machine.port" -}}
{{- dig "web" "port" 8080 .Values.config -}}
{{- end -}}

{{- /* The Secret with the tokens; exactly one source is allowed. */ -}}
{{- define "the-machine.secret" -}}
{{- $secrets := .Values.secrets -}}
{{- $sources := 0 -}}
{{- range list $secrets.existingSecret $secrets.inline $secrets.externalSecret.enabled -}}
{{- if . -}}{{- $sources = add1 $sources -}}{{- end -}}
{{- end -}}
{{- if ne (int $sources) 1 -}}
{{- fail "secrets: say exactly one of existingSecret, inline and externalSecret.enabled; the bot needs its token" -}}
{{- end -}}
{{- default (include "the-machine.fullname" .) $secrets.existingSecret -}}
{{- end -}}

{{- /* The name of the Secret that says where PostgreSQL is; empty: the configuration says it, or it is SQLite. */ -}}
{{- define "the-machine.postgresqlSecret" -}}
{{- $postgresql := .Values.postgresql -}}
{{- if and $postgresql.cluster.enabled $postgresql.existingSecret -}}
{{- fail "postgresql: say existingSecret or cluster.enabled, not both" -}}
{{- end -}}
{{- if $postgresql.cluster.enabled -}}
{{- printf "%s-db-app" (include "the-machine.fullname" .) -}}
{{- else -}}
{{- $postgresql.existingSecret -}}
{{- end -}}
{{- end -}}

{{- /* `sqlite` or `postgresql`; refuses what would lose data. */ -}}
{{- define "the-machine.database" -}}
{{- $config := fromYaml (include "the-machine.config" .) -}}
{{- $fromSecret := include "the-machine.postgresqlSecret" . -}}
{{- $database := default dict $config.database -}}
{{- if and $fromSecret (or $database.url $database.url_file) -}}
{{- fail "postgresql: config.database says another database; leave one of them out" -}}
{{- end -}}
{{- $isSqlite := hasPrefix "sqlite" (default "" $database.url) -}}
{{- if and $isSqlite (gt (int .Values.replicas) 1) -}}
{{- fail "replicas: SQLite takes one process; for more say postgresql or config.database.url_file" -}}
{{- end -}}
{{- ternary "sqlite" "postgresql" $isSqlite -}}
{{- end -}}
