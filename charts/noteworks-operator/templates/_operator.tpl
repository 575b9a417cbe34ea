{{- define "operator.platformNamespace" -}}
{{- .Values.platform.namespace | default .Release.Namespace -}}
{{- end -}}

{{/* What the operator is told; anything in .Values.settings replaces it. */}}
{{- define "operator.environment" -}}
{{- $global := .Values.global | default dict -}}
{{- $tracing := $global.tracing | default dict -}}
OPERATOR_NAMESPACE: {{ .Release.Namespace }}
OPERATOR_SERVICE_ACCOUNT: {{ include "kit.serviceAccountName" . }}
PLATFORM_RELEASE: {{ .Values.platform.release }}
PLATFORM_NAMESPACE: {{ include "operator.platformNamespace" . }}
PLATFORM_RPC_AUDIENCE: {{ .Values.platform.audience | quote }}
BASE_DOMAIN: {{ include "kit.baseDomain" . }}
PUBLIC_SCHEME: {{ .Values.public.scheme }}
PUBLIC_PORT: {{ .Values.public.port | quote }}
ROUTE_KIND: {{ .Values.route.kind }}
ROUTE_PARENT_REFS: {{ ternary "" (toJson .Values.route.parentRefs) (empty .Values.route.parentRefs) | quote }}
ROUTE_INGRESS_CLASS: {{ .Values.route.ingressClass | quote }}
ROUTE_TLS_SECRET: {{ .Values.route.tlsSecret | quote }}
ROUTE_ANNOTATIONS: {{ ternary "" (toJson .Values.route.annotations) (empty .Values.route.annotations) | quote }}
IMAGE_REGISTRY: {{ $global.imageRegistry | quote }}
IMAGE_TAG: {{ $global.imageTag | quote }}
IMAGE_PULL_POLICY: {{ $global.imagePullPolicy | quote }}
IMAGE_PULL_SECRETS: {{ include "operator.pullSecrets" . | quote }}
STACK_VALUES: {{ ternary "" (toYaml .Values.stacks.values) (empty .Values.stacks.values) | quote }}
UPGRADE_AT_ONCE: {{ .Values.stacks.upgrade.atOnce }}
UPGRADE_TIMEOUT: {{ .Values.stacks.upgrade.timeout }}
USAGE_INTERVAL: {{ .Values.usageInterval }}
RESYNC: {{ .Values.resync }}
WORKERS: {{ .Values.workers }}
METRICS_ADDR: ":8083"
LEADER_ELECTION: "true"
{{- if $tracing.enabled }}
OTEL_EXPORTER_OTLP_ENDPOINT: {{ include "operator.tracingEndpoint" . | quote }}
{{- end }}
{{- end -}}

{{/* The names of the Secrets that pods of stacks pull images with. */}}
{{- define "operator.pullSecrets" -}}
{{- $names := list -}}
{{- range (.Values.global | default dict).imagePullSecrets }}{{ $names = append $names .name }}{{ end -}}
{{- $names | join "," -}}
{{- end -}}

{{- define "operator.tracingEndpoint" -}}
{{- $tracing := (.Values.global | default dict).tracing | default dict -}}
{{- $tracing.endpoint | default (printf "http://%s-jaeger.%s:4318" .Values.platform.release (include "operator.platformNamespace" .)) -}}
{{- end -}}

{{/* Who the roles are given to. */}}
{{- define "operator.subjects" -}}
- kind: ServiceAccount
  name: {{ include "kit.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}
