{{- /* A role and who has it. Takes root, name, rules, and namespace: an empty one means the whole cluster. */ -}}
{{- define "the-machine.role" -}}
{{- $kind := ternary "Role" "ClusterRole" (ne .namespace "") -}}
{{- $name := .name -}}
{{- /* Elsewhere there may be the role of another bot, whose release has the same name in another namespace. */ -}}
{{- if ne .namespace .root.Release.Namespace -}}
{{- $name = printf "%s-%s" .root.Release.Namespace .name -}}
{{- end }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}
metadata:
  name: {{ $name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "the-machine.labels" .root | nindent 4 }}
rules:
  {{- toYaml .rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}Binding
metadata:
  name: {{ $name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "the-machine.labels" .root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ $kind }}
  name: {{ $name }}
subjects:
  - kind: ServiceAccount
    name: {{ include "the-machine.serviceAccount" .root }}
    namespace: {{ .root.Release.Namespace }}
{{- end -}}

{{- /* Argo CD. `patch applications` lets its holder change what is deployed: only with `write: true`. */ -}}
{{- define "the-machine.argocd" -}}
{{- $argocd := .Values.config.kubernetes.argocd -}}
{{- $namespaces := list "argocd" -}}
{{- if hasKey $argocd "namespaces" -}}
{{- $namespaces = $argocd.namespaces -}}
{{- end -}}
{{- $home := default "argocd" (first $namespaces) -}}
{{- $name := printf "%s-argocd" (include "the-machine.fullname" .) -}}
{{- $verbs := list "get" "list" "watch" -}}
{{- if $argocd.write -}}
{{- $verbs = append $verbs "patch" -}}
{{- end -}}
{{- $rules := list (dict "apiGroups" (list "argoproj.io") "resources" (list "applications" "applicationsets") "verbs" $verbs) -}}
{{- if $argocd.write -}}
{{- $rules = append $rules (dict "apiGroups" (list "") "resources" (list "events") "verbs" (list "create")) -}}
{{- end -}}
{{- $homeRules := list
    (dict "apiGroups" (list "argoproj.io") "resources" (list "appprojects") "verbs" (list "list" "watch"))
    (dict "apiGroups" (list "") "resources" (list "configmaps") "resourceNames" (list "argocd-cm") "verbs" (list "get"))
-}}
{{- range default (list "") $namespaces -}}
{{- $here := $rules -}}
{{- if eq . $home -}}
{{- $here = concat $rules $homeRules -}}
{{- end -}}
{{- include "the-machine.role" (dict "root" $ "name" $name "namespace" . "rules" $here) }}
{{- end -}}
{{- if not $namespaces -}}
{{- include "the-machine.role" (dict "root" $ "name" $name "namespace" $home "rules" $homeRules) }}
{{- end -}}
{{- end -}}

{{- /* Minecraft. The number of replicas is patched on the workload itself, with who wanted it: only with `write: true`, and where
servers are not looked for only on those that are named. */ -}}
{{- define "the-machine.minecraft" -}}
{{- $minecraft := .Values.config.minecraft -}}
{{- $name := printf "%s-minecraft" (include "the-machine.fullname" .) -}}
{{- $isSearching := default false $minecraft.discover -}}
{{- $namespaces := default list $minecraft.namespaces -}}
{{- $runsIn := list -}}
{{- $named := dict -}}
{{- range default list $minecraft.servers -}}
{{- with .workload -}}
{{- $runsIn = append $runsIn .namespace -}}
{{- $place := printf "%s/%ss" .namespace (default "deployment" .kind) -}}
{{- $_ := set $named $place (append (default list (get $named $place)) .name) -}}
{{- end -}}
{{- end -}}
{{- $everywhere := and $isSearching (not $namespaces) -}}
{{- $watched := uniq (concat $namespaces $runsIn) -}}
{{- $kinds := list "deployments" "statefulsets" -}}
{{- $reading := list
    (dict "apiGroups" (list "") "resources" (list "services") "verbs" (list "list" "watch"))
    (dict "apiGroups" (list "apps") "resources" $kinds "verbs" (list "list" "watch"))
-}}
{{- if not $everywhere -}}
{{- $reading = append $reading (dict "apiGroups" (list "") "resources" (list "pods") "verbs" (list "list" "watch")) -}}
{{- end -}}
{{- if or $isSearching $runsIn -}}
{{- range $namespace := ternary (list "") $watched $everywhere -}}
{{- $rules := $reading -}}
{{- if $minecraft.write -}}
{{- $verbs := list "get" "patch" -}}
{{- if $isSearching -}}
{{- $rules = append $rules (dict "apiGroups" (list "apps") "resources" $kinds "verbs" $verbs) -}}
{{- else -}}
{{- range $kind := $kinds -}}
{{- with get $named (printf "%s/%s" $namespace $kind) -}}
{{- $rules = append $rules (dict "apiGroups" (list "apps") "resources" (list $kind) "resourceNames" (uniq .) "verbs" $verbs) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- include "the-machine.role" (dict "root" $ "name" $name "namespace" $namespace "rules" $rules) }}
{{- end -}}
{{- end -}}
{{- end -}}
