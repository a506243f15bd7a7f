{{/* The settings of canary serve: what the chart knows, under what .Values.settings say. */}}
{{- define "canary-analyzer.settings" -}}
{{- $given := dict -}}
{{- range $key, $value := deepCopy .Values.settings -}}
{{- if not (kindIs "invalid" $value) -}}{{- $_ := set $given $key $value -}}{{- end -}}
{{- end -}}
{{- $known := dict "listen" (dict "host" "0.0.0.0" "port" 8080) "replicas" (int .Values.replicas) -}}
{{- if not .Values.database.postgresql.existingSecret -}}
{{- $_ := set $known "database" "sqlite:////data/canary.db" -}}
{{- end -}}
{{- with .Values.prometheus.url -}}
{{- $_ := set $known "prometheus" (dict "default" (dict "url" .)) -}}
{{- end -}}
{{- if not .Values.enforce.enabled -}}
{{- $_ := set $known "actions" "dry-run" -}}
{{- end -}}
{{- $access := dict -}}
{{- if .Values.tokens.existingSecret -}}
{{- $_ := set $access "tokens_file" (printf "/etc/canary-tokens/%s" .Values.tokens.key) -}}
{{- end -}}
{{- if and .Values.serviceMonitor.enabled (not .Values.serviceMonitor.tokenSecret.name) -}}
{{- $_ := set $access "metrics_open" true -}}
{{- end -}}
{{- if $access -}}
{{- $_ := set $known "access" $access -}}
{{- end -}}
{{- if .Values.watch.namespaces -}}
{{- $_ := set $known "watch" .Values.watch -}}
{{- end -}}
{{- if or .Values.ruleSets .Values.ruleSetsConfigMap -}}
{{- $folders := kindIs "string" $given.rules | ternary (splitList "," (toString $given.rules)) $given.rules -}}
{{- $_ := set $given "rules" (prepend (default list $folders) "/etc/canary-rules") -}}
{{- end -}}
{{- /* The YAML that Helm reads takes on and off for truth. */ -}}
{{- if kindIs "bool" $given.actions -}}
{{- $_ := set $given "actions" (ternary "on" "off" $given.actions) -}}
{{- end -}}
{{- toYaml (mergeOverwrite $known $given) -}}
{{- end -}}
