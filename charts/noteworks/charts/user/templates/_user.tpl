{{/* What the service is told; anything in .Values.settings replaces it. */}}
{{- define "user.environment" -}}
HTTP_ADDR: ":8081"
RPC_ADDR: ":8082"
OPS_ADDR: ":8083"
BASE_DOMAIN: {{ include "kit.baseDomain" . | quote }}
TRUSTED_PROXIES: {{ include "kit.trustedProxies" . | quote }}
DATABASE_URL_FILE: /var/run/noteworks/database/url
NATS_URL: {{ include "kit.natsURL" . | quote }}
NATS_USER: {{ .Values.nats.user | quote }}
NATS_PASSWORD_FILE: /var/run/noteworks/nats/password
NATS_STREAM_REPLICAS: {{ include "kit.streamReplicas" . | quote }}
NATS_STREAM_MAX_BYTES: {{ include "kit.streamBytes" . | quote }}
RPC_SERVICE_ACCOUNTS: {{ include "user.callers" . | quote }}
RPC_TOKEN_AUDIENCE: {{ .Values.rpc.audience | quote }}
NOTE_RPC_URL: {{ .Values.note.rpcUrl | default (printf "http://%s:8082" (include "kit.peer" (list . "note"))) | quote }}
NOTE_RPC_TOKEN_FILE: /var/run/noteworks/rpc/token
SHUTDOWN_GRACE: {{ printf "%ds" (int .Values.drain.graceSeconds) }}
{{- end -}}

{{- define "user.callers" -}}
note={{ .Values.rpc.callers.note | default (printf "%s/%s" .Release.Namespace (include "kit.peer" (list . "note"))) }}
{{- with .Values.rpc.callers.operator }},operator={{ . }}{{ end }}
{{- with .Values.rpc.callers.admin }},admin={{ . }}{{ end }}
{{- end -}}

{{- define "user.databaseSecret" -}}
{{- .Values.database.existingSecret | default (printf "%s-user" (include "kit.peer" (list . "postgres"))) -}}
{{- end -}}

{{- define "user.natsSecret" -}}
{{- .Values.nats.existingSecret | default (printf "%s-user" (include "kit.peer" (list . "nats"))) -}}
{{- end -}}

{{/* user.ownerSecret (list $ $workspace): where the first owner's password is. */}}
{{- define "user.ownerSecret" -}}
{{- (index . 1).owner.existingSecret | default (printf "%s-owner-%s" ((index . 0).Release.Name | trunc 53) (index . 1).slug) -}}
{{- end -}}

{{/* The workspaces as the program reads them. It finds the passwords in files. */}}
{{- define "user.workspaces" -}}
{{- $all := list -}}
{{- range .Values.workspaces -}}
{{- $all = append $all (dict "slug" .slug "title" (.title | default "") "owner" (dict "email" .owner.email "name" (.owner.name | default "Owner"))) -}}
{{- end -}}
{{- $all | toJson -}}
{{- end -}}

{{/* What the init containers are told. */}}
{{- define "user.migration" -}}
DATABASE_URL_FILE: /var/run/noteworks/database/url
MIGRATE_DATABASE_URL_FILE: /var/run/noteworks/database-owner/url
{{- end -}}

{{- define "user.application" -}}
DATABASE_URL_FILE: /var/run/noteworks/database/url
BASE_DOMAIN: {{ include "kit.baseDomain" . | quote }}
WORKSPACES: {{ include "user.workspaces" . | quote }}
WORKSPACE_PASSWORDS_DIR: /var/run/noteworks/owners
{{- end -}}
