package fluxmanifest

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"
)

// SecretMode selects how the values of Secrets become settings.
type SecretMode int

const (
	// SecretsInline returns the values of the Secrets.
	SecretsInline SecretMode = iota
	// SecretsMounted names a folder for each: <root>/<namespace>/<name>.
	SecretsMounted
	// SecretsFromEnvironment writes ${env:FLUX_<NAMESPACE>_<NAME>_<KEY>}.
	SecretsFromEnvironment
)

// Options select how manifests are read.
type Options struct {
	// NoCrossNamespaceRefs limits an Alert to events of its own namespace, like the flag
	// of Flux's controllers: event sources of other namespaces are left out.
	NoCrossNamespaceRefs bool
	// ServiceAccounts is set where serviceAccountName can be honoured. Otherwise it is a
	// fault.
	ServiceAccounts bool
	// Labels is set where the labels of objects are known. Otherwise matchLabels is a
	// warning.
	Labels bool
	// Secrets selects how the values of Secrets become settings.
	Secrets SecretMode
	// SecretRoot is the folder of the mounted Secrets, where there is one.
	SecretRoot string
}

// Results are Providers with their Alerts, and what is wrong.
type Results struct {
	// Providers are sorted by namespace and name. No two have the same.
	Providers []Result
	// Faults are those of no Provider, Warnings are all. Both are sorted.
	Faults, Warnings Problems
}

// Result is one Provider with its Alerts.
type Result struct {
	Namespace, Name string
	// UID is that of the object. Empty: it has none.
	UID string
	// ServiceAccountName is set where Options allow it.
	ServiceAccountName string
	// Settings are those of a flux_notify exporter, without alerts. The type is there
	// even if the Provider is not ready.
	Settings map[string]any
	// Secret, CertSecret and ProxySecret are the values of the Secrets, with
	// SecretsInline. nil: the Provider does not refer to one.
	Secret, CertSecret, ProxySecret map[string][]byte
	// Alerts are those without faults, sorted by name.
	Alerts []AlertResult
	// Ready reports that nothing wrong is known about the Provider and its Secrets.
	Ready bool
	// Faults are those of the Provider and its Secrets, then those of its Alerts.
	Faults Problems

	provider *Provider
}

// AlertResult is one Alert.
type AlertResult struct {
	Name string
	// Settings are those in the list "alerts" of an exporter.
	Settings map[string]any

	alert *Alert
}

// Problem is about a field of the Provider: "spec.address".
func (r *Result) Problem(field, text string) Problem { return r.provider.problem(field, "%s", text) }

// Problem is about a field of the Alert: "spec.inclusionList[0]".
func (a *AlertResult) Problem(field, text string) Problem { return a.alert.problem(field, "%s", text) }

// assembly puts the objects together.
type assembly struct {
	options   Options
	given     map[reference]map[string][]byte
	missing   map[reference]string
	secrets   map[reference]*Secret
	alerts    map[reference][]*Alert // by the Provider that they refer to
	variables map[string]string      // of the environment, and the key that each stands for

	faults, warnings Problems
}

// Results returns the Providers with their Alerts. It does not change the manifests.
func (m *Manifests) Results(options Options) Results {
	t := &assembly{
		options: options, given: m.given, missing: m.missing, faults: slices.Clone(m.faults), variables: map[string]string{},
		secrets: map[reference]*Secret{}, alerts: map[reference][]*Alert{},
	}
	providers := t.collect(m.files)
	results := make([]Result, 0, len(providers))
	for _, p := range providers {
		results = append(results, t.provider(p))
	}
	t.reportLostAlerts()
	return Results{Providers: results, Faults: t.faults.sorted(), Warnings: t.warnings.sorted()}
}

