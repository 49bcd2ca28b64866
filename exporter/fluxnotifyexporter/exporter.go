package fluxnotifyexporter

import (
	"context"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
)

// How long a stop may take, whatever the endpoint does. Kubernetes kills after
// 30 s by default.
const (
	// drainTime is for all of an in-memory queue.
	drainTime = 20 * time.Second
	// drainAttempt is for one notification.
	drainAttempt = 4 * time.Second
)

// notifyExporter tells a provider of log records. A record's way is:
//
//	ConsumeLogs   notes its place in the order of its object
//	queue         exporterhelper's: in memory, or persistent
//	dispatch      one goroutine per object of a batch, waits for its turn
//	retry         exporterhelper's, for each record alone, so that one record's
//	              failure repeats or delays no other
//	attempt       renders, delivers what is still owed, says what happened
//
// The queue and the retry are two exporterhelper chains, because one retry
// around a whole batch cannot keep an order, nor tell when a record is done.
type notifyExporter struct {
	decider
	config  *Config
	current *current
	order   *order
	report  *report

	queue exporter.Logs
	retry exporter.Logs

	// queued tells whether records go through a queue, and so may meet out of
	// order behind it. admission lets one sender at a time note and queue.
	queued    bool
	admission chan struct{}
	// keeps tells whether the queue brings records over a restart.
	keeps bool
	// toStorage tells the queue to keep what it is told of.
	toStorage error

	slots  chan struct{} // bounds the deliveries in flight
	gate   gate
	stop   chan struct{} // closed when the stop begins
	halted atomic.Bool

	// working bounds attempts that began before the stop, drain all of them.
	working, drain       context.Context
	endWorking, endDrain context.CancelFunc
	once                 sync.Once
}

func newExporter(ctx context.Context, set exporter.Settings, config *Config) (*notifyExporter, error) {
	d, err := newDecider(config, set.Logger)
	if err != nil {
		return nil, err
	}
	e := &notifyExporter{
		decider:   d,
		config:    config,
		order:     newOrder(),
		admission: make(chan struct{}, 1),
		stop:      make(chan struct{}),
	}
	width := exporterhelper.NewDefaultQueueConfig().NumConsumers
	if config.QueueConfig.HasValue() {
		queue := config.QueueConfig.Get()
		width = queue.NumConsumers
		e.queued = !queue.WaitForResult
		e.keeps = queue.StorageID != nil
	}
	if e.toStorage, err = keepInStorage(ctx, set); err != nil {
		return nil, err
	}
	e.slots = make(chan struct{}, width)
	e.current = &current{config: config, row: d.row, name: config.providerName(set.ID), uid: config.uid(set.ID), set: set.TelemetrySettings, width: width}
	if e.report, err = newReport(set.TelemetrySettings, d.row.Type); err != nil {
		return nil, err
	}
	return e, e.chain(ctx, set)
}

// chain makes the queue and the retry.
func (e *notifyExporter) chain(ctx context.Context, set exporter.Settings) error {
	noTimeout := exporterhelper.WithTimeout(exporterhelper.TimeoutConfig{}) // attempt bounds each delivery
	var err error
	e.queue, err = exporterhelper.NewLogs(ctx, queueSettings(set, e.queued), e.config, e.dispatch,
		noTimeout, exporterhelper.WithQueue(e.queueConfig()))
	if err != nil {
		return fmt.Errorf("sending_queue: %w", err)
	}
	e.retry, err = exporterhelper.NewLogs(ctx, retrySettings(set), e.config, e.attempt,
		noTimeout, exporterhelper.WithRetry(e.config.RetryConfig))
	if err != nil {
		return fmt.Errorf("retry_on_failure: %w", err)
	}
	return nil
}

// waitingPerSlot is how many records may be between queue and endpoint for each
// delivery that there can be at once: those that wait for their retry, or for an
// earlier event of their object, are to hold up nobody else.
const waitingPerSlot = 8

func (e *notifyExporter) queueConfig() configoptional.Optional[exporterhelper.QueueBatchConfig] {
	if !e.config.QueueConfig.HasValue() {
		return e.config.QueueConfig
	}
	queue := *e.config.QueueConfig.Get()
	queue.NumConsumers *= waitingPerSlot
	return configoptional.Some(queue)
}

var _ exporter.Logs = (*notifyExporter)(nil)

// Start implements component.Component.
func (e *notifyExporter) Start(ctx context.Context, host component.Host) error {
	e.drain, e.endDrain = context.WithCancel(context.Background())
	e.working, e.endWorking = context.WithCancel(e.drain)
	if err := e.current.start(ctx, host); err != nil {
		return err
	}
	if err := e.retry.Start(ctx, host); err != nil {
		return err
	}
	if !e.keeps {
		return e.queue.Start(ctx, host)
	}
	host = newPatientHost(host, *e.config.QueueConfig.Get().StorageID, e.report.logger)
	if err := e.queue.Start(ctx, host); err != nil {
		return fmt.Errorf("sending_queue::storage: %w", err)
	}
	return nil
}

// Shutdown implements component.Component. Retries end at once, the queue is
// drained, or kept in its storage, and the provider ends last.
func (e *notifyExporter) Shutdown(ctx context.Context) error {
	if e.drain == nil {
		return nil // never started
	}
	var err error
	e.once.Do(func() {
		e.halted.Store(true)
		close(e.stop)
		defer time.AfterFunc(drainAttempt, e.endWorking).Stop()
		defer time.AfterFunc(drainTime, e.endDrain).Stop()
		defer e.endDrain()
		defer e.endWorking()
		for _, stop := range []component.ShutdownFunc{e.retry.Shutdown, e.queue.Shutdown, e.current.shutdown} {
			if failed := stop(ctx); failed != nil && err == nil {
				err = failed
			}
		}
		e.report.shutdown()
	})
	return err
}

// Capabilities implements consumer.Consumer.
func (e *notifyExporter) Capabilities() consumer.Capabilities { return e.queue.Capabilities() }

// ConsumeLogs implements consumer.Logs.
func (e *notifyExporter) ConsumeLogs(ctx context.Context, logs plog.Logs) error {
	if !e.queued {
		return e.queue.ConsumeLogs(ctx, logs)
	}
	select {
	case e.admission <- struct{}{}:
		defer func() { <-e.admission }()
	case <-ctx.Done():
		return ctx.Err()
	}
	places := e.order.admit(laneKeys(logs))
	err := e.queue.ConsumeLogs(ctx, logs)
	if err != nil {
		e.order.withdraw(places)
	}
	return err
}

// seed makes the lanes of objects; two objects that share one wait for each
// other needlessly, and come to no harm.
var seed = maphash.MakeSeed()

func laneKeys(logs plog.Logs) []laneKey {
	keys := make([]laneKey, 0, logs.LogRecordCount())
	for _, resourceLogs := range logs.ResourceLogs().All() {
		for _, scopeLogs := range resourceLogs.ScopeLogs().All() {
			for _, record := range scopeLogs.LogRecords().All() {
				o := fluxevent.ObjectOf(resourceLogs.Resource(), record)
				keys = append(keys, keyOf(&o, record))
			}
		}
	}
	return keys
}

func keyOf(o *fluxevent.Object, record plog.LogRecord) laneKey {
	var h maphash.Hash
	h.SetSeed(seed)
	for _, part := range []string{o.Kind, o.Namespace, o.Name} {
		_, _ = h.WriteString(part)
		_ = h.WriteByte(0)
	}
	return laneKey{object: h.Sum64(), stamp: record.ObservedTimestamp()}
}
