package fluxnotifyexporter

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/fluxnotify/otelcol-flux/exporter/fluxnotifyexporter/internal/metadata"
	"github.com/fluxnotify/otelcol-flux/internal/deliver"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/outbox"
)

// telemetry holds the metrics of an exporter.
type telemetry struct {
	builder *metadata.TelemetryBuilder
	set     exporter.Settings
}

// report counts every notification of a target once, and logs what a person must act on.
type report struct {
	builder  *metadata.TelemetryBuilder
	logger   *zap.Logger
	exporter string
	name     string
	target   atomic.Pointer[attributeSets]
	health   health
	failures failureLog
}

// attributeSets are the attributes of a target, made once.
type attributeSets struct {
	target     []attribute.KeyValue
	self, sent metric.MeasurementOption
	filtered   sync.Map // by rule: with many targets, most filter most events
}

var _ deliver.Reporter = (*report)(nil)

// health is what the log says about the endpoint: once when deliveries begin to fail,
// once when they succeed again.
type health struct {
	failing atomic.Bool // as last logged
	mu      sync.Mutex
	logged  map[bool]time.Time
}

// silence is how long the log does not repeat either, for an endpoint that fails now
// and then.
const silence = time.Minute

// turns reports whether to log the state. A change within the silence is logged later, if
// it is still true.
func (h *health) turns(failing bool) bool {
	if h.failing.Load() == failing {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if last, ever := h.logged[failing]; h.failing.Load() == failing || ever && time.Since(last) < silence {
		return false
	}
	h.logged[failing] = time.Now()
	h.failing.Store(failing)
	return true
}

// newTelemetry makes the metrics of an exporter. The gauges read its state.
func newTelemetry(e *notifyExporter) (*telemetry, error) {
	builder, err := metadata.NewTelemetryBuilder(e.set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	t := &telemetry{builder: builder, set: e.set}
	return t, t.observe(e)
}

// observe makes the gauges read the state of the exporter.
func (t *telemetry) observe(e *notifyExporter) error {
	ints := func(value func(r *running) int) metric.Int64Callback {
		return func(_ context.Context, o metric.Int64Observer) error {
			for _, r := range e.all() {
				o.Observe(int64(value(r)), r.report.target.Load().self)
			}
			return nil
		}
	}
	seconds := func(value func(r *running) float64) metric.Float64Callback {
		return func(_ context.Context, o metric.Float64Observer) error {
			for _, r := range e.all() {
				o.Observe(value(r), r.report.target.Load().self)
			}
			return nil
		}
	}
	return errors.Join(
		t.builder.RegisterExporterFluxNotifyWaitingCallback(ints(func(r *running) int { return r.queue.Waiting() })),
		t.builder.RegisterExporterFluxNotifyFailedKeptCallback(ints(func(r *running) int { return e.outbox.FailedCount(r.id) })),
		t.builder.RegisterExporterFluxNotifyOldestWaitingCallback(seconds(func(r *running) float64 { return age(r.queue.Oldest()) })),
		t.builder.RegisterExporterFluxNotifyThrottledCallback(seconds(func(r *running) float64 { return r.dispatcher.Throttled().Seconds() })),
		t.builder.RegisterExporterFluxNotifyTargetFaultsCallback(func(ctx context.Context, o metric.Int64Observer) error {
			if all := e.observed.Load(); all != nil && e.config.live() {
				o.Observe(int64(all.faults), metric.WithAttributes(attribute.String("exporter", e.set.ID.String())))
			}
			return ints(func(r *running) int { return int(r.faults.Load()) })(ctx, o)
		}),
	)
}

func (t *telemetry) shutdown() { t.builder.Shutdown() }

// report makes the report of a target. name is that of a Provider from a source.
func (t *telemetry) report(name, providerType string) *report {
	r := &report{
		builder: t.builder, exporter: t.set.ID.String(), name: name,
		// An endpoint's refusal has no cause in this program's stack.
		logger: t.set.Logger.WithOptions(zap.AddStacktrace(zap.FatalLevel)),
		health: health{logged: map[bool]time.Time{}},
	}
	if name != "" {
		r.logger = r.logger.With(zap.String("provider", name))
	} else {
		r.logger = r.logger.With(zap.String("provider_type", providerType))
	}
	r.describe(providerType)
	return r
}

// describe sets the provider type, which a source may change.
func (r *report) describe(providerType string) {
	target := []attribute.KeyValue{
		attribute.String("exporter", r.exporter),
		attribute.String("flux.provider.type", providerType),
	}
	if r.name != "" {
		target = append(target, attribute.String("flux.provider.name", r.name))
	}
	sets := &attributeSets{target: target}
	sets.self, sets.sent = sets.with(), sets.with(attribute.String("outcome", "sent"))
	r.target.Store(sets)
}

// with are the attributes of the target, and more.
func (s *attributeSets) with(more ...attribute.KeyValue) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(slices.Concat(s.target, more)...))
}

