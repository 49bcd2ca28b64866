package fluxmanifest

import (
	"regexp"
	"strings"

	"github.com/fluxnotify/otelcol-flux/internal/providers"
)

func (p *Provider) row() (providers.Row, bool) { return providers.Find(p.Type) }

// settings makes the settings of a Provider's exporter. What the type has no use for is
// left out, with a warning; the exporter would refuse it, and Flux ignores it.
func (t *assembly) settings(r *Result) {
	p := r.provider
	r.Settings = map[string]any{"type": p.Type}
	if p.Suspend {
		r.Settings["suspend"] = true
	}
	setText(r.Settings, "timeout", p.Timeout)
	setText(r.Settings, "uid", p.UID)
	row, ok := p.row()
	if !ok {
		return
	}
	proxy := providers.Optional
	if row.Bus {
		proxy = providers.Unused
	}
	for _, field := range []struct {
		path, value, key string
		use              providers.Use
	}{
		{"spec.address", p.Address, "address", row.Address},
		{"spec.channel", p.Channel, "channel", row.Channel},
		{"spec.username", p.Username, "username", row.Username},
		{"spec.proxy", p.Proxy, "proxy_url", proxy},
		{"spec.commitStatusExpr", p.CommitStatusExpr, "commit_status_expr", row.CommitStatusExpr},
	} {
		switch {
		case field.value == "":
		case field.use == providers.Unused:
			t.warn(p.Object, field.path, "the type %s does not use it", p.Type)
		default:
			r.Settings[field.key] = field.value
		}
	}
}

// fields are those of a Provider in which the settings of an exporter are written.
var providerFields = map[string]string{
	"type": "spec.type", "address": "spec.address", "channel": "spec.channel", "username": "spec.username", "proxy_url": "spec.proxy",
	"timeout": "spec.timeout", "commit_status_expr": "spec.commitStatusExpr",
	"token": "spec.secretRef", "password": "spec.secretRef", "headers": "spec.secretRef",
	"secret": "spec.secretRef", "cert_secret": "spec.certSecretRef", "proxy_secret": "spec.proxySecretRef",
}

// FieldOf returns the field of a Provider in which a setting of an exporter is written.
// Empty: there is none.
func FieldOf(setting string) string { return providerFields[setting] }

var alertFields = strings.NewReplacer(
	"event_severity", "eventSeverity", "event_sources", "eventSources", "match_labels", "matchLabels",
	"inclusion_list", "inclusionList", "exclusion_list", "exclusionList", "event_metadata", "eventMetadata",
)

var index = regexp.MustCompile(`::(\d+)`)

// AlertFieldOf returns the field of an Alert in which a setting of an exporter's alert is
// written: "inclusion_list::0" is "spec.inclusionList[0]".
func AlertFieldOf(setting string) string {
	return "spec." + strings.ReplaceAll(index.ReplaceAllString(alertFields.Replace(setting), "[$1]"), "::", ".")
}

func alertSettings(a *Alert, from []Source) map[string]any {
	settings := map[string]any{"name": a.Name, "namespace": a.Namespace}
	setText(settings, "uid", a.UID)
	setText(settings, "event_severity", a.EventSeverity)
	setText(settings, "summary", a.Summary)
	if a.Suspend {
		settings["suspend"] = true
	}
	sources := make([]any, len(from))
	for i, s := range from {
		source := map[string]any{"kind": s.Kind, "name": s.Name}
		setText(source, "namespace", s.Namespace)
		setMap(source, "match_labels", s.MatchLabels)
		sources[i] = source
	}
	settings["event_sources"] = sources
	setList(settings, "inclusion_list", a.InclusionList)
	setList(settings, "exclusion_list", a.ExclusionList)
	setMap(settings, "event_metadata", a.EventMetadata)
	return settings
}

func setText(to map[string]any, key, text string) {
	if text != "" {
		to[key] = text
	}
}

func setList(to map[string]any, key string, texts []string) {
	if len(texts) == 0 {
		return
	}
	list := make([]any, len(texts))
	for i, text := range texts {
		list[i] = text
	}
	to[key] = list
}

func setMap(to map[string]any, key string, texts map[string]string) {
	if len(texts) == 0 {
		return
	}
	m := make(map[string]any, len(texts))
	for name, text := range texts {
		m[name] = text
	}
	to[key] = m
}
