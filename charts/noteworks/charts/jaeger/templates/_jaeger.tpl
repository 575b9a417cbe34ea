{{/* What Jaeger is told, in the form of OpenTelemetry's collector. */}}
{{- define "jaeger.config" -}}
service:
  extensions: [healthcheckv2, jaeger_storage, jaeger_query]
  pipelines:
    traces:
      receivers: [otlp]
      processors: [memory_limiter, {{ if .Values.tailSampling.enabled }}tail_sampling, {{ end }}batch]
      exporters: [jaeger_storage_exporter]
  telemetry:
    resource:
      service.name: {{ include "kit.fullname" . }}
    metrics:
      level: basic
      readers:
        - pull:
            exporter:
              prometheus:
                host: 0.0.0.0
                port: 8888
    logs:
      level: {{ .Values.logLevel }}
      encoding: json
extensions:
  # What has failed for good or for a minute counts as not ready; whether the process is killed is another question.
  healthcheckv2:
    use_v2: true
    component_health:
      include_permanent_errors: true
      include_recoverable_errors: true
      recovery_duration: 1m
    http:
      endpoint: 0.0.0.0:13133
      status:
        enabled: true
        path: /status
  jaeger_storage:
    backends:
      traces:
        {{- if eq .Values.storage.type "badger" }}
        badger:
          ephemeral: false
          directories:
            keys: /var/lib/jaeger/keys
            values: /var/lib/jaeger/values
          ttl:
            spans: {{ .Values.storage.badger.ttl }}
        {{- else }}
        memory:
          max_traces: {{ .Values.storage.memory.maxTraces | int64 }}
        {{- end }}
  # Its own queries are not worth a trace.
  jaeger_query:
    enable_tracing: false
    storage:
      traces: traces
    http:
      endpoint: 0.0.0.0:16686
    grpc:
      endpoint: 0.0.0.0:16685
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: 0.0.0.0:4317
      http:
        endpoint: 0.0.0.0:4318
processors:
  memory_limiter:
    check_interval: 1s
    limit_percentage: {{ .Values.memoryLimitPercent | int64 }}
    spike_limit_percentage: 15
  {{- if .Values.tailSampling.enabled }}
  # The first policy that says yes decides. A late span, such as of an event that waited for NATS, gets its trace's decision from the cache.
  tail_sampling:
    decision_wait: {{ .Values.tailSampling.decisionWait }}
    num_traces: {{ .Values.tailSampling.maxWaiting | int64 }}
    decision_cache:
      sampled_cache_size: 50000
      non_sampled_cache_size: 50000
    policies:
      - name: errors
        type: status_code
        status_code: {status_codes: [ERROR]}
      - name: slow
        type: latency
        latency: {threshold_ms: {{ .Values.tailSampling.slowMilliseconds | int64 }}}
      - name: share of the rest
        type: probabilistic
        probabilistic: {sampling_percentage: {{ .Values.tailSampling.keepPercent }}}
  {{- end }}
  batch:
    timeout: 200ms
    send_batch_size: 512
exporters:
  jaeger_storage_exporter:
    trace_storage: traces
{{- end -}}

{{- define "jaeger.mergedConfig" -}}
{{- toYaml (mergeOverwrite (include "jaeger.config" . | fromYaml) (deepCopy .Values.config)) -}}
{{- end -}}

{{- define "jaeger.claim" -}}
{{- .Values.storage.badger.existingClaim | default (include "kit.fullname" .) -}}
{{- end -}}
