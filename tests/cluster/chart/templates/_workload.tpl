{{- /* One workload: (dict "root" $ "one" {name, tag, kind, replicas}) with all that its pods need. */}}
{{- define "shop.labels" -}}
app.kubernetes.io/name: {{ .one.name | default .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}

{{- define "shop.fullname" -}}
{{ .root.Release.Name }}{{ with .one.name }}-{{ . }}{{ end }}
{{- end }}

{{- define "shop.workload" -}}
{{- $values := .root.Values }}
{{- $kind := .one.kind | default $values.kind }}
{{- $replicas := ternary .one.replicas $values.replicas (hasKey .one "replicas") }}
apiVersion: {{ ternary "argoproj.io/v1alpha1" "apps/v1" (eq $kind "Rollout") }}
kind: {{ $kind }}
metadata:
  name: {{ include "shop.fullname" . }}
  labels:
    {{- include "shop.labels" . | nindent 4 }}
    app.kubernetes.io/managed-by: {{ .root.Release.Service }}
    helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
  {{- with $values.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- if and (ne $kind "DaemonSet") (not (kindIs "invalid" $replicas)) }}
  replicas: {{ $replicas }}
  {{- end }}
  {{- with $values.minReadySeconds }}
  minReadySeconds: {{ . }}
  {{- end }}
  {{- if has $kind (list "Deployment" "Rollout") }}
  {{- with $values.progressDeadlineSeconds }}
  progressDeadlineSeconds: {{ . }}
  {{- end }}
  {{- end }}
  {{- if eq $kind "StatefulSet" }}
  serviceName: {{ include "shop.fullname" . }}
  {{- end }}
  {{- include "shop.strategy" (dict "kind" $kind "strategy" $values.strategy) | nindent 2 }}
  selector:
    matchLabels:
      {{- include "shop.labels" . | nindent 6 }}
  template:
    {{- include "shop.pod" . | nindent 4 }}
{{- end }}

{{- define "shop.strategy" -}}
{{- if eq .kind "Rollout" -}}
strategy:
  {{- toYaml (.strategy | default (dict "canary" dict)) | nindent 2 }}
{{- else if .strategy -}}
{{ ternary "strategy" "updateStrategy" (eq .kind "Deployment") }}:
  type: RollingUpdate
  rollingUpdate:
    {{- toYaml .strategy | nindent 4 }}
{{- end }}
{{- end }}