// collect returns the Providers, sorted, and keeps Alerts and Secrets. Of two objects with
// one name the first is used.
func (t *assembly) collect(files []*File) []*Provider {
	var providers []*Provider
	first := map[string]*Object{}
	isFirst := func(o *Object) bool {
		before, again := first[o.String()]
		if again {
			t.faults = append(t.faults, o.problem("", "is defined twice, first in %s: this one is not used", place(before)))
			return false
		}
		first[o.String()] = o
		t.warnings = append(t.warnings, o.warnings...)
		return true
	}
	for _, f := range files {
		t.faults, t.warnings = append(t.faults, f.faults...), append(t.warnings, f.warnings...)
		for _, p := range f.providers {
			if isFirst(p.Object) {
				providers = append(providers, p)
			}
		}
		for _, a := range f.alerts {
			if isFirst(a.Object) {
				to := reference{a.Namespace, a.ProviderRef}
				t.alerts[to] = append(t.alerts[to], a)
			}
		}
		for _, s := range f.secrets {
			t.secret(s)
		}
	}
	slices.SortFunc(providers, func(a, b *Provider) int { return compareNames(a.Namespace, a.Name, b.Namespace, b.Name) })
	return providers
}

func compareNames(namespace, name, otherNamespace, otherName string) int {
	return cmp.Or(strings.Compare(namespace, otherNamespace), strings.Compare(name, otherName))
}

func place(o *Object) string {
	if o.file == "" {
		return "the cluster"
	}
	return Problem{File: o.file, Line: o.line}.String()
}

// secret keeps a Secret for the Provider that refers to it. What is wrong with it matters
// only then: others may be there for other uses.
func (t *assembly) secret(s *Secret) {
	if first, again := t.secrets[s.ref()]; again {
		if len(first.again) < maxPerObject {
			kept := *first
			kept.again = append(slices.Clone(first.again), s)
			t.secrets[s.ref()] = &kept
		}
		return
	}
	t.secrets[s.ref()] = s
}

// provider makes the result of a Provider.
func (t *assembly) provider(p *Provider) Result {
	r := Result{Namespace: p.Namespace, Name: p.Name, UID: p.UID, Faults: slices.Clone(p.faults), provider: p}
	if p.ServiceAccountName != "" && t.options.ServiceAccounts {
		r.ServiceAccountName = p.ServiceAccountName
	} else if p.ServiceAccountName != "" {
		r.fault("spec.serviceAccountName", "is not supported here, because the collector has one identity, its own: "+
			"grant the permissions of "+p.ServiceAccountName+" to the collector's service account, and remove the field")
	}
	t.settings(&r)
	r.Ready = len(r.Faults) == 0
	if !t.secretsOf(&r) {
		r.Ready = false
	}
	r.Faults = r.Faults.sorted()
	t.alertsOf(&r)
	return r
}

func (r *Result) fault(field, text string) { r.Faults = append(r.Faults, r.Problem(field, text)) }

func (t *assembly) warn(o *Object, path, format string, args ...any) {
	t.warnings = append(t.warnings, o.problem(path, format, args...))
}

// alertsOf adds the Alerts that can match anything, sorted.
func (t *assembly) alertsOf(r *Result) {
	to := reference{r.Namespace, r.Name}
	alerts := t.alerts[to]
	delete(t.alerts, to)
	slices.SortFunc(alerts, func(a, b *Alert) int { return strings.Compare(a.Name, b.Name) })
	for _, a := range alerts {
		r.Faults = append(r.Faults, a.faults...)
		if len(a.faults) > 0 {
			continue
		}
		sources, faults := t.sourcesOf(a)
		r.Faults = append(r.Faults, faults...)
		switch {
		case len(a.EventSources) == 0:
			t.warn(a.Object, "spec.eventSources", "is empty: the Alert matches nothing")
		case len(sources) > 0:
			r.Alerts = append(r.Alerts, AlertResult{Name: a.Name, Settings: alertSettings(a, sources), alert: a})
		}
	}
	switch {
	case len(alerts) == 0:
		t.warn(r.provider.Object, "", "no Alert refers to it: nothing is sent")
	case len(r.Alerts) == 0:
		t.warn(r.provider.Object, "", "no Alert that refers to it can match anything: nothing is sent")
	}
}

