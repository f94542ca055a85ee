{{/* The names of roles, in the order in which they are listed. */}}
{{- define "heliograph.roles" -}}
api,uploads,thumbnails,federation
{{- end -}}

{{- define "heliograph.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Takes a dict of root and role, as those below. */}}
{{- define "heliograph.fullname" -}}
{{- printf "%s-%s" (include "heliograph.name" .root) .role -}}
{{- end -}}

{{- define "heliograph.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .role }}
{{- end -}}

{{- define "heliograph.labels" -}}
{{ include "heliograph.selector" . }}
app.kubernetes.io/part-of: heliograph
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{/* Labels of what belongs to no role. */}}
{{- define "heliograph.commonLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: heliograph
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "heliograph.image" -}}
{{- $own := (index .root.Values.roles .role).image -}}
{{- $image := merge (deepCopy $own) .root.Values.image -}}
{{- $repository := $image.repository -}}
{{- if and $image.perRole (not $own.repository) }}{{ $repository = printf "%s-%s" $repository .role }}{{ end -}}
{{- with $image.registry }}{{ $repository = printf "%s/%s" . $repository }}{{ end -}}
{{- if $own.digest -}}
{{- printf "%s@%s" $repository $own.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository ($image.tag | default .root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* The port that answers /livez, /readyz and /metrics. */}}
{{- define "heliograph.healthPort" -}}
{{- if eq .role "api" }}http{{ else }}health{{ end -}}
{{- end -}}

{{/* A span such as 5m or 90s as seconds. */}}
{{- define "heliograph.seconds" -}}
{{- $number := regexFind "^[0-9]+" . | int -}}
{{- $unit := trimPrefix (regexFind "^[0-9]+" .) . -}}
{{- if eq $unit "h" }}{{ mul $number 3600 }}{{ else if eq $unit "m" }}{{ mul $number 60 }}{{ else }}{{ $number }}{{ end -}}
{{- end -}}

{{/* Beginnings of paths that are about media, one per line. */}}
{{- define "heliograph.paths" -}}
/_matrix/media
/_matrix/client/v1/media
/_matrix/client/v3/media
/_matrix/client/r0/media
/_matrix/client/unstable/org.matrix.msc1902/media
/_matrix/client/unstable/org.matrix.msc3916/media
/_matrix/federation/v1/media
/_matrix/federation/v1/remote_media
/_matrix/federation/unstable/org.matrix.msc1902
/_matrix/federation/unstable/org.matrix.msc3916
/_matrix/federation/unstable/org.matrix.msc3916.v2
/_heliograph
{{- if .Values.moderation }}
/_synapse/admin/v1/media
/_synapse/admin/v1/purge_media_cache
{{- end }}
{{- if .Values.wellKnown }}
{{ include "heliograph.sharedPaths" . }}
{{- end }}
{{- end -}}

{{/* What the homeserver answers as well: we pass on what it says, with what is ours. */}}
{{- define "heliograph.sharedPaths" -}}
/.well-known/matrix/client
/.well-known/matrix/server
/_matrix/client/versions
/_matrix/client/v3/logout
/_matrix/client/r0/logout
{{- end -}}

{{/* The beginnings of all paths, for a host that is ours alone. */}}
{{- define "heliograph.ownPaths" -}}
{{- $all := mergeOverwrite (deepCopy .Values) (dict "moderation" true "wellKnown" true) -}}
{{ include "heliograph.paths" (dict "Values" $all) }}
/_matrix/key/v2/server
/_matrix/federation/v1/version
{{- end -}}