func (r *report) attributes(more ...attribute.KeyValue) metric.MeasurementOption {
	return r.target.Load().with(more...)
}

// age is how many seconds ago something was; 0 if it never was.
func age(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return max(time.Since(t).Seconds(), 0)
}

func (r *report) filtered(rule string) {
	sets := r.target.Load()
	option, known := sets.filtered.Load(rule)
	if !known {
		option, _ = sets.filtered.LoadOrStore(rule, sets.with(attribute.String("outcome", "filtered"), attribute.String("rule", rule)))
	}
	r.builder.ExporterFluxNotifyNotifications.Add(context.Background(), 1, option.(metric.MeasurementOption))
}

// Sent implements deliver.Reporter.
func (r *report) Sent(n *notify.Notification, accepted time.Time) {
	r.builder.ExporterFluxNotifyNotifications.Add(context.Background(), 1, r.target.Load().sent)
	r.builder.ExporterFluxNotifyTimeToDelivery.Record(context.Background(), age(accepted), r.target.Load().self)
	if r.health.turns(false) {
		r.logger.Info("notifications are delivered again", zap.String("object", objectName(n)))
	}
}

// Failed implements deliver.Reporter.
func (r *report) Failed(n *notify.Notification, failed *notify.Error, why string, returned bool) {
	if returned { // the sender has it, and may send it again
		r.logger.Debug("delivery failed, the record is returned to the sender", zap.String("object", objectName(n)), zap.Error(failed))
		return
	}
	r.builder.ExporterFluxNotifyNotifications.Add(context.Background(), 1, r.attributes(
		attribute.String("outcome", "failed"), attribute.String("error.type", failed.Type),
	))
	since, logged := r.failures.log(objectName(n), failed.Type)
	if !logged {
		return
	}
	fields := []zap.Field{
		zap.String("object", objectName(n)),
		zap.String("reason", n.Event.Reason),
		zap.String("alert", strings.Trim(n.Alert.Namespace+"/"+n.Alert.Name, "/")),
		zap.String("error_class", failed.Class.String()),
		zap.String("error", why+failed.Error()),
	}
	if since > 0 {
		fields = append(fields, zap.Int("not_logged", since))
	}
	// The object is in the message, because the collector's log sampling counts lines
	// by their message: a burst of failures must not hide any object's.
	r.logger.Error("notification not sent: "+objectName(n)+" "+n.Event.Reason, fields...)
}

// full reports a notification for which there was no room.
func (r *report) full(content []byte) {
	n, err := notify.Unmarshal(content)
	if err != nil {
		n = &notify.Notification{}
	}
	r.Failed(n, notify.Retryablef("queue_full", "%w: set sending_queue::queue_size to keep more", outbox.ErrFull), "", false)
}

// Retrying implements deliver.Reporter.
func (r *report) Retrying(n *notify.Notification, failed *notify.Error) {
	r.builder.ExporterFluxNotifyRetries.Add(context.Background(), 1, r.attributes(attribute.String("error.type", failed.Type)))
	fields := []zap.Field{zap.String("object", objectName(n)), zap.String("error_class", failed.Class.String()), zap.String("error", failed.Error())}
	if r.health.turns(true) {
		r.logger.Warn("delivery failed, retrying; further failures are logged at debug level until deliveries succeed", fields...)
		return
	}
	r.logger.Debug("delivery failed, retrying", fields...)
}

// Attempted implements deliver.Reporter.
func (r *report) Attempted(took time.Duration, failed *notify.Error) {
	option := r.target.Load().self
	if failed != nil {
		option = r.attributes(attribute.String("error.type", failed.Type))
	}
	r.builder.ExporterFluxNotifyDeliveryDuration.Record(context.Background(), took.Seconds(), option)
}

func objectName(n *notify.Notification) string {
	o := &n.Event.InvolvedObject
	return o.Kind + "/" + o.Namespace + "/" + o.Name
}
