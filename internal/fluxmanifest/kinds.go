package fluxmanifest

import (
	"path"
	"strings"
	"time"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/providers"
)

// Limits of Flux's schema, in characters.
const (
	maxSetting = 2048
	maxSummary = 255
)

// maxCommitStatusExpr bounds an expression, in characters. Flux does not.
const maxCommitStatusExpr = 16 << 10

// Provider is where notifications are sent.
type Provider struct {
	*Object
	Type               string
	Address            string
	Channel            string
	Username           string
	Proxy              string
	CommitStatusExpr   string
	Timeout            string
	ServiceAccountName string
	Suspend            bool
	// The names of Secrets in the Provider's namespace.
	SecretRef, CertSecretRef, ProxySecretRef string
}

func readProvider(o *Object, spec *fields) *Provider {
	p := &Provider{Object: o}
	p.Type = readType(o, spec)
	p.Address = spec.bounded("address", maxSetting)
	p.Channel = spec.bounded("channel", maxSetting)
	p.Username = spec.bounded("username", maxSetting)
	p.Proxy = spec.bounded("proxy", maxSetting)
	p.CommitStatusExpr = spec.bounded("commitStatusExpr", maxCommitStatusExpr)
	p.ServiceAccountName = spec.bounded("serviceAccountName", maxName)
	p.Suspend = spec.flag("suspend")
	p.SecretRef, _ = spec.reference("secretRef")
	p.CertSecretRef, _ = spec.reference("certSecretRef")
	p.ProxySecretRef, _ = spec.reference("proxySecretRef")
	if timeout, ok := spec.text("timeout"); ok {
		if d, err := time.ParseDuration(timeout); err != nil || d <= 0 {
			o.fault("spec.timeout", "%q is not a duration such as 30s or 1m30s", shortened(timeout))
		} else {
			p.Timeout = timeout
		}
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
	name = shortened(name)
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

// Alert selects the events that a Provider sends.
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

	path string
}

func readAlert(o *Object, spec *fields) *Alert {
	a := &Alert{Object: o}
	var there bool
	if a.ProviderRef, there = spec.reference("providerRef"); !there {
		spec.missing("providerRef", "must be set to a Provider of the same namespace, {name: …}")
	}
	severity, ok := spec.text("eventSeverity")
	if ok && severity != fluxevent.SeverityInfo && severity != fluxevent.SeverityError {
		o.fault("spec.eventSeverity", "%q is not one of info, error", shortened(severity))
	}
	a.EventSeverity = severity
	sources, there := spec.list("eventSources")
	for _, item := range sources {
		a.EventSources = append(a.EventSources, readSource(item))
	}
	if !there {
		spec.missing("eventSources", "must list objects, for example {kind: Kustomization, name: '*'}")
	}
	a.InclusionList, a.ExclusionList = readExpressions(spec)
	a.EventMetadata = spec.texts("eventMetadata")
	a.Summary = spec.bounded("summary", maxSummary)
	a.Suspend = spec.flag("suspend")
	spec.warnOfOthers()
	if a.Summary != "" {
		o.warn("spec.summary", "is deprecated: use spec.eventMetadata.summary")
	}
	return a
}

func readSource(item value) Source {
	f := item.fields()
	s := Source{path: item.path}
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
		known := len(item.object.faults)
		text := f.bounded(pattern.field, maxName)
		if _, err := path.Match(text, ""); err != nil {
			item.object.fault(f.pathOf(pattern.field), "%q is not a name, nor '*'", shortened(text))
		}
		if text == "" && pattern.needed != "" && len(item.object.faults) == known {
			f.missing(pattern.field, "%s", pattern.needed)
		}
		*pattern.to = text
	}
	if s.Namespace == "*" {
		item.object.warn(f.pathOf("namespace"), "means every namespace here; in Flux such a source matches nothing")
	}
	s.MatchLabels = f.texts("matchLabels")
	f.warnOfOthers()
	return s
}
