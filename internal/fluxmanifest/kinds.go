package fluxmanifest

import (
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/providers"
)

// Provider is where to tell events.
type Provider struct {
	*Object
	Type             string
	Address          string
	Channel          string
	Username         string
	Proxy            string
	CommitStatusExpr string
	Timeout          string
	Suspend          bool
	// The names of Secrets in the Provider's namespace.
	SecretRef, CertSecretRef, ProxySecretRef string
}

func readProvider(o *Object, spec *fields) *Provider {
	p := &Provider{Object: o}
	p.Type = readType(o, spec)
	p.Address, _ = spec.text("address")
	p.Channel, _ = spec.text("channel")
	p.Username, _ = spec.text("username")
	p.Proxy, _ = spec.text("proxy")
	p.CommitStatusExpr, _ = spec.text("commitStatusExpr")
	p.Suspend = spec.flag("suspend")
	p.SecretRef, _ = spec.reference("secretRef")
	p.CertSecretRef, _ = spec.reference("certSecretRef")
	p.ProxySecretRef, _ = spec.reference("proxySecretRef")
	if timeout, ok := spec.text("timeout"); ok {
		if d, err := time.ParseDuration(timeout); err != nil || d <= 0 {
			o.fault("spec.timeout", "%q is not a duration such as 30s or 1m30s", timeout)
		} else {
			p.Timeout = timeout
		}
	}
	if name, ok := spec.text("serviceAccountName"); ok && name != "" {
		o.fault("spec.serviceAccountName", "cannot be honoured, because the collector has no identity but its own: "+
			"give the collector's service account what %q may do, and remove the field", name)
	}
	_, _ = spec.take("interval") // Flux does not use it any more
	spec.warnOfOthers()
	if p.Proxy != "" {
		o.warn("spec.proxy", "is deprecated: use spec.proxySecretRef")
	}
	return p
}

func readType(o *Object, spec *fields) string {
	v, there := spec.take("type")
	if !there {
		spec.missing("type", "must be set to one of %s", strings.Join(providers.Nearest(""), ", "))
		return ""
	}
	name, ok := v.text()
	if _, known := providers.Find(name); ok && !known {
		o.fault(v.path, "%q is not one of %s", name, strings.Join(providers.Nearest(name), ", "))
	}
	return name
}

// reference reads {name: …}.
func (f *fields) reference(name string) (to string, there bool) {
	v, there := f.take(name)
	if !there {
		return "", false
	}
	ref := v.fields()
	to, _ = ref.text("name")
	ref.warnOfOthers()
	if !isName(to) {
		ref.missing("name", "must be set to a name of lower-case letters, digits and hyphens")
		return "", true
	}
	return to, true
}

// Alert says which events to tell a Provider.
type Alert struct {
	*Object
	// ProviderRef is the name of a Provider in the Alert's namespace.
	ProviderRef   string
	EventSeverity string
	EventSources  []Source
	InclusionList []string
	ExclusionList []string
	EventMetadata map[string]string
	Summary       string
	Suspend       bool
}

// Source selects objects.
type Source struct {
	Kind, Name, Namespace string
	MatchLabels           map[string]string
}

func readAlert(o *Object, spec *fields) *Alert {
	a := &Alert{Object: o}
	var there bool
	if a.ProviderRef, there = spec.reference("providerRef"); !there {
		spec.missing("providerRef", "must be set to the Provider to tell, {name: …}")
	}
	severity, ok := spec.text("eventSeverity")
	if ok && severity != fluxevent.SeverityInfo && severity != fluxevent.SeverityError {
		o.fault("spec.eventSeverity", "%q is not one of info, error", severity)
	}
	a.EventSeverity = severity
	sources, there := spec.list("eventSources")
	for _, item := range sources {
		a.EventSources = append(a.EventSources, readSource(item))
	}
	if !there {
		spec.missing("eventSources", "must list the objects to tell of, for example {kind: Kustomization, name: '*'}")
	}
	a.InclusionList = spec.expressions("inclusionList")
	a.ExclusionList = spec.expressions("exclusionList")
	a.EventMetadata = spec.texts("eventMetadata")
	a.Summary, _ = spec.text("summary")
	a.Suspend = spec.flag("suspend")
	spec.warnOfOthers()
	if a.Summary != "" {
		o.warn("spec.summary", "is deprecated: use spec.eventMetadata.summary")
	}
	return a
}

func readSource(item value) Source {
	f := item.fields()
	var s Source
	_, _ = f.take("apiVersion") // Flux does not look at it either
	for _, pattern := range []struct {
		field  string
		to     *string
		needed string
	}{
		{"kind", &s.Kind, "must be set, for example Kustomization"},
		{"name", &s.Name, "must be set to a name, or '*' for every one"},
		{"namespace", &s.Namespace, ""},
	} {
		text, _ := f.text(pattern.field)
		if _, err := path.Match(text, ""); err != nil {
			item.object.fault(f.pathOf(pattern.field), "%q is not a name, nor '*'", text)
		}
		if text == "" && pattern.needed != "" {
			f.missing(pattern.field, "%s", pattern.needed)
		}
		*pattern.to = text
	}
	if s.MatchLabels = f.texts("matchLabels"); s.MatchLabels != nil {
		item.object.warn(f.pathOf("matchLabels"), "Flux's events do not carry the labels of their objects: "+
			"nothing matches until a processor adds attributes k8s.object.label.<key>")
	}
	f.warnOfOthers()
	return s
}

func (f *fields) expressions(name string) []string {
	var expressions []string
	items, _ := f.list(name)
	for _, item := range items {
		text, ok := item.text()
		if !ok {
			continue
		}
		if _, err := regexp.Compile(text); err != nil {
			f.object.fault(item.path, "%v (the syntax is that of https://pkg.go.dev/regexp/syntax)", err)
		}
		expressions = append(expressions, text)
	}
	return expressions
}
