package fluxnotifyexporter

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/fluxnotify/otelcol-flux/internal/deliver"
	"github.com/fluxnotify/otelcol-flux/internal/outbox"
	"github.com/fluxnotify/otelcol-flux/internal/source"
	"github.com/fluxnotify/otelcol-flux/internal/target"
)

// running is a target in use.
type running struct {
	exporter   *notifyExporter
	id         string
	holder     *target.Holder
	dispatcher *deliver.Dispatcher
	queue      *outbox.Queue
	report     *report

	// matcher decides what the target's alerts want; nil: it has none.
	matcher atomic.Pointer[target.Matcher]
	faults  atomic.Int64

	// The rest belongs to a target from a source. spec is the latest; version counts
	// the changes, so that an older one is not built after a later one.
	spec     atomic.Pointer[source.Target]
	version  atomic.Int64
	building sync.Mutex
	built    *target.Config // what the provider in use was made of; nil: none
	deletion *time.Timer
}

// newRunning makes a target without a provider.
func (e *notifyExporter) newRunning(id, providerType string) *running {
	r := &running{exporter: e, id: id, holder: target.NewHolder(e.set.ID, e.set.TelemetrySettings, e.config.QueueConfig.NumConsumers)}
	r.report = e.telemetry.report(r.name(), providerType)
	r.dispatcher = deliver.New(r.settings(), r.holder)
	return r
}

// name is the name of the Provider; empty if it is in the configuration.
func (r *running) name() string {
	if r.id == inlineTarget {
		return ""
	}
	return r.id
}

func (r *running) settings() deliver.Settings {
	c := r.exporter.config
	settings := deliver.Settings{
		Workers: c.QueueConfig.NumConsumers, Retry: c.RetryConfig, Keep: r.exporter.keeps(), Report: r.report,
	}
	if c.RateLimit.Per > 0 {
		settings.Rate = rate.NewLimiter(rate.Every(c.RateLimit.Per), c.RateLimit.Burst)
	}
	return settings
}

// open opens the target's queue.
func (r *running) open() {
	c := r.exporter.config.QueueConfig
	options := outbox.QueueOptions{Wake: r.dispatcher.Wake}
	if c.Enabled {
		options.Limit = c.QueueSize
	}
	switch {
	case c.BlockOnOverflow:
		options.Overflow = outbox.Block
	case r.id != inlineTarget:
		options.Overflow, options.Full = outbox.FailNew, r.report.full
	}
	r.queue = r.exporter.outbox.Queue(r.id, options)
}

// apply changes what the target's alerts want, and has its provider built.
func (r *running) apply(spec *source.Target) {
	r.spec.Store(spec)
	r.report.describe(spec.Config.Type)
	r.faults.Store(int64(len(spec.Faults)))
	r.matcher.Store(r.newMatcher(spec))
	version := r.version.Add(1)
	r.exporter.building.Go(func() { r.build(spec, version) })
}

// newMatcher makes the matcher of a specification; nil if it has no alerts.
func (r *running) newMatcher(spec *source.Target) *target.Matcher {
	if len(spec.Config.Alerts) == 0 {
		return nil
	}
	config := spec.Config
	config.Suspend = false // what the Alerts of a suspended Provider want waits
	matcher, err := target.NewMatcher(&config, r.exporter.set.Logger)
	if err != nil { // the type is unknown, which the source reports
		return nil
	}
	return matcher
}

// build makes the provider of a specification, unless it is in use already. It may take
// as long as the endpoint lets it, so it holds up no other target.
func (r *running) build(spec *source.Target, version int64) {
	r.building.Lock()
	defer r.building.Unlock()
	if r.version.Load() != version {
		return // a later change follows
	}
	switch {
	case !spec.Ready:
		r.dispatcher.SetReady(notReady(spec))
		return
	case spec.Config.Suspend:
		r.dispatcher.SetReady("the Provider is suspended")
		return
	}
	config := spec.Config
	config.Alerts = nil
	if r.built == nil || !reflect.DeepEqual(*r.built, config) {
		ctx, cancel := context.WithTimeout(r.exporter.lifetime, buildTime)
		defer cancel()
		if err := r.holder.Replace(ctx, &config, r.exporter.extensions); err != nil {
			r.fault(spec, err)
			r.dispatcher.SetReady(err.Error())
			return
		}
		r.built = &config
	}
	r.dispatcher.SetReady("")
}

// buildTime bounds what a provider does before it is used.
const buildTime = time.Minute

// notReady says why a target cannot deliver.
func notReady(spec *source.Target) string {
	if len(spec.Faults) > 0 {
		return spec.Faults[0].String()
	}
	return "the Provider is not ready"
}

// fault reports what only the making of the provider has shown.
func (r *running) fault(spec *source.Target, err error) {
	r.faults.Add(1)
	r.exporter.logFault(source.Fault{Kind: "Provider", Namespace: spec.Namespace, Name: spec.Name, Field: "spec", Text: err.Error()})
}

func (r *running) shutdown(ctx context.Context) error {
	if r.deletion != nil {
		r.deletion.Stop()
	}
	return errors.Join(r.dispatcher.Shutdown(ctx), r.holder.Shutdown(ctx))
}
