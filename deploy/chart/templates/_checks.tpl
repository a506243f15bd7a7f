{{/* What no schema can say: each mistake is one sentence, and nothing is installed. Every template begins with it. */}}
{{- define "canary-analyzer.check" -}}
{{- range $key := list "image" "settings" "tokens" "prometheus" "watch" "observe" "enforce" "rbac" "serviceAccount" "rollouts" "flagger" "flux" "argocd" "argoTemplates" "database" "service" "serviceMonitor" "prometheusRule" "dashboard" "networkPolicy" "podDisruptionBudget" "probes" "tmp" -}}
{{- if not (kindIs "map" (index $.Values $key)) -}}
{{- fail (printf "%s: nothing is written below it: take the line out, or write its values" $key) -}}
{{- end -}}
{{- end -}}
{{- range list (list .Values.settings "listen" "settings.listen") (list .Values.settings "access" "settings.access") (list (default dict .Values.settings.access) "service_accounts" "settings.access.service_accounts") (list .Values.settings "traces" "settings.traces") -}}
{{- if kindIs "map" (index . 0) -}}
{{- if and (hasKey (index . 0) (index . 1)) (not (kindIs "map" (get (index . 0) (index . 1)))) -}}
{{- fail (printf "%s: a mapping belongs here (docs/serve.md): write its keys, or take the line out" (index . 2)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $postgresql := .Values.database.postgresql.existingSecret -}}
{{- if and (gt (int .Values.replicas) 1) (not $postgresql) -}}
{{- fail (printf "replicas: %d cannot share an SQLite database: name a Secret with the URL of a PostgreSQL in database.postgresql.existingSecret, or write replicas: 1" (int .Values.replicas)) -}}
{{- end -}}
{{- range $key, $instead := dict "database" "database.postgresql.existingSecret, or database.sqlite" "replicas" "replicas" "watch" "watch" -}}
{{- if hasKey $.Values.settings $key -}}
{{- fail (printf "settings.%s: the chart fills it: write %s" $key $instead) -}}
{{- end -}}
{{- end -}}
{{- if dig "listen" "port" nil .Values.settings -}}
{{- fail "settings.listen.port: the chart fills it: write service.port, which is what others see" -}}
{{- end -}}
{{- if kindIs "map" .Values.settings.prometheus -}}
{{- range $name, $connection := .Values.settings.prometheus -}}
{{- $given := kindIs "map" $connection | ternary $connection (dict "url" $connection) -}}
{{- range $key := list "token" "password" "headers" -}}
{{- if eq $key "headers" | ternary (regexMatch "(?i)\"(proxy-)?authorization\"" (toJson (get $given "headers"))) (hasKey $given $key) -}}
{{- fail (printf "settings.prometheus.%s.%s: settings are kept in a ConfigMap, where everybody may read them: give it from a Secret, as the variable CANARY_PROMETHEUS__%s__%s in extraEnv" $name $key (upper $name) (upper $key)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if regexMatch "\"[a-z]+://[^/\"]*@" (toJson (pick .Values.settings "prometheus" "traces")) -}}
{{- fail "settings: a user or a password in an address would be in a ConfigMap, where everybody may read it: take it out, and give it from a Secret, as a variable in extraEnv (CANARY_USERNAME, CANARY_PASSWORD)" -}}
{{- end -}}
{{- if regexMatch "(?i)\"(proxy-)?authorization\"" (toJson (dig "traces" "headers" dict .Values.settings)) -}}
{{- fail "settings.traces.headers: settings are kept in a ConfigMap, where everybody may read them: give it from a Secret, as the variable CANARY_TRACES__HEADERS in extraEnv" -}}
{{- end -}}
{{- if and .Values.prometheus.url (hasKey .Values.settings "prometheus") -}}
{{- fail "prometheus.url and settings.prometheus: both say where Prometheus is: keep one of them" -}}
{{- end -}}
{{- if and .Values.watch.namespaces (not (or .Values.prometheus.url .Values.settings.prometheus .Values.extraEnv .Values.extraEnvFrom)) -}}
{{- fail "watch.namespaces: there is no Prometheus to read from: set prometheus.url, such as http://prometheus.monitoring.svc:9090" -}}
{{- end -}}
{{- range $key := list "watch" "observe" "enforce" -}}
{{- $namespaces := default list (index $.Values $key).namespaces -}}
{{- if and (has "*" $namespaces) (gt (len $namespaces) 1) -}}
{{- fail (printf "%s.namespaces: \"*\" is all of them: take the others out" $key) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.ruleSets .Values.ruleSetsConfigMap -}}
{{- fail "ruleSets and ruleSetsConfigMap: both give rule sets: keep one of them" -}}
{{- end -}}
{{- if and .Values.tokens.existingSecret (dig "access" "tokens_file" "" .Values.settings) -}}
{{- fail "tokens.existingSecret and settings.access.tokens_file: both name the file of tokens: keep one of them" -}}
{{- end -}}
{{- $enforced := include "canary-analyzer.enforced" . | fromJsonArray -}}
{{- if and .Values.enforce.enabled (not $enforced) -}}
{{- fail "enforce.enabled: in no namespace: name them in enforce.namespaces, or in watch.namespaces" -}}
{{- end -}}
{{- $observed := include "canary-analyzer.observed" . | fromJsonArray -}}
{{- range $enforced -}}
{{- if not (or (has . $observed) (has "*" $observed)) -}}
{{- fail (printf "enforce.namespaces: %s is not looked at: name it in watch.namespaces, or in observe.namespaces" .) -}}
{{- end -}}
{{- end -}}
{{- if and (has "*" $enforced) (not .Values.enforce.grantAllSecrets) -}}
{{- fail "enforce: in all namespaces the analyzer could read, change and delete every Secret of the cluster, and so become its admin: name namespaces in enforce.namespaces, or consent with enforce.grantAllSecrets=true" -}}
{{- end -}}
{{- if and (not .Values.enforce.enabled) (eq .Values.watch.mode "enforce") -}}
{{- fail "watch.mode: enforce: the analyzer has no right to act: set enforce.enabled=true, or watch.mode=observe" -}}
{{- end -}}
{{- if and .Values.rbac.create (not .Values.rbac.clusterRoles) -}}
{{- if has "*" (concat $enforced $observed) -}}
{{- fail "rbac.clusterRoles: false: rights in all namespaces need ClusterRoles: name the namespaces instead of \"*\", or set rbac.clusterRoles=true" -}}
{{- end -}}
{{- if dig "access" "service_accounts" "enabled" false .Values.settings -}}
{{- fail "rbac.clusterRoles: false: settings.access.service_accounts asks the API server whose a token is, which takes a ClusterRole: switch one of them" -}}
{{- end -}}
{{- end -}}
{{- end -}}
