// Package source says where Providers and Alerts come from, while the exporter runs: a
// folder of Flux manifests, or the Kubernetes API. The exporter adds, replaces and
// removes targets as the set changes.
package source

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/fluxnotify/otelcol-flux/internal/target"
)

// Source gives a set of targets, and its changes.
type Source interface {
	// Start begins to read. It calls changed with the first complete set, and with the
	// whole set after every change: one call at a time, until Shutdown. It returns an
	// error only for settings that can never work. What may work later, it tries again.
	Start(ctx context.Context, changed func(Set)) error
	// Shutdown ends the calls of changed. It may be called twice, and before Start.
	Shutdown(ctx context.Context) error
}

// Set is everything that a source holds. Its receiver must not change it.
type Set struct {
	// Targets are the Providers, sorted by namespace and name.
	Targets []Target
	// Faults are those of no Target: a file that cannot be read, an Alert without its
	// Provider.
	Faults []Fault
	// Warnings are about what works, but perhaps not as its author expects.
	Warnings []Fault
}

// AllFaults are those of the set and of its targets.
func (s *Set) AllFaults() []Fault {
	all := slices.Clone(s.Faults)
	for i := range s.Targets {
		all = append(all, s.Targets[i].Faults...)
	}
	return all
}

// Target is one Provider with its Alerts.
type Target struct {
	// Namespace and Name identify it. No two targets of a set have the same.
	Namespace, Name string
	// Config has the settings of the Provider, the values of its Secrets, and its
	// Alerts without those that are faulty. The type and the Alerts are there even if
	// the target is not ready.
	Config target.Config
	// Ready reports that the target can deliver. Otherwise what its Alerts want waits.
	Ready bool
	// Faults are those of the Provider, its Secrets and its Alerts.
	Faults []Fault
}

// ID is the identity of a target: "namespace/name".
func (t *Target) ID() string { return t.Namespace + "/" + t.Name }

// Fault is what is wrong with one object. It holds no value of a Secret, an address or a
// channel.
type Fault struct {
	// Kind, Namespace and Name are the object's. Empty if it is not known.
	Kind, Namespace, Name string
	// File and Line are where it is. Empty where it is not in a file.
	File string
	Line int
	// Field leads to the field: "spec.eventSeverity".
	Field string
	// Text says what is wrong, and what would be right.
	Text string
}

// String is "alerts.yaml:17: Alert apps/slack: spec.eventSeverity: …".
func (f Fault) String() string {
	var parts []string
	if f.File != "" {
		place := f.File
		if f.Line > 0 {
			place = fmt.Sprintf("%s:%d", f.File, f.Line)
		}
		parts = append(parts, place)
	}
	if f.Kind != "" {
		parts = append(parts, f.Object())
	}
	if f.Field != "" {
		parts = append(parts, f.Field)
	}
	return strings.Join(append(parts, f.Text), ": ")
}

// Object is "Alert apps/slack", or the kind where there is no name.
func (f Fault) Object() string {
	if f.Name == "" {
		return f.Kind
	}
	return f.Kind + " " + f.Namespace + "/" + f.Name
}
