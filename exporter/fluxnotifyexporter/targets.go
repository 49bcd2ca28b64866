package fluxnotifyexporter

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.uber.org/zap"

	"github.com/fluxnotify/otelcol-flux/internal/source"
)

const (
	// deletionTime is how long the notifications of a deleted Provider wait for an
	// object of the same name: a replacement, or a restored backup.
	deletionTime = 5 * time.Minute
	// maxTargets bounds the targets of an exporter.
	maxTargets = 5000
)

// errUnknown is the error of a record that arrives before the source has been read.
var errUnknown = errors.New("the Providers and Alerts have not been read yet")

// labeler knows the labels of objects.
type labeler interface {
	Labels(kind, namespace, name string) (map[string]string, bool)
}

// startSource starts the source. What a former start has left for targets that are gone
// waits as if they had just been deleted.
func (e *notifyExporter) startSource(ctx context.Context, host component.Host) error {
	var err error
	if e.source, err = e.makeSource(ctx, host); err != nil {
		return err
	}
	return e.source.Start(ctx, e.apply)
}

// apply makes the targets those of a set. What has not changed is not touched.
func (e *notifyExporter) apply(set source.Set) {
	e.applying.Lock()
	defer e.applying.Unlock()
	if e.stopped {
		return
	}
	first := e.active.Load() == nil
	faults := slices.Clone(set.Faults)
	if len(set.Targets) > maxTargets {
		faults = append(faults, source.Fault{Text: fmt.Sprintf("there are %d Providers, an exporter takes %d: the others are ignored", len(set.Targets), maxTargets)})
		set.Targets = set.Targets[:maxTargets]
	}
	there := make(map[string]bool, len(set.Targets))
	alerts := 0
	for i := range set.Targets {
		spec := &set.Targets[i]
		there[spec.ID()] = true
		alerts += len(spec.Config.Alerts)
		e.applyTarget(spec)
	}
	if first {
		e.adoptOrphans(there)
	}
	for id, r := range e.targets {
		if !there[id] && r.deletion == nil {
			e.remove(r)
		}
	}
	e.logFaults(faults, set)
	e.publish(len(faults))
	if first {
		e.logReady(len(set.Targets), alerts)
	}
}

// applyTarget adds a target, or changes it.
func (e *notifyExporter) applyTarget(spec *source.Target) {
	r := e.targets[spec.ID()]
	if r == nil {
		r = e.add(spec.ID(), spec.Config.Type)
	}
	returned := r.deletion != nil
	if returned {
		r.deletion.Stop()
		r.deletion = nil
	}
	if before := r.spec.Load(); returned || before == nil || !reflect.DeepEqual(before, spec) {
		r.apply(spec)
	}
}

// add adds a target that cannot deliver yet.
func (e *notifyExporter) add(id, providerType string) *running {
	r := e.newRunning(id, providerType)
	r.dispatcher.SetReady("the Provider is being prepared")
	r.open()
	r.dispatcher.Start(r.queue)
	e.targets[id] = r
	return r
}

// adoptOrphans adds the targets that are gone, and for which something waits.
func (e *notifyExporter) adoptOrphans(there map[string]bool) {
	for _, id := range e.outbox.Targets() {
		if there[id] || e.targets[id] != nil {
			continue
		}
		e.add(id, "")
	}
}

// remove lets a target wait for an object of the same name, and ends it if none comes.
func (e *notifyExporter) remove(r *running) {
	const deleted = "provider deleted"
	r.matcher.Store(nil)
	r.faults.Store(0)
	r.version.Add(1)
	r.dispatcher.SetReady(deleted)
	r.deletion = time.AfterFunc(e.deletionTime, func() {
		e.applying.Lock()
		defer e.applying.Unlock()
		if e.stopped || r.deletion == nil {
			return
		}
		delete(e.targets, r.id)
		r.dispatcher.Abandon(deleted)
		if err := r.shutdown(context.Background()); err != nil {
			e.set.Logger.Warn("closing a deleted Provider", zap.String("provider", r.id), zap.Error(err))
		}
		e.outbox.Forget(r.id)
		e.publish(e.observed.Load().faults)
	})
}

// all are the targets that are published.
func (e *notifyExporter) all() []*running {
	if o := e.observed.Load(); o != nil {
		return o.targets
	}
	return nil
}

// publish lets records match the targets, and gauges observe them.
func (e *notifyExporter) publish(faults int) {
	all := make([]*running, 0, len(e.targets))
	for _, r := range e.targets {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b *running) int { return strings.Compare(a.id, b.id) })
	active := slices.DeleteFunc(slices.Clone(all), func(r *running) bool { return r.matcher.Load() == nil })
	e.observed.Store(&observed{targets: all, faults: faults})
	e.active.Store(&active)
}

// logFaults logs the faults that are new, and those that are gone.
func (e *notifyExporter) logFaults(faults []source.Fault, set source.Set) {
	known := make(map[string]bool, len(e.faults))
	for _, f := range append(faults, set.AllFaults()[len(set.Faults):]...) {
		if key := faultKey(f); !known[key] {
			known[key] = true
			if !e.faults[key] {
				e.logFault(f)
			}
		}
	}
	for _, w := range set.Warnings {
		key := faultKey(w)
		known[key] = true
		if !e.faults[key] {
			e.set.Logger.Warn(w.String())
		}
	}
	for text := range e.faults {
		if !known[text] {
			e.set.Logger.Info("no longer: " + text)
		}
	}
	e.faults = known
}

// faultKey identifies a fault over changes of other objects in its file.
func faultKey(f source.Fault) string {
	f.Line = 0
	return f.String()
}

func (e *notifyExporter) logFault(f source.Fault) {
	e.set.Logger.Error(f.String(), zap.String("kind", f.Kind), zap.String("namespace", f.Namespace), zap.String("name", f.Name), zap.String("field", f.Field))
}
