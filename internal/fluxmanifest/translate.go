package fluxmanifest

import (
	"cmp"
	"regexp"
	"strings"

	"github.com/fluxnotify/otelcol-flux/internal/providers"
)

// DefaultEndpoint is where the receiver listens by default.
const DefaultEndpoint = "localhost:8787"

// Names of the components.
const (
	ReceiverID = "flux_event"
	StorageID  = "file_storage/flux"
)

// Collector selects how a collector's configuration is made.
type Collector struct {
	Options
	// Endpoint is where the receiver listens. Default: DefaultEndpoint.
	Endpoint string
	// Storage is the folder of waiting notifications. Empty: they are in memory.
	Storage string
}

// Translate makes a collector's configuration, with an exporter and a pipeline for each
// Provider that is ready and has an Alert. Every $ that is not to be expanded is doubled.
// The configuration is nil if there is no such Provider.
func Translate(manifests *Manifests, collector Collector) (config map[string]any, warnings, faults Problems) {
	results := manifests.Results(collector.Options)
	exporters, pipelines := map[string]any{}, map[string]any{}
	faults = results.Faults
	for i := range results.Providers {
		r := &results.Providers[i]
		faults = append(faults, r.Faults...)
		if !r.Ready || len(r.Alerts) == 0 {
			continue
		}
		name := r.componentName()
		exporters["flux_notify/"+name] = r.exporter(collector)
		pipelines["logs/"+name] = map[string]any{"receivers": []any{ReceiverID}, "exporters": []any{"flux_notify/" + name}}
	}
	if len(exporters) == 0 {
		faults = append(faults, Problem{Text: "no Provider in " + strings.Join(manifests.paths, ", ") + " is ready and has an Alert: nothing would be sent"})
		return nil, results.Warnings, faults.sorted()
	}
	return escape(collector.config(exporters, pipelines)).(map[string]any), results.Warnings, faults.sorted()
}

// componentName is the name of a Provider's exporter and pipeline. No namespace has a dot
// in it, so no two Providers have the same.
func (r *Result) componentName() string { return r.Namespace + "." + r.Name }

// exporter are the settings of a Provider's exporter.
func (r *Result) exporter(collector Collector) map[string]any {
	if r.Settings["commit_status_expr"] != nil { // which may use them
		r.Settings["name"], r.Settings["namespace"] = r.Name, r.Namespace
	}
	for key, values := range map[string]map[string][]byte{"secret": r.Secret, "cert_secret": r.CertSecret, "proxy_secret": r.ProxySecret} {
		texts := map[string]string{}
		for name, value := range values {
			texts[name] = string(value)
		}
		setMap(r.Settings, key, texts)
	}
	if collector.Storage != "" {
		r.Settings["sending_queue"] = map[string]any{"storage": StorageID}
	}
	alerts := make([]any, len(r.Alerts))
	for i := range r.Alerts {
		alerts[i] = r.Alerts[i].Settings
	}
	r.Settings["alerts"] = alerts
	return r.Settings
}

// config puts the parts together.
func (c Collector) config(exporters, pipelines map[string]any) map[string]any {
	service := map[string]any{"pipelines": pipelines}
	config := map[string]any{
		"receivers": map[string]any{ReceiverID: map[string]any{"endpoint": cmp.Or(c.Endpoint, DefaultEndpoint)}},
		"exporters": exporters,
		"service":   service,
	}
	if c.Storage != "" {
		config["extensions"] = map[string]any{StorageID: map[string]any{"directory": c.Storage, "create_directory": true}}
		service["extensions"] = []any{StorageID}
	}
	return config
}

// verbatim is a text in which $ is to be expanded.
type verbatim string

// placeholders stand for the values of a Secret, also where they cannot be read: what is
// wrong with them is a warning. The keys of a Secret that is not among the manifests are
// those that one for such a reference usually has.
func (t *assembly) placeholders(r *Result, row providers.Row, ref reference, field string) map[string]any {
	p := r.provider
	keys := usualKeys(p, row, field)
	if secret, ok := t.secrets[ref]; ok {
		keys = secret.keys
		t.warnings = append(t.warnings, secret.faults...)
		if secret.encrypted {
			t.warn(secret.Object, "sops", "the Secret is encrypted: set the variables to its decrypted values")
		}
	} else {
		t.warn(p.Object, "spec."+field, "the Secret %s is not among the manifests, its keys are assumed to be %s", ref, strings.Join(keys, ", "))
	}
	values := map[string]any{}
	for _, key := range keys {
		name, of := variable(ref, key), ref.String()+" "+key
		if before, used := t.variables[name]; used && before != of {
			r.fault("spec."+field, "the variable "+name+" would stand for the Secret keys "+before+" and "+of)
			r.Ready = false
			continue
		}
		t.variables[name] = of
		values[key] = verbatim("${env:" + name + "}")
	}
	return values
}

func usualKeys(p *Provider, row providers.Row, field string) []string {
	switch field {
	case "certSecretRef":
		return []string{"ca.crt"}
	case "proxySecretRef":
		return []string{"address"}
	}
	var keys []string
	if p.Address == "" && row.Address != providers.Unused {
		keys = append(keys, "address")
	}
	switch {
	case row.Token != providers.Unused:
		keys = append(keys, "token")
	case row.Password != providers.Unused:
		keys = append(keys, "username", "password")
	}
	return keys
}

var notInVariables = regexp.MustCompile(`[^A-Z0-9]`)

func variable(ref reference, key string) string {
	return "FLUX_" + notInVariables.ReplaceAllString(strings.ToUpper(ref.namespace+"_"+ref.name+"_"+key), "_")
}

// escape doubles every $ of the values, because the collector expands them. It does not
// expand keys.
func escape(v any) any {
	switch v := v.(type) {
	case string:
		return strings.ReplaceAll(v, "$", "$$")
	case verbatim:
		return string(v)
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = escape(item)
		}
		return list
	case map[string]any:
		m := make(map[string]any, len(v))
		for key, item := range v {
			m[key] = escape(item)
		}
		return m
	}
	return v
}
