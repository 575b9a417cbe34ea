{{- define "postgres.superuserSecret" -}}
{{- .Values.superuser.existingSecret | default (include "kit.fullname" .) -}}
{{- end -}}

{{/* postgres.serviceSecret (list $ "note") */}}
{{- define "postgres.serviceSecret" -}}
{{- (get (index . 0).Values.services (index . 1)).existingSecret | default (printf "%s-%s" (include "kit.fullname" (index . 0)) (index . 1)) -}}
{{- end -}}

{{/* Where the services connect. */}}
{{- define "postgres.host" -}}
{{- include "kit.fullname" . }}{{ if eq .Values.mode "cloudnativepg" }}-rw{{ end -}}
{{- end -}}

{{/* postgres.url (list $ "note" "note_app" "password") */}}
{{- define "postgres.url" -}}
{{- $ := index . 0 -}}
{{- printf "postgres://%s:%s@%s:5432/%ss?sslmode=%s" (index . 2) (index . 3) (include "postgres.host" $) (index . 1) (ternary "require" "disable" (eq $.Values.mode "cloudnativepg")) -}}
{{- end -}}

{{/* All that the server knows of passwords: it changes when one of them does. */}}
{{- define "postgres.passwords" -}}
{{- range $service, $_ := .Values.services -}}
{{- $secret := include "postgres.serviceSecret" (list $ $service) -}}
{{- include "kit.secretValue" (list $ $secret "password") }} {{ include "kit.secretValue" (list $ $secret "owner-password") }} {{ end -}}
{{- end -}}

{{/* The Cluster's spec, with what cloudnativepg.spec says instead. */}}
{{- define "postgres.cluster" -}}
{{- $roles := list -}}
{{- range $service, $_ := .Values.services -}}
{{- range $role := list "owner" "app" -}}
{{- $roles = append $roles (dict "name" (printf "%s_%s" $service $role) "ensure" "present" "login" true "superuser" false "createdb" false "createrole" false "bypassrls" false "passwordSecret" (dict "name" (printf "%s-%s-%s" (include "kit.fullname" $) $service $role))) -}}
{{- end -}}
{{- end -}}
{{- $storage := dict "size" .Values.persistence.size -}}
{{- with .Values.persistence.storageClass }}{{ $_ := set $storage "storageClass" . }}{{ end -}}
{{- $settings := dict -}}
{{- range $name, $value := .Values.settings }}{{ $_ := set $settings $name (toString $value) }}{{ end -}}
{{- $spec := dict
  "instances" .Values.cloudnativepg.instances
  "storage" $storage
  "resources" .Values.resources
  "postgresql" (dict "parameters" $settings)
  "managed" (dict "roles" $roles)
  "bootstrap" (dict "initdb" (dict "dataChecksums" true))
  "affinity" (dict "enablePodAntiAffinity" true "topologyKey" "kubernetes.io/hostname" "podAntiAffinityType" (ternary "required" "preferred" (eq .Values.topologySpread.nodes "DoNotSchedule")) "nodeSelector" .Values.nodeSelector "tolerations" .Values.tolerations)
  "inheritedMetadata" (dict "labels" (dict "app.kubernetes.io/part-of" "noteworks"))
  "primaryUpdateStrategy" "unsupervised"
  "enablePDB" .Values.podDisruptionBudget.enabled
-}}
{{- with .Values.cloudnativepg.imageName }}{{ $_ := set $spec "imageName" . }}{{ end -}}
{{- with .Values.priorityClassName }}{{ $_ := set $spec "priorityClassName" . }}{{ end -}}
{{- with .Values.imagePullSecrets | default (dig "imagePullSecrets" list (.Values.global | default dict)) }}{{ $_ := set $spec "imagePullSecrets" . }}{{ end -}}
{{- merge (dict) .Values.cloudnativepg.spec $spec | toYaml -}}
{{- end -}}
