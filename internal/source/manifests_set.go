package source

import (
	"bytes"
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/confmap"

	"github.com/fluxnotify/otelcol-flux/internal/alert"
	"github.com/fluxnotify/otelcol-flux/internal/fluxmanifest"
	"github.com/fluxnotify/otelcol-flux/internal/target"
)

// SetMaker makes sets out of manifests, from files or from the Kubernetes API. It
// remembers the targets that it has made: one whose settings are the same is not checked
// again. The zero value is ready to use.
type SetMaker struct {
	made map[string]*madeTarget // by ID
}

// madeTarget is a target, and what it was made of.
type madeTarget struct {
	from   targetInput
	config target.Config
	ready  bool
	faults []settingFault
	// warnings are about what works.
	warnings []settingFault
}

// targetInput is what the settings of a target are made of.
type targetInput struct {
	ready                           bool
	uid                             string
	settings                        map[string]any
	alerts                          []map[string]any
	secret, certSecret, proxySecret map[string][]byte
}

// settingFault is a fault without its line.
type settingFault struct {
	alert       int // index of the Alert; -1: of the Provider
	field, text string
}

const ofProvider = -1

// Set makes a set. Targets that are no longer there are forgotten.
func (m *SetMaker) Set(results fluxmanifest.Results) Set {
	made := make(map[string]*madeTarget, len(results.Providers))
	set := Set{Targets: make([]Target, 0, len(results.Providers)), Faults: faultsOf(results.Faults), Warnings: faultsOf(results.Warnings)}
	for i := range results.Providers {
		r := &results.Providers[i]
		t := Target{Namespace: r.Namespace, Name: r.Name}
		from := inputOf(r)
		of := m.made[t.ID()]
		if of == nil || !of.from.equal(&from) {
			of = makeTarget(r, from)
		}
		made[t.ID()] = of
		t.Config, t.Ready = of.config, of.ready
		// Those of the Provider come first: they say why it is not ready.
		t.Faults = slices.Concat(placed(r, of.faults), faultsOf(r.Faults))
		set.Targets = append(set.Targets, t)
		set.Warnings = append(set.Warnings, placed(r, of.warnings)...)
	}
	m.made = made
	sortFaults(set.Warnings)
	return set
}

func faultsOf(problems fluxmanifest.Problems) []Fault {
	if len(problems) == 0 {
		return nil
	}
	faults := make([]Fault, len(problems))
	for i, p := range problems {
		faults[i] = Fault(p)
	}
	return faults
}

// placed adds the lines to faults.
func placed(r *fluxmanifest.Result, faults []settingFault) []Fault {
	var list []Fault
	for _, f := range faults {
		if f.alert == ofProvider {
			list = append(list, Fault(r.Problem(f.field, f.text)))
		} else {
			list = append(list, Fault(r.Alerts[f.alert].Problem(f.field, f.text)))
		}
	}
	return list
}

func sortFaults(faults []Fault) {
	slices.SortStableFunc(faults, func(a, b Fault) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), strings.Compare(a.Object(), b.Object()))
	})
}

func inputOf(r *fluxmanifest.Result) targetInput {
	in := targetInput{
		ready: r.Ready, uid: cmp.Or(r.UID, alert.DeriveUID("provider", r.Namespace, r.Name)),
		settings: r.Settings, secret: r.Secret, certSecret: r.CertSecret, proxySecret: r.ProxySecret,
	}
	for i := range r.Alerts {
		in.alerts = append(in.alerts, r.Alerts[i].Settings)
	}
	return in
}

func (in *targetInput) equal(other *targetInput) bool {
	return in.ready == other.ready && in.uid == other.uid &&
		equalSecrets(in.secret, other.secret) && equalSecrets(in.certSecret, other.certSecret) && equalSecrets(in.proxySecret, other.proxySecret) &&
		reflect.DeepEqual(in.settings, other.settings) && reflect.DeepEqual(in.alerts, other.alerts)
}

func equalSecrets(a, b map[string][]byte) bool {
	return (a == nil) == (b == nil) && maps.EqualFunc(a, b, bytes.Equal)
}

