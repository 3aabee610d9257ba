{{/* named */}}
{{- define "files.inner" -}}
inner {{ .Chart.Name }}
{{- end }}
{{- define "files.labels" }}
app: {{ .Chart.Name }}
sum: {{ .Files.Get "conf/a.ini" | sha256sum | trunc 12 }}
{{- end }}
