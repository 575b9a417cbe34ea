{{/*
Names.

kit.fullname is <release>-<chart>, or the release's name alone when that is the chart's or ends with it as a word of its own.
(Helm's usual "contains" would make a release called noteworks the note service.) At most 52 characters, so that what Kubernetes
appends to a name still fits a label; the release's part is what is cut.
*/}}
{{- define "kit.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- include "kit.peer" (list . (include "kit.name" .)) -}}
{{- end -}}
{{- end -}}

{{- define "kit.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* kit.peer (list $ "note"): the name another chart of this release has, as long as it is not overridden there. */}}
{{- define "kit.peer" -}}
{{- $release := (index . 0).Release.Name -}}
{{- $name := index . 1 -}}
{{- if or (eq $release $name) (hasSuffix (printf "-%s" $name) $release) -}}
{{- $release | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" ($release | trunc (int (sub 51 (len $name))) | trimSuffix "-") $name -}}
{{- end -}}
{{- end -}}

{{- define "kit.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "kit.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{/*
Labels. The selector's never change in the life of an object; the rest say what it is.
*/}}
{{- define "kit.selectorLabels" -}}
app.kubernetes.io/name: {{ include "kit.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "kit.labels" -}}
{{ include "kit.selectorLabels" . }}
app.kubernetes.io/component: {{ .Chart.Name }}
app.kubernetes.io/part-of: noteworks
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") }}
{{- end -}}

{{/* What a pod is labelled with: without what changes with each version, so that an upgrade that changes nothing restarts nothing. */}}
{{- define "kit.podLabels" -}}
{{ include "kit.selectorLabels" . }}
app.kubernetes.io/component: {{ .Chart.Name }}
app.kubernetes.io/part-of: noteworks
{{- with .Values.podLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* kit.peerLabels (list $ "note"): what selects the pods of another chart of this release. */}}
{{- define "kit.peerLabels" -}}
app.kubernetes.io/name: {{ index . 1 }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
{{- end -}}

{{/*
Images. kit.image is of one of our own programs: global.imageRegistry and global.imageTag hold for it. kit.foreignImage is of somebody else's.
*/}}
{{- define "kit.image" -}}
{{- $global := .Values.global | default dict -}}
{{- $registry := .Values.image.registry | default $global.imageRegistry -}}
{{- $name := ternary (printf "%s/%s" (trimSuffix "/" (toString $registry)) .Values.image.repository) .Values.image.repository (not (empty $registry)) -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $name .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (.Values.image.tag | default $global.imageTag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- define "kit.foreignImage" -}}
{{- $name := ternary (printf "%s/%s" (trimSuffix "/" (toString .Values.image.registry)) .Values.image.repository) .Values.image.repository (not (empty .Values.image.registry)) -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $name .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- define "kit.imagePullPolicy" -}}
{{- $global := .Values.global | default dict -}}
{{- .Values.image.pullPolicy | default $global.imagePullPolicy | default "IfNotPresent" -}}
{{- end -}}

{{- define "kit.imagePullSecrets" -}}
{{- $global := .Values.global | default dict -}}
{{- with .Values.imagePullSecrets | default $global.imagePullSecrets }}
imagePullSecrets:
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/*
What every pod is held to: the restricted Pod Security Standard, and a root file system that is read-only.
kit.podSecurity (list $ 65532): the user, the group and the group of the volumes.
*/}}
{{- define "kit.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ index . 1 }}
runAsGroup: {{ index . 1 }}
fsGroup: {{ index . 1 }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "kit.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Where pods may go, and that replicas do not all end up on one node or in one zone: (list $ "pod-template-hash"), the label of one revision. */}}
{{- define "kit.scheduling" -}}
{{- $revision := index . 1 -}}
{{- with index . 0 -}}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
{{ toYaml . | indent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
{{ toYaml . | indent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
{{ toYaml . | indent 2 }}
{{- end }}
topologySpreadConstraints:
  - topologyKey: topology.kubernetes.io/zone
    maxSkew: 1
    whenUnsatisfiable: {{ .Values.topologySpread.zones }}
    matchLabelKeys: [{{ $revision }}]
    labelSelector:
      matchLabels:
{{ include "kit.selectorLabels" . | indent 8 }}
  - topologyKey: kubernetes.io/hostname
    maxSkew: 1
    whenUnsatisfiable: {{ .Values.topologySpread.nodes }}
    matchLabelKeys: [{{ $revision }}]
    labelSelector:
      matchLabels:
{{ include "kit.selectorLabels" . | indent 8 }}
{{- end -}}
{{- end -}}

{{/* kit.bytes "64Mi": a Kubernetes quantity as a number of bytes. */}}
{{- define "kit.bytes" -}}
{{- $quantity := toString . -}}
{{- $number := regexFind "^[0-9]+" $quantity | int64 -}}
{{- $unit := regexFind "[A-Za-z]*$" $quantity -}}
{{- $factors := dict "" 1 "k" 1000 "K" 1000 "Ki" 1024 "M" 1000000 "Mi" 1048576 "G" 1000000000 "Gi" 1073741824 -}}
{{- if or (not (hasKey $factors $unit)) (not (regexMatch "^[0-9]+[A-Za-z]*$" $quantity)) -}}
{{- fail (printf "%s: write it as a whole number of bytes, Ki, Mi or Gi" $quantity) -}}
{{- end -}}
{{- mul $number (get $factors $unit) -}}
{{- end -}}

{{/* A Go program collects garbage harder as it nears nine tenths of its memory limit, rather than be killed at the limit. */}}
{{- define "kit.goMemoryLimit" -}}
{{- with .Values.resources.limits }}{{ with .memory }}{{ div (mul (include "kit.bytes" . | int64) 9) 10 }}{{ end }}{{ end -}}
{{- end -}}

{{/*
The environment of one of our services: (list $ $own), where $own is what the chart sets. Anything in .Values.settings replaces it.
A dict holds each name once, so no name can come twice.
*/}}
{{- define "kit.env" -}}
{{- $ := index . 0 -}}
{{- $env := merge (dict) $.Values.settings (index . 1) (include "kit.telemetry" $ | fromYaml) -}}
{{- with include "kit.goMemoryLimit" $ }}{{ $env = merge $env (dict "GOMEMLIMIT" .) }}{{ end -}}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
{{- range $name, $value := $env }}
{{- if kindIs "float64" $value }}{{ if eq $value (floor $value) }}{{ $value = int64 $value }}{{ end }}{{ end }}
{{- if ne (toString $value) "" }}
- name: {{ $name }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "kit.telemetry" -}}
{{- $global := .Values.global | default dict -}}
{{- $tracing := $global.tracing | default dict -}}
{{- if $tracing.enabled }}
OTEL_EXPORTER_OTLP_ENDPOINT: {{ include "kit.tracingEndpoint" . | quote }}
OTEL_TRACES_SAMPLER: parentbased_traceidratio
OTEL_TRACES_SAMPLER_ARG: {{ $tracing.sampleRatio | toString | quote }}
{{- else }}
OTEL_TRACES_EXPORTER: none
{{- end }}
OTEL_RESOURCE_ATTRIBUTES: {{ printf "k8s.namespace.name=%s,k8s.deployment.name=%s,k8s.pod.name=$(POD_NAME),service.instance.id=$(POD_NAME)" .Release.Namespace (include "kit.fullname" .) | quote }}
{{- end -}}

{{- define "kit.tracingEndpoint" -}}
{{- $global := .Values.global | default dict -}}
{{- $tracing := $global.tracing | default dict -}}
{{- $tracing.endpoint | default (printf "http://%s:4318" (include "kit.peer" (list . "jaeger"))) -}}
{{- end -}}

{{- define "kit.natsURL" -}}
{{- $global := .Values.global | default dict -}}
{{- $nats := $global.nats | default dict -}}
{{- $nats.url | default (printf "nats://%s:4222" (include "kit.peer" (list . "nats"))) -}}
{{- end -}}

{{/* The networks whose X-Forwarded-* a service believes. */}}
{{- define "kit.trustedProxies" -}}
{{- $global := .Values.global | default dict -}}
{{- .Values.trustedProxies | default $global.trustedProxies | default list | join "," -}}
{{- end -}}

{{- define "kit.baseDomain" -}}
{{- $global := .Values.global | default dict -}}
{{- $global.baseDomain | default "localhost" -}}
{{- end -}}

{{/* The probes of a service. Startup and liveness ask whether the process lives, and never about what it needs; readiness does. */}}
{{- define "kit.probes" -}}
startupProbe:
  httpGet: {path: /livez, port: ops}
  periodSeconds: 1
  timeoutSeconds: 2
  failureThreshold: 60
readinessProbe:
  httpGet: {path: /readyz, port: ops}
  periodSeconds: 2
  timeoutSeconds: 3
  failureThreshold: 3
livenessProbe:
  httpGet: {path: /livez, port: ops}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end -}}

{{/*
How a pod leaves: while it sleeps, it serves on until nobody knows its address any more; then it gets SIGTERM and drains.
*/}}
{{- define "kit.preStop" -}}
preStop:
  sleep:
    seconds: {{ .Values.drain.delaySeconds }}
{{- end -}}

{{- define "kit.terminationGracePeriodSeconds" -}}
{{- add .Values.drain.delaySeconds .Values.drain.graceSeconds 7 -}}
{{- end -}}

{{/* One more comes before one goes. */}}
{{- define "kit.rollout" -}}
type: RollingUpdate
rollingUpdate:
  maxSurge: 1
  maxUnavailable: 0
{{- end -}}

{{/* kit.tokenVolume (list "noteworks-note"): a token of the pod's service account that only that audience takes. The kubelet renews it. */}}
{{- define "kit.tokenVolume" -}}
- name: rpc-token
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken:
          audience: {{ index . 0 }}
          expirationSeconds: 600
          path: token
{{- end -}}

{{/* A token for the API server itself, and its authority, to read the keys that callers' tokens are signed with. */}}
{{- define "kit.clusterVolume" -}}
- name: cluster
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken:
          expirationSeconds: 3600
          path: token
      - configMap:
          name: kube-root-ca.crt
          items:
            - key: ca.crt
              path: ca.crt
{{- end -}}

{{/*
Rules of NetworkPolicies. Names are resolved by whatever serves DNS, on the node or in any namespace.
*/}}
{{- define "kit.egressDNS" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
{{- end -}}

{{/* kit.toPeer (list $ "note" 8081 8082) and kit.fromPeers (list $ (list "user" "note") 4222) */}}
{{- define "kit.toPeer" -}}
- to:
    - podSelector:
        matchLabels:
{{ include "kit.peerLabels" (list (index . 0) (index . 1)) | indent 10 }}
  ports:
{{- range slice . 2 }}
    - {port: {{ . }}, protocol: TCP}
{{- end }}
{{- end -}}

{{- define "kit.fromPeers" -}}
{{- $ := index . 0 -}}
- from:
{{- range index . 1 }}
    - podSelector:
        matchLabels:
{{ include "kit.peerLabels" (list $ .) | indent 10 }}
{{- end }}
  ports:
{{- range slice . 2 }}
    - {port: {{ . }}, protocol: TCP}
{{- end }}
{{- end -}}

{{/* kit.toURL "http://other.example.org:8082": any address, at that port. */}}
{{- define "kit.toURL" -}}
{{- $url := urlParse . -}}
- ports:
    - {port: {{ (split ":" $url.host)._1 | default (get (dict "http" 80 "https" 443 "nats" 4222 "tls" 4222) $url.scheme) }}, protocol: TCP}
{{- end -}}

{{/* kit.toService (list $ .Values.note.rpcUrl "note" 8082): another chart's pods of this release, and any address when a URL is given. */}}
{{- define "kit.toService" -}}
{{- include "kit.toPeer" (list (index . 0) (index . 2) (index . 3)) -}}
{{- with index . 1 }}
{{ include "kit.toURL" . }}
{{- end -}}
{{- end -}}

{{/* Where a service sends events and spans: to the release's own pods, or to any address when it is told of another. */}}
{{- define "kit.egressNATS" -}}
{{- $global := .Values.global | default dict -}}
{{- $nats := $global.nats | default dict -}}
{{- if $nats.url }}
{{ include "kit.toURL" (first (splitList "," $nats.url)) }}
{{- else }}
{{ include "kit.toPeer" (list . "nats" 4222) }}
{{- end }}
{{- end -}}

{{- define "kit.egressTracing" -}}
{{- $global := .Values.global | default dict -}}
{{- $tracing := $global.tracing | default dict -}}
{{- if and $tracing.enabled $tracing.endpoint }}
{{ include "kit.toURL" $tracing.endpoint }}
{{- else if $tracing.enabled }}
{{ include "kit.toPeer" (list . "jaeger" 4318) }}
{{- end }}
{{- end -}}

{{/* Who collects metrics, from port 8083 in (list $ 8083): networkPolicy.metricsFrom, or every pod of this namespace. */}}
{{- define "kit.ingressMetrics" -}}
- from:
{{- with (index . 0).Values.networkPolicy.metricsFrom }}
{{ toYaml . | indent 4 }}
{{- else }}
    - podSelector: {}
{{- end }}
  ports:
    - {port: {{ index . 1 }}, protocol: TCP}
{{- end -}}

{{/*
Whole objects that are alike in every chart.
*/}}
{{- define "kit.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "kit.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
  labels:
{{ include "kit.labels" . | indent 4 }}
{{- with .Values.serviceAccount.annotations }}
  annotations:
{{ toYaml . | indent 4 }}
{{- end }}
automountServiceAccountToken: false
{{- end }}
{{- end -}}

{{- define "kit.podDisruptionBudget" -}}
{{- if .Values.podDisruptionBudget.enabled }}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "kit.fullname" . }}
  namespace: {{ .Release.Namespace }}
  labels:
{{ include "kit.labels" . | indent 4 }}
spec:
  maxUnavailable: {{ .Values.podDisruptionBudget.maxUnavailable }}
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
{{ include "kit.selectorLabels" . | indent 6 }}
{{- end }}
{{- end -}}

{{- define "kit.horizontalPodAutoscaler" -}}
{{- if .Values.autoscaling.enabled }}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ include "kit.fullname" . }}
  namespace: {{ .Release.Namespace }}
  labels:
{{ include "kit.labels" . | indent 4 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "kit.fullname" . }}
  minReplicas: {{ .Values.autoscaling.minReplicas }}
  maxReplicas: {{ .Values.autoscaling.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ .Values.autoscaling.targetCPUUtilizationPercentage }}
  behavior:
    scaleDown:
      stabilizationWindowSeconds: 300
      policies:
        - {type: Pods, value: 1, periodSeconds: 60}
{{- end }}
{{- end -}}

{{/*
kit.secretValue (list $ "noteworks-nats-user" "password"): what the Secret in the cluster holds, or else something new and random. It begins with
a letter and has letters and digits only, so it needs quotes nowhere. The same within one rendering.
*/}}
{{- define "kit.secretValue" -}}
{{- $ := index . 0 -}}
{{- $secret := index . 1 -}}
{{- $key := index . 2 -}}
{{- $memo := printf "%s/%s" $secret $key -}}
{{- if not (hasKey $.Values "kitSecrets") }}{{ $_ := set $.Values "kitSecrets" dict }}{{ end -}}
{{- if not (hasKey $.Values.kitSecrets $memo) -}}
{{- $have := get (get (lookup "v1" "Secret" $.Release.Namespace $secret) "data" | default dict) $key -}}
{{- $_ := set $.Values.kitSecrets $memo (ternary (b64dec (toString $have)) (printf "n%s" (randAlphaNum 31)) (not (empty $have))) -}}
{{- end -}}
{{- get $.Values.kitSecrets $memo -}}
{{- end -}}

{{/* How many servers of NATS keep each stream. */}}
{{- define "kit.streamReplicas" -}}
{{- $global := .Values.global | default dict -}}
{{- $nats := $global.nats | default dict -}}
{{- $nats.replicas | default 1 -}}
{{- end -}}

{{/* The bound of each stream, in bytes. */}}
{{- define "kit.streamBytes" -}}
{{- $global := .Values.global | default dict -}}
{{- $nats := $global.nats | default dict -}}
{{- include "kit.bytes" ($nats.streamSize | default "1Gi") -}}
{{- end -}}

{{/* kit.databaseVolumes (list "noteworks-postgres-user" .Values.database): the URL that serves, and apart from it the owner's, for migrations. */}}
{{- define "kit.databaseVolumes" -}}
{{- $database := index . 1 -}}
- name: database
  secret:
    secretName: {{ index . 0 }}
    defaultMode: 0440
    items:
      - {key: {{ $database.urlKey }}, path: url}
- name: database-owner
  secret:
    secretName: {{ index . 0 }}
    defaultMode: 0440
    items:
      - {key: {{ $database.migrateUrlKey }}, path: url}
{{- end -}}

{{- define "kit.natsVolume" -}}
- name: nats
  secret:
    secretName: {{ index . 0 }}
    defaultMode: 0440
    items:
      - {key: {{ (index . 1).passwordKey }}, path: password}
{{- end -}}

{{/* The release's own database, one instance or a CloudNativePG cluster, or any address when the Secret is somebody else's. */}}
{{- define "kit.egressDatabase" -}}
- ports:
    - {port: {{ .Values.database.port }}, protocol: TCP}
{{- if not .Values.database.existingSecret }}
  to:
    - podSelector:
        matchLabels:
{{ include "kit.peerLabels" (list . "postgres") | indent 10 }}
    - podSelector:
        matchLabels:
          cnpg.io/cluster: {{ include "kit.peer" (list . "postgres") }}
{{- end }}
{{- end -}}

{{/* The API server has no pods to select: its keys are read from whatever address has them. */}}
{{- define "kit.egressAPIServer" -}}
- ports:
{{- range .Values.networkPolicy.apiServerPorts }}
    - {port: {{ . }}, protocol: TCP}
{{- end }}
{{- end -}}

{{/*
kit.podMonitor (list $ "ops"): Prometheus (by its operator) collects from that port of the chart's pods. job is the chart, stack the release: the
alerts and the dashboard go by these two and the namespace.
*/}}
{{- define "kit.podMonitor" -}}
{{- $port := index . 1 -}}
{{- with index . 0 -}}
{{- $global := .Values.global | default dict -}}
{{- $monitoring := $global.monitoring | default dict -}}
{{- if $monitoring.serviceMonitor }}
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata:
  name: {{ include "kit.fullname" . }}
  namespace: {{ .Release.Namespace }}
  labels:
{{ include "kit.labels" . | indent 4 }}
spec:
  jobLabel: app.kubernetes.io/component
  selector:
    matchLabels:
{{ include "kit.selectorLabels" . | indent 6 }}
  podMetricsEndpoints:
    - port: {{ $port }}
      path: /metrics
      interval: 15s
      scrapeTimeout: 10s
      relabelings:
        - {action: replace, targetLabel: stack, replacement: {{ .Release.Name | quote }}}
{{- end }}
{{- end -}}
{{- end -}}
