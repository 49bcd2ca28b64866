package fluxnotifyexporter

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.uber.org/zap"

	"github.com/fluxnotify/otelcol-flux/internal/outbox"
	"github.com/fluxnotify/otelcol-flux/internal/source"
	"github.com/fluxnotify/otelcol-flux/internal/target"
)

// notifyExporter sends log records as notifications. The way of a record:
//
//	match     decides which alerts of which targets want it: one notification for each
//	outbox    stores the notifications; then the sender is answered
//	deliver   takes due notifications, renders and sends them
//
// A target is one Provider with its Alerts. There is one if the Provider is in the
// configuration, or any number, live, from a source.
type notifyExporter struct {
	config    *Config
	set       exporter.Settings
	errorFrom plog.SeverityNumber
	telemetry *telemetry
	source    source.Source // nil: the Provider is in the configuration
	// makeSource is newSource, but in tests.
	makeSource func(context.Context, component.Host) (source.Source, error)
	labels     labeler // nil: labels of objects are those of records

	extensions map[component.ID]component.Component
	state      storage.Client // of the source; nil: none
	outbox     *outbox.Outbox
	once       sync.Once

	// applying lets one change of the targets at a time be applied.
	applying sync.Mutex
	targets  map[string]*running
	faults   map[string]bool // those that were logged
	stopped  bool
	building sync.WaitGroup
	// deletionTime is deletionTime, but in tests.
	deletionTime time.Duration
	lifetime     context.Context // of what is built
	end          context.CancelFunc
	// active are the targets that match records. nil: they are not known yet.
	active atomic.Pointer[[]*running]
	// observed are all targets, for the gauges.
	observed atomic.Pointer[observed]
}

// observed is what the gauges read.
type observed struct {
	targets []*running
	faults  int // those of no target
}

// storageName names the exporter's storage among those of its component.
const storageName = "outbox"

// inlineTarget is the outbox's name of the target that the configuration holds.
const inlineTarget = "inline"

func newExporter(set exporter.Settings, config *Config) (*notifyExporter, error) {
	errorFrom, err := config.errorFrom()
	if err != nil {
		return nil, err
	}
	e := &notifyExporter{config: config, set: set, errorFrom: errorFrom, targets: map[string]*running{}, faults: map[string]bool{}, deletionTime: deletionTime}
	e.makeSource = e.newSource
	if e.telemetry, err = newTelemetry(e); err != nil {
		return nil, err
	}
	e.lifetime, e.end = context.WithCancel(context.Background())
	if config.live() {
		return e, nil
	}
	matcher, err := target.NewMatcher(&config.Target, set.Logger)
	if err != nil {
		return nil, err
	}
	r := e.newRunning(inlineTarget, config.Target.Type)
	r.matcher.Store(matcher)
	e.targets[inlineTarget] = r
	return e, nil
}

// keeps reports whether notifications outlive a restart.
func (e *notifyExporter) keeps() bool {
	return e.config.QueueConfig.Enabled && e.config.QueueConfig.StorageID != nil
}

// Start implements component.StartFunc.
func (e *notifyExporter) Start(ctx context.Context, host component.Host) error {
	e.extensions = host.GetExtensions()
	inline := e.targets[inlineTarget]
	if inline != nil {
		if err := inline.holder.Start(ctx, &e.config.Target, e.extensions); err != nil {
			return err
		}
	}
	if err := e.open(ctx, host); err != nil {
		return err
	}
	if inline == nil {
		return e.startSource(ctx, host)
	}
	inline.open()
	e.publish(0)
	inline.dispatcher.Start(inline.queue)
	e.logReady(1, len(e.config.Target.Alerts))
	return nil
}

func (e *notifyExporter) logReady(targets, alerts int) {
	waiting := 0
	for _, r := range e.targets {
		waiting += r.queue.Waiting()
	}
	e.set.Logger.Info("flux_notify is ready",
		zap.String("providers_from", e.config.origin()), zap.Int("targets", targets), zap.Int("alerts", alerts),
		zap.String("storage", e.storageText()), zap.Int("waiting", waiting))
}

func (e *notifyExporter) storageText() string {
	if !e.keeps() {
		return "none, notifications are in memory"
	}
	return e.config.QueueConfig.StorageID.String()
}

// maxInMemory bounds the notifications of all live targets that wait in memory.
const maxInMemory = 100_000

// open opens the outbox in its storage.
func (e *notifyExporter) open(ctx context.Context, host component.Host) (err error) {
	options := outbox.Options{MaxFailed: e.config.Failed.Max, MaxFailedAge: e.config.Failed.MaxAge, Logger: e.set.Logger}
	if e.config.live() {
		options.MaxWaiting = maxInMemory
	}
	if e.keeps() {
		if options.Client, err = e.client(ctx, host, storageName); err != nil {
			return err
		}
	}
	box, err := outbox.Open(ctx, options)
	if err != nil {
		err = fmt.Errorf("sending_queue::storage: the storage of %q in the extension %q cannot be used: %w", e.set.ID, e.storageText(), err)
		if options.Client != nil {
			err = errors.Join(err, options.Client.Close(ctx))
		}
		return err
	}
	e.outbox = box
	return nil
}

// client opens a storage of the exporter.
func (e *notifyExporter) client(ctx context.Context, host component.Host, name string) (storage.Client, error) {
	id := *e.config.QueueConfig.StorageID
	found, configured := host.GetExtensions()[id]
	extension, isStorage := found.(storage.Extension)
	switch {
	case !configured:
		return nil, fmt.Errorf("sending_queue::storage: there is no extension %q: configure it under extensions, and list it in service::extensions", id)
	case !isStorage:
		return nil, fmt.Errorf("sending_queue::storage: the extension %q is not a storage, use one such as file_storage", id)
	}
	client, err := extension.GetClient(ctx, component.KindExporter, e.set.ID, name)
	if err != nil {
		return nil, fmt.Errorf("sending_queue::storage: the extension %q cannot open the storage of %q: %w", id, e.set.ID, err)
	}
	return client, nil
}

// Shutdown implements component.ShutdownFunc. What waits stays in the storage; without
// one it is attempted once more.
func (e *notifyExporter) Shutdown(ctx context.Context) error {
	var err error
	e.once.Do(func() {
		if e.source != nil {
			err = e.source.Shutdown(ctx)
		}
		e.applying.Lock()
		e.stopped = true
		e.applying.Unlock()
		e.end()
		e.building.Wait()
		err = errors.Join(err, e.shutdownTargets(ctx))
		if e.outbox != nil {
			err = errors.Join(err, e.outbox.Close(ctx))
		}
		if e.state != nil {
			err = errors.Join(err, e.state.Close(ctx))
		}
		e.telemetry.shutdown()
	})
	return err
}

// shutdownTargets ends the deliveries of all targets at once, since each may take
// seconds, and then their providers.
func (e *notifyExporter) shutdownTargets(ctx context.Context) error {
	var mu sync.Mutex
	var err error
	var ending sync.WaitGroup
	for _, r := range e.targets {
		ending.Go(func() {
			failed := r.shutdown(ctx)
			mu.Lock()
			defer mu.Unlock()
			err = errors.Join(err, failed)
		})
	}
	ending.Wait()
	return err
}