// sourcesOf returns the event sources that an Alert may use. As in Flux, one of another
// namespace is left out where the options say so, and the others still count.
func (t *assembly) sourcesOf(a *Alert) (sources []Source, faults Problems) {
	for _, s := range a.EventSources {
		if t.options.NoCrossNamespaceRefs && s.Namespace != "" && s.Namespace != a.Namespace {
			faults = append(faults, a.problem(s.path+".namespace",
				"is not the Alert's own namespace %s, and references across namespaces are off: this source is not used", a.Namespace))
			continue
		}
		if len(s.MatchLabels) > 0 && !t.options.Labels {
			t.warn(a.Object, s.path+".matchLabels", "Flux's events do not have the labels of their objects: "+
				"nothing matches until a processor adds attributes k8s.object.label.<key>")
		}
		sources = append(sources, s)
	}
	if len(faults) > maxPerObject {
		faults = append(faults[:maxPerObject:maxPerObject], a.problem("", "has more problems than are listed here"))
	}
	return sources, faults
}

// reportLostAlerts reports Alerts whose Provider does not exist.
func (t *assembly) reportLostAlerts() {
	for to, alerts := range t.alerts {
		for _, a := range alerts {
			t.faults = append(t.faults, a.faults...)
			if to.name != "" {
				t.faults = append(t.faults, a.problem("spec.providerRef", "there is no Provider %s", to))
			}
		}
	}
}

// secretsOf adds the Secrets of a Provider. ok is false if one is absent or faulty.
func (t *assembly) secretsOf(r *Result) (ok bool) {
	ok = true
	p := r.provider
	for _, s := range []struct {
		field, name, key string
		values           *map[string][]byte
	}{
		{"secretRef", p.SecretRef, "secret", &r.Secret},
		{"certSecretRef", p.CertSecretRef, "cert_secret", &r.CertSecret},
		{"proxySecretRef", p.ProxySecretRef, "proxy_secret", &r.ProxySecret},
	} {
		ref, path := reference{p.Namespace, s.name}, "spec."+s.field
		switch row, known := p.row(); {
		case s.name == "" || !known:
		case s.key == "proxy_secret" && row.Bus:
			t.warn(p.Object, path, "the type %s does not use it", p.Type)
		case t.options.Secrets == SecretsMounted:
			r.Settings[s.key+"_dir"] = filepath.Join(t.options.SecretRoot, ref.namespace, ref.name)
		case t.options.Secrets == SecretsFromEnvironment:
			r.Settings[s.key] = t.placeholders(r, row, ref, s.field)
		default:
			var found bool
			*s.values, found = t.values(r, ref, path)
			ok = ok && found
		}
	}
	return ok
}

// values returns those of a Secret. ok is false if it is absent or faulty.
func (t *assembly) values(r *Result, ref reference, path string) (values map[string][]byte, ok bool) {
	if given, ok := t.given[ref]; ok {
		return given, true
	}
	if reason, ok := t.missing[ref]; ok {
		r.fault(path, "the Secret "+ref.String()+" "+reason)
		return nil, false
	}
	secret, found := t.secrets[ref]
	if !found || t.options.SecretRoot != "" {
		hint := ""
		if t.options.SecretRoot != "" {
			hint = ": mount it as " + filepath.Join(t.options.SecretRoot, ref.namespace, ref.name)
		}
		r.fault(path, "there is no Secret "+ref.String()+hint)
		return nil, false
	}
	known := len(r.Faults)
	r.Faults = append(r.Faults, secret.faults...)
	if secret.encrypted {
		r.Faults = append(r.Faults, secret.problem("sops", "the Secret is encrypted: decrypt the file, or mount the Secret and set the folder of Secrets"))
	}
	ok = len(r.Faults) == known
	t.warnings = append(t.warnings, secret.warnings...)
	for _, again := range secret.again {
		r.Faults = append(r.Faults, again.problem("", "is defined twice, first in %s: this one is not used", place(secret.Object)))
	}
	return secret.values, ok
}
