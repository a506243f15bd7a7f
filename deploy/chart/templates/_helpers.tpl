{{- define "canary-analyzer.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Roles of the cluster are shared by all of its namespaces: elsewhere than in `canary`, say whose they are. */}}
{{- define "canary-analyzer.clusterName" -}}
{{- $full := include "canary-analyzer.fullname" . -}}
{{- if or (eq .Release.Namespace "canary") (eq .Release.Namespace $full) -}}
{{- $full -}}
{{- else -}}
{{- printf "%s-%s" .Release.Namespace $full -}}
{{- end -}}
{{- end -}}

{{- define "canary-analyzer.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "canary-analyzer.labels" -}}
{{ include "canary-analyzer.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "canary-analyzer.account" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "canary-analyzer.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name: serviceAccount.create is false, so name the ServiceAccount that the pods shall have" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "canary-analyzer.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{- printf "%s@%s" .repository .digest -}}
{{- else -}}
{{- printf "%s:%s" .repository (default $.Chart.AppVersion .tag) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "canary-analyzer.scheme" -}}
{{- dig "listen" "tls_key" "" .Values.settings | empty | ternary "http" "https" -}}
{{- end -}}

{{/* Where the service answers inside the cluster; the usual port needs no number. */}}
{{- define "canary-analyzer.url" -}}
{{- $port := int .Values.service.port -}}
{{- printf "%s://%s.%s.svc" (include "canary-analyzer.scheme" .) (include "canary-analyzer.fullname" .) .Release.Namespace -}}
{{- $usual := include "canary-analyzer.scheme" . | eq "https" | ternary 443 80 }}
{{- if ne $port $usual }}:{{ $port }}{{ end -}}
{{- end -}}

{{/* The namespaces whose releases are looked at, as a JSON list: those that are watched, and those of observe. */}}
{{- define "canary-analyzer.observed" -}}
{{- $all := concat (default list .Values.watch.namespaces) (default list .Values.observe.namespaces) | uniq | sortAlpha -}}
{{- ternary (list "*") $all (has "*" $all) | toJson -}}
{{- end -}}

{{/* The namespaces in which it may act, as a JSON list: those of enforce, or all that are looked at. */}}
{{- define "canary-analyzer.enforced" -}}
{{- if .Values.enforce.enabled -}}
{{- $all := default list .Values.enforce.namespaces | uniq | sortAlpha -}}
{{- if not $all -}}{{- $all = include "canary-analyzer.observed" . | fromJsonArray -}}{{- end -}}
{{- ternary (list "*") $all (has "*" $all) | toJson -}}
{{- else -}}
[]
{{- end -}}
{{- end -}}
