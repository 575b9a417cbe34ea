{{/* What the gateway is told; anything in .Values.settings replaces it. */}}
{{- define "gateway.environment" -}}
HTTP_ADDR: ":8080"
OPS_ADDR: ":8083"
WEB_DIR: /web
USER_HTTP_URL: {{ .Values.upstreams.user | default (printf "http://%s:8081" (include "kit.peer" (list . "user"))) | quote }}
USER_RPC_URL: {{ .Values.upstreams.userRpc | default (printf "http://%s:8082" (include "kit.peer" (list . "user"))) | quote }}
NOTE_HTTP_URL: {{ .Values.upstreams.note | default (printf "http://%s:8081" (include "kit.peer" (list . "note"))) | quote }}
TRUSTED_PROXIES: {{ include "kit.trustedProxies" . | quote }}
NATS_URL: {{ include "kit.natsURL" . | quote }}
NATS_USER: {{ .Values.nats.user | quote }}
NATS_PASSWORD_FILE: /var/run/noteworks/nats/password
SHUTDOWN_GRACE: {{ printf "%ds" (int .Values.drain.graceSeconds) }}
{{- end -}}

{{- define "gateway.natsSecret" -}}
{{- .Values.nats.existingSecret | default (printf "%s-gateway" (include "kit.peer" (list . "nats"))) -}}
{{- end -}}

{{/* gateway.hosts (list $ .Values.route.hostnames): those, or the base domain and every workspace below it. As JSON. */}}
{{- define "gateway.hosts" -}}
{{- $domain := include "kit.baseDomain" (index . 0) -}}
{{- index . 1 | default (list $domain (printf "*.%s" $domain)) | toJson -}}
{{- end -}}
