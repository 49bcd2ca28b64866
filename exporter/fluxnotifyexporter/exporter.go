package fluxnotifyexporter

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/fluxnotify/otelcol-flux/internal/deliver"
	"github.com/fluxnotify/otelcol-flux/internal/outbox"
	"github.com/fluxnotify/otelcol-flux/internal/target"
)

// notifyExporter sends log records as notifications. The way of a record:
//
//	match     decides which alerts want it: one notification for each
//	outbox    stores the notifications; then the sender is answered
//	deliver   takes due notifications, renders and sends them
type notifyExporter struct {
	config    *Config
	set       exporter.Settings
	errorFrom plog.SeverityNumber
	matcher   *target.Matcher
	holder    *target.Holder
	report    *report

	outbox     *outbox.Outbox
	queue      *outbox.Queue
	dispatcher *deliver.Dispatcher
	once       sync.Once
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
	matcher, err := target.NewMatcher(&config.Target, set.Logger)
	if err != nil {
		return nil, err
	}
	holder, err := target.NewHolder(&config.Target, set.ID, set.TelemetrySettings, config.QueueConfig.NumConsumers)
	if err != nil {
		return nil, err
	}
	e := &notifyExporter{config: config, set: set, errorFrom: errorFrom, matcher: matcher, holder: holder}
	if e.report, err = newReport(set, config.Target.Type); err != nil {
		return nil, err
	}
	e.dispatcher = deliver.New(e.deliverSettings(), holder)
	return e, nil
}

func (e *notifyExporter) deliverSettings() deliver.Settings {
	c := e.config
	settings := deliver.Settings{
		Workers: c.QueueConfig.NumConsumers, Timeout: e.holder.Timeout(), Retry: c.RetryConfig,
		Keep: e.keeps(), Report: e.report,
	}
	if c.RateLimit.Per > 0 {
		settings.Rate = rate.NewLimiter(rate.Every(c.RateLimit.Per), c.RateLimit.Burst)
	}
	return settings
}

// keeps tells whether notifications outlive a restart.
func (e *notifyExporter) keeps() bool {
	return e.config.QueueConfig.Enabled && e.config.QueueConfig.StorageID != nil
}

// Start implements component.StartFunc.
func (e *notifyExporter) Start(ctx context.Context, host component.Host) error {
	if err := e.holder.Start(ctx, host.GetExtensions()); err != nil {
		return err
	}
	box, err := e.open(ctx, host)
	if err != nil {
		return errors.Join(err, e.holder.Shutdown(ctx))
	}
	e.outbox = box
	options := outbox.QueueOptions{Wake: e.dispatcher.Wake}
	if e.config.QueueConfig.Enabled {
		options.Limit = e.config.QueueConfig.QueueSize
		if e.config.QueueConfig.BlockOnOverflow {
			options.Overflow = outbox.Block
		}
	}
	e.queue = box.Queue(inlineTarget, options)
	if err := e.report.observe(e); err != nil {
		return err
	}
	e.dispatcher.Start(e.queue)
	e.set.Logger.Info("flux_notify is ready",
		zap.String("provider_type", e.config.Target.Type), zap.Int("targets", 1), zap.Int("alerts", len(e.config.Target.Alerts)),
		zap.String("storage", e.storageText()), zap.Int("waiting", e.queue.Waiting()))
	return nil
}

func (e *notifyExporter) storageText() string {
	if !e.keeps() {
		return "none, notifications are in memory"
	}
	return e.config.QueueConfig.StorageID.String()
}

// open opens the outbox in its storage.
func (e *notifyExporter) open(ctx context.Context, host component.Host) (*outbox.Outbox, error) {
	options := outbox.Options{MaxFailed: e.config.Failed.Max, MaxFailedAge: e.config.Failed.MaxAge, Logger: e.set.Logger}
	if !e.keeps() {
		return outbox.Open(ctx, options)
	}
	id := *e.config.QueueConfig.StorageID
	found, configured := host.GetExtensions()[id]
	extension, isStorage := found.(storage.Extension)
	switch {
	case !configured:
		return nil, fmt.Errorf("sending_queue::storage: there is no extension %q: configure it under extensions, and list it in service::extensions", id)
	case !isStorage:
		return nil, fmt.Errorf("sending_queue::storage: the extension %q is not a storage, use one such as file_storage", id)
	}
	client, err := extension.GetClient(ctx, component.KindExporter, e.set.ID, storageName)
	if err != nil {
		return nil, fmt.Errorf("sending_queue::storage: the extension %q cannot open the storage of %q: %w", id, e.set.ID, err)
	}
	options.Client = client
	box, err := outbox.Open(ctx, options)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("sending_queue::storage: the storage of %q in the extension %q cannot be used: %w", e.set.ID, id, err), client.Close(ctx))
	}
	return box, nil
}

// Shutdown implements component.ShutdownFunc. What waits stays in the storage; without
// one it is attempted once more.
func (e *notifyExporter) Shutdown(ctx context.Context) error {
	var err error
	e.once.Do(func() {
		err = e.dispatcher.Shutdown(ctx)
		if e.outbox != nil {
			err = errors.Join(err, e.outbox.Close(ctx))
		}
		err = errors.Join(err, e.holder.Shutdown(ctx))
		e.report.shutdown()
	})
	return err
}
