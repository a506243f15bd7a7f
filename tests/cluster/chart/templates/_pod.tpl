{{- define "shop.pod" -}}
{{- $values := .root.Values }}
{{- $tag := .one.tag | default $values.image.tag | toString }}
metadata:
  labels:
    {{- include "shop.labels" . | nindent 4 }}
    version: {{ $tag | quote }}
  {{- with $values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
  {{- with $values.serviceAccountName }}
  serviceAccountName: {{ . }}
  {{- end }}
  containers:
    - name: shop
      image: {{ $values.image.repository }}:{{ $tag }}
      ports:
        - name: http
          containerPort: 8080
      {{- with $values.readinessProbe }}
      readinessProbe:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- if or $values.config $values.externalConfig $values.externalSecret }}
      envFrom:
        {{- if $values.config }}
        - configMapRef: {name: {{ .root.Release.Name }}}
        {{- end }}
        {{- with $values.externalConfig }}
        - configMapRef: {name: {{ . }}}
        {{- end }}
        {{- with $values.externalSecret }}
        - secretRef: {name: {{ . }}}
        {{- end }}
      {{- end }}
      {{- if or $values.mountedConfig $values.mountedSecret }}
      volumeMounts:
        {{- with $values.mountedConfig }}
        - {name: config, mountPath: /etc/shop/config}
        {{- end }}
        {{- with $values.mountedSecret }}
        - {name: secret, mountPath: /etc/shop/secret}
        {{- end }}
      {{- end }}
  {{- if or $values.mountedConfig $values.mountedSecret }}
  volumes:
    {{- with $values.mountedConfig }}
    - name: config
      configMap: {name: {{ . }}}
    {{- end }}
    {{- with $values.mountedSecret }}
    - name: secret
      secret: {secretName: {{ . }}}
    {{- end }}
  {{- end }}
{{- end }}
