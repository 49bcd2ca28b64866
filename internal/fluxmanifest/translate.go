package fluxmanifest

import (
	"cmp"
	"slices"
	"strings"
)

// DefaultEndpoint is where the receiver listens unless told otherwise.
const DefaultEndpoint = "localhost:8787"

// Names of the components.
const (
	ReceiverID = "flux_event"
	StorageID  = "file_storage/flux"
)

// Options say how to translate.
type Options struct {
	// Endpoint is where the receiver listens. Default: DefaultEndpoint.
	Endpoint string
	// Storage is the folder of the queues. Empty: they are in memory.
	Storage string
	// QueueSize and NumConsumers are those of each queue, MaxElapsedTime is how
	// long a notification is repeated. Zero and empty: the exporter's defaults.
	QueueSize, NumConsumers int
	MaxElapsedTime          string
	// Secrets says how the values of Secrets come into the configuration.
	Secrets SecretMode
	// SecretRoot is the folder of the mounted Secrets, for SecretsMounted.
	SecretRoot string
	// Check looks for what is wrong in the settings of an exporter, as the
	// exporter would. Its lines begin with a key of the settings. nil: nothing.
	Check func(settings map[string]any) error
}

// translation collects what is found on the way.
type translation struct {
	manifests        *Manifests
	options          Options
	variables        map[string]string // of the environment, and the key that each stands for
	faults, warnings Problems
}

// Translate makes a collector's configuration, in which every $ that is not to
// be expanded is doubled. The warnings tell what works, but perhaps not as its
// author thinks. The error is Problems: all of them.
func Translate(manifests *Manifests, options Options) (config map[string]any, warnings Problems, err error) {
	t := &translation{
		manifests: manifests, options: options, variables: map[string]string{},
		faults: slices.Clone(manifests.faults), warnings: slices.Clone(manifests.warnings),
	}
	exporters, pipelines := map[string]any{}, map[string]any{}
	ids := t.ids()
	for _, p := range sortedByRef(manifests.providers) {
		alerts := t.alertsOf(p)
		known := len(t.faults)
		settings, ok := t.exporter(p, alerts)
		if !ok {
			continue
		}
		if len(alerts) == 0 {
			t.warn(p.Object, "", "no Alert refers to it, so it is told nothing")
			continue
		}
		if len(t.faults) == known {
			t.check(p, alerts, settings)
		}
		id := "flux_notify/" + ids[p]
		exporters[id] = settings
		pipelines["logs/flux-"+ids[p]] = map[string]any{"receivers": []any{ReceiverID}, "exporters": []any{id}}
	}
	t.warnOfLostAlerts()
	if len(exporters) == 0 && len(t.faults) == 0 {
		t.faults = append(t.faults, Problem{Text: "no Provider with an Alert is in " + strings.Join(manifests.paths, ", ") + ", so nobody would be told of anything"})
	}
	if len(t.faults) > 0 {
		return nil, t.warnings.sorted(), t.faults.sorted()
	}
	return escape(t.collector(exporters, pipelines)).(map[string]any), t.warnings.sorted(), nil
}

func (t *translation) fault(o *Object, path, format string, args ...any) {
	t.faults = append(t.faults, o.problem(path, format, args...))
}

func (t *translation) warn(o *Object, path, format string, args ...any) {
	t.warnings = append(t.warnings, o.problem(path, format, args...))
}

// collector puts the parts together.
func (t *translation) collector(exporters, pipelines map[string]any) map[string]any {
	service := map[string]any{"pipelines": pipelines}
	config := map[string]any{
		"receivers": map[string]any{ReceiverID: map[string]any{"endpoint": cmp.Or(t.options.Endpoint, DefaultEndpoint)}},
		"exporters": exporters,
		"service":   service,
	}
	if t.options.Storage != "" {
		config["extensions"] = map[string]any{StorageID: map[string]any{"directory": t.options.Storage}}
		service["extensions"] = []any{StorageID}
	}
	return config
}

func sortedByRef(list []*Provider) []*Provider {
	return slices.SortedFunc(slices.Values(list), func(a, b *Provider) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
}

// ids names the components of every Provider. Where two come to the same name,
// as a-b/c and a/b-c do, both have a dot instead, which no namespace has in it.
// A name with a dot of its own always has, so that nothing else can come to it.
func (t *translation) ids() map[*Provider]string {
	count, ids := map[string]int{}, map[*Provider]string{}
	for _, p := range t.manifests.providers {
		count[p.Namespace+"-"+p.Name]++
	}
	for _, p := range t.manifests.providers {
		ids[p] = p.Namespace + "-" + p.Name
		if count[ids[p]] > 1 || strings.Contains(p.Name, ".") {
			ids[p] = p.Namespace + "." + p.Name
		}
	}
	return ids
}

// alertsOf are the Alerts of a Provider that can match anything, sorted.
func (t *translation) alertsOf(p *Provider) []*Alert {
	var alerts []*Alert
	for _, a := range t.manifests.alerts {
		if a.Namespace != p.Namespace || a.ProviderRef != p.Name {
			continue
		}
		if len(a.EventSources) == 0 {
			t.warn(a.Object, "spec.eventSources", "lists nothing, so the Alert matches nothing")
			continue
		}
		alerts = append(alerts, a)
	}
	slices.SortFunc(alerts, func(a, b *Alert) int { return strings.Compare(a.Name, b.Name) })
	return alerts
}

func (t *translation) warnOfLostAlerts() {
	there := map[reference]bool{}
	for _, p := range t.manifests.providers {
		there[p.ref()] = true
	}
	for _, a := range t.manifests.alerts {
		to := reference{a.Namespace, a.ProviderRef}
		if a.ProviderRef != "" && !there[to] {
			t.warn(a.Object, "spec.providerRef", "there is no Provider %s, so the Alert tells nobody", to)
		}
	}
}

// settingPaths are the fields in which the settings of an exporter are written.
var settingPaths = map[string]string{
	"address": "spec.address", "channel": "spec.channel", "username": "spec.username", "proxy_url": "spec.proxy",
	"timeout": "spec.timeout", "commit_status_expr": "spec.commitStatusExpr",
	"token": "spec.secretRef", "password": "spec.secretRef",
	"secret": "spec.secretRef", "secret_dir": "spec.secretRef",
	"cert_secret": "spec.certSecretRef", "cert_secret_dir": "spec.certSecretRef",
	"proxy_secret": "spec.proxySecretRef", "proxy_secret_dir": "spec.proxySecretRef",
}

// check tells what the exporter would refuse, at the fields that it is of. What
// is known to be wrong already is not told twice.
func (t *translation) check(p *Provider, alerts []*Alert, settings map[string]any) {
	faulty := func(a *Alert) bool { return len(a.faults) > 0 }
	if t.options.Check == nil || len(p.faults) > 0 || slices.ContainsFunc(alerts, faulty) {
		return
	}
	err := t.options.Check(settings)
	if err == nil {
		return
	}
	for line := range strings.Lines(err.Error()) {
		line = strings.TrimSpace(line)
		key, rest, _ := strings.Cut(line, ": ")
		path := settingPaths[key]
		if path == "spec."+key {
			line = rest
		}
		t.fault(p.Object, path, "%s", line)
	}
}
