{{/* The rules of one role of a shipped file, which is where they are kept: (dict "root" $ "file" … "role" …) */}}
{{- define "canary-analyzer.rules" -}}
{{- $found := list -}}
{{- range regexSplit "(?m)^---\\s*$" (.root.Files.Get .file) -1 -}}
{{- $object := . | fromYaml -}}
{{- if and (has $object.kind (list "Role" "ClusterRole")) (eq $object.metadata.name $.role) -}}
{{- $found = $object.rules -}}
{{- end -}}
{{- end -}}
{{- if not $found -}}{{- fail (printf "%s has no role %s: the chart is broken" .file .role) -}}{{- end -}}
{{- toYaml $found -}}
{{- end -}}

{{/*
A role and its bindings: (dict "root" $ "name" suffix "rules" YAML "namespaces" list); "*" is all of them. What is in
a namespace has another name than the Roles and bindings of deploy/rbac.yaml, which may be there for a pipeline.
*/}}
{{- define "canary-analyzer.grant" -}}
{{- $root := .root -}}
{{- $name := printf "%s-%s" (include "canary-analyzer.clusterName" $root) .name -}}
{{- $inside := printf "%s-serve-%s" (include "canary-analyzer.clusterName" $root) .name -}}
{{- $clusterRole := $root.Values.rbac.clusterRoles -}}
{{- $kind := ternary "ClusterRole" "Role" $clusterRole -}}
{{- if and $clusterRole .namespaces }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ $name }}
  labels: {{- include "canary-analyzer.labels" $root | nindent 4 }}
rules: {{- .rules | nindent 2 }}
{{- end }}
{{- range $namespace := .namespaces }}
{{- $everywhere := eq $namespace "*" }}
{{- if not $clusterRole }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ $inside }}
  namespace: {{ $namespace }}
  labels: {{- include "canary-analyzer.labels" $root | nindent 4 }}
rules: {{- $.rules | nindent 2 }}
{{- end }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ ternary "ClusterRoleBinding" "RoleBinding" $everywhere }}
metadata:
  name: {{ ternary $name $inside $everywhere }}
  {{- if not $everywhere }}
  namespace: {{ $namespace }}
  {{- end }}
  labels: {{- include "canary-analyzer.labels" $root | nindent 4 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: {{ $kind }}, name: {{ ternary $name $inside $clusterRole }}}
subjects:
  - {kind: ServiceAccount, name: {{ include "canary-analyzer.account" $root }}, namespace: {{ $root.Release.Namespace }}}
{{- end }}
{{- end -}}