// makeTarget decodes the settings of a target, and checks them.
func makeTarget(r *fluxmanifest.Result, from targetInput) *madeTarget {
	m := &madeTarget{from: from, ready: from.ready, config: target.NewConfig()}
	if err := confmap.NewFromStringMap(from.settings).Unmarshal(&m.config); err != nil {
		m.unusable(err)
	}
	m.config.Name, m.config.Namespace, m.config.UID = r.Name, r.Namespace, &from.uid
	m.config.Secret, m.config.CertSecret, m.config.ProxySecret = opaque(from.secret), opaque(from.certSecret), opaque(from.proxySecret)
	if m.ready { // otherwise what is wrong would be reported twice
		m.check()
	}
	m.addAlerts()
	return m
}

// unusable is a Provider whose settings have another form than those of an exporter.
func (m *madeTarget) unusable(err error) {
	providerType, _ := m.from.settings["type"].(string)
	m.config = target.NewConfig()
	m.config.Type = providerType
	if m.ready {
		m.fail("", err.Error())
	}
}

func opaque(values map[string][]byte) map[string]configopaque.String {
	if values == nil {
		return nil
	}
	texts := make(map[string]configopaque.String, len(values))
	for key, value := range values {
		texts[key] = configopaque.String(value)
	}
	return texts
}

// addAlerts adds the Alerts that are as they should be.
func (m *madeTarget) addAlerts() {
	for i, settings := range m.from.alerts {
		config, err := decodeAlert(settings)
		if err != nil {
			m.faults = append(m.faults, settingFault{i, "spec", err.Error()})
			continue
		}
		if errs := config.Check(); len(errs) > 0 {
			for _, err := range errs {
				setting, text, _ := strings.Cut(err.Error(), ": ")
				m.faults = append(m.faults, settingFault{i, fluxmanifest.AlertFieldOf(setting), text})
			}
			continue
		}
		m.config.Alerts = append(m.config.Alerts, config)
	}
}

// decodeAlert decodes the settings of an Alert. They are in a list, because in a map
// outside of one the collector's library splits keys at "::", those of metadata too.
func decodeAlert(settings map[string]any) (alert.Config, error) {
	var config struct {
		Alerts []alert.Config `mapstructure:"alerts"`
	}
	if err := confmap.NewFromStringMap(map[string]any{"alerts": []any{settings}}).Unmarshal(&config); err != nil {
		return alert.Config{}, err
	}
	return config.Alerts[0], nil
}

// check finds what the exporter would refuse, and the settings without which every
// notification would fail.
func (m *madeTarget) check() {
	if err := m.config.Check(); err != nil {
		for line := range strings.Lines(err.Error()) {
			field, text := fieldOf(strings.TrimSpace(line))
			m.fail(field, text)
		}
		return
	}
	missing, warnings := m.config.Examine()
	for _, line := range missing {
		m.fail(fieldOf(line))
	}
	for _, line := range warnings {
		field, text := fieldOf(line)
		m.warnings = append(m.warnings, settingFault{ofProvider, field, text})
	}
}

func (m *madeTarget) fail(field, text string) {
	m.ready = false
	m.faults = append(m.faults, settingFault{ofProvider, field, text})
}

// fieldOf returns the field of a Provider that an error about a setting is about.
func fieldOf(line string) (field, text string) {
	key, rest, _ := strings.Cut(line, ": ")
	line, _, _ = strings.Cut(line, ", here or as the ")
	field = fluxmanifest.FieldOf(key)
	if field == "spec."+key || key == "proxy_url" || key == "secret" || key == "cert_secret" || key == "proxy_secret" {
		line = rest
	}
	return field, line
}

// equalSets compares two sets. Lines of files may differ: a comment above an object is
// not a change.
func equalSets(a, b Set) bool {
	return equalFaults(a.Faults, b.Faults) && equalFaults(a.Warnings, b.Warnings) &&
		slices.EqualFunc(a.Targets, b.Targets, func(a, b Target) bool {
			return a.ID() == b.ID() && a.Ready == b.Ready && equalFaults(a.Faults, b.Faults) && reflect.DeepEqual(a.Config, b.Config)
		})
}

func equalFaults(a, b []Fault) bool {
	return slices.EqualFunc(a, b, func(a, b Fault) bool {
		a.Line, b.Line = 0, 0
		return a == b
	})
}
