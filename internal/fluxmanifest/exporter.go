package fluxmanifest

import (
	"github.com/fluxnotify/otelcol-flux/internal/providers"
)

// exporter makes the settings of a Provider's exporter. The type's row says what
// it makes of which field: what the exporter would refuse because the type has
// no use for it is left out, as Flux does in silence.
func (t *translation) exporter(p *Provider, alerts []*Alert) (settings map[string]any, ok bool) {
	row, ok := providers.Find(p.Type)
	if !ok {
		return nil, false
	}
	settings = map[string]any{"type": p.Type}
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
			settings[field.key] = field.value
		}
	}
	setText(settings, "timeout", p.Timeout)
	if settings["commit_status_expr"] != nil { // which may ask for them
		settings["name"], settings["namespace"] = p.Name, p.Namespace
	}
	setText(settings, "uid", p.UID)
	if p.Suspend {
		settings["suspend"] = true
	}
	t.options.tune(settings)
	t.secrets(p, row, settings)
	list := make([]any, len(alerts))
	for i, a := range alerts {
		list[i] = alertSettings(a)
	}
	settings["alerts"] = list
	return settings, true
}

// tune sets what is the same for every exporter.
func (o Options) tune(settings map[string]any) {
	queue := map[string]any{}
	if o.Storage != "" {
		queue["storage"] = StorageID
	}
	if o.QueueSize != 0 {
		queue["queue_size"] = o.QueueSize
	}
	if o.NumConsumers != 0 {
		queue["num_consumers"] = o.NumConsumers
	}
	if len(queue) > 0 {
		settings["sending_queue"] = queue
	}
	if o.MaxElapsedTime != "" {
		settings["retry_on_failure"] = map[string]any{"max_elapsed_time": o.MaxElapsedTime}
	}
}

func alertSettings(a *Alert) map[string]any {
	settings := map[string]any{"name": a.Name, "namespace": a.Namespace}
	setText(settings, "uid", a.UID)
	setText(settings, "event_severity", a.EventSeverity)
	setText(settings, "summary", a.Summary)
	if a.Suspend {
		settings["suspend"] = true
	}
	sources := make([]any, len(a.EventSources))
	for i, s := range a.EventSources {
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
