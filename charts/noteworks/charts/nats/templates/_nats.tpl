{{- define "nats.userSecret" -}}
{{- (get (index . 0).Values.users (index . 1)).existingSecret | default (printf "%s-%s" (include "kit.fullname" (index . 0)) (index . 1)) -}}
{{- end -}}

{{- define "nats.headless" -}}
{{- printf "%s-headless" (include "kit.fullname" .) -}}
{{- end -}}

{{- define "nats.clustered" -}}
{{- if gt (include "kit.streamReplicas" . | int) 1 }}true{{ end -}}
{{- end -}}

{{/* The servers' configuration. Passwords come from the environment. */}}
{{- define "nats.config" -}}
server_name: $POD_NAME
port: 4222
# Health and metrics.
http_port: 8222
max_payload: 1MB
max_pending: 16MB
ping_interval: 10s

jetstream {
  store_dir: /data
  max_memory_store: {{ include "kit.bytes" .Values.jetstream.maxMemory }}
  # The three streams are bounded, and reserve what they may take; one that two services make at once does so twice for a moment.
  max_file_store: {{ mul 4 (include "kit.streamBytes" . | int64) }}
  sync_interval: {{ .Values.jetstream.syncInterval }}
}
{{- if include "nats.clustered" . }}

# A server that is to stop tells its clients so, and they have this long to go to another one.
pid_file: /var/run/nats/nats.pid
lame_duck_grace_period: 2s
lame_duck_duration: 30s

# The other servers, and the password among them.
include ./cluster/cluster.conf
{{- end }}

authorization {
  timeout: 5
  users: [
    {{- range $user, $rights := .Files.Get "files/rights.yaml" | fromYaml }}
    {
      user: {{ $user }}
      password: ${{ $user | upper }}_PASSWORD
      permissions: {
        publish: {allow: {{ $rights.publish | toRawJson }}}
        subscribe: {allow: {{ $rights.subscribe | toRawJson }}}
      }
    }
    {{- end }}
  ]
}
{{- end -}}

{{- define "nats.cluster" -}}
{{- $name := include "kit.fullname" . -}}
{{- $password := include "kit.secretValue" (list . (printf "%s-cluster" $name) "password") -}}
cluster {
  name: {{ $name }}
  port: 6222
  authorization {user: server, password: {{ $password }}, timeout: 5}
  routes: [
    {{- range $i := until (include "kit.streamReplicas" . | int) }}
    nats://server:{{ $password }}@{{ $name }}-{{ $i }}.{{ include "nats.headless" $ }}:6222
    {{- end }}
  ]
  connect_retries: 600
}
{{- end -}}

{{/* What the servers know of passwords: it changes when one of those does. */}}
{{- define "nats.passwords" -}}
{{- range $user, $of := .Values.users -}}
{{- include "kit.secretValue" (list $ (include "nats.userSecret" (list $ $user)) "password") }} {{ end -}}
{{- if include "nats.clustered" . }}{{ include "nats.cluster" . }}{{ end -}}
{{- end -}}
