{{/* What the service is told; anything in .Values.settings replaces it. */}}
{{- define "note.environment" -}}
HTTP_ADDR: ":8081"
RPC_ADDR: ":8082"
OPS_ADDR: ":8083"
DATABASE_URL_FILE: /var/run/noteworks/database/url
NATS_URL: {{ include "kit.natsURL" . | quote }}
NATS_USER: {{ .Values.nats.user | quote }}
NATS_PASSWORD_FILE: /var/run/noteworks/nats/password
NATS_STREAM_REPLICAS: {{ include "kit.streamReplicas" . | quote }}
NATS_STREAM_MAX_BYTES: {{ include "kit.streamBytes" . | quote }}
RPC_SERVICE_ACCOUNTS: {{ include "note.callers" . | quote }}
RPC_TOKEN_AUDIENCE: {{ .Values.rpc.audience | quote }}
USER_RPC_URL: {{ .Values.user.rpcUrl | default (printf "http://%s:8082" (include "kit.peer" (list . "user"))) | quote }}
USER_RPC_TOKEN_FILE: /var/run/noteworks/rpc/token
SHUTDOWN_GRACE: {{ printf "%ds" (int .Values.drain.graceSeconds) }}
{{- end -}}

{{- define "note.callers" -}}
user={{ .Values.rpc.callers.user | default (printf "%s/%s" .Release.Namespace (include "kit.peer" (list . "user"))) }}
{{- with .Values.rpc.callers.admin }},admin={{ . }}{{ end }}
{{- end -}}

{{/* What the init container is told. */}}
{{- define "note.migration" -}}
DATABASE_URL_FILE: /var/run/noteworks/database/url
MIGRATE_DATABASE_URL_FILE: /var/run/noteworks/database-owner/url
{{- end -}}

{{- define "note.databaseSecret" -}}
{{- .Values.database.existingSecret | default (printf "%s-note" (include "kit.peer" (list . "postgres"))) -}}
{{- end -}}

{{- define "note.natsSecret" -}}
{{- .Values.nats.existingSecret | default (printf "%s-note" (include "kit.peer" (list . "nats"))) -}}
{{- end -}}
