package fluxnotifyexporter

import (
	"context"
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
)

// report counts every notification once, and logs what a person must act on.
type report struct {
	telemetry *metadata.TelemetryBuilder
	logger    *zap.Logger
	target    []attribute.KeyValue
	self      metric.MeasurementOption // target, as an option
	sentAttr  metric.MeasurementOption
	health    health
	failures  failureLog
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

// turns tells whether to log the state. A change within the silence is logged later, if
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

func newReport(set exporter.Settings, providerType string) (*report, error) {
	telemetry, err := metadata.NewTelemetryBuilder(set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	target := []attribute.KeyValue{
		attribute.String("exporter", set.ID.String()),
		attribute.String("flux.provider.type", providerType),
	}
	r := &report{
		telemetry: telemetry,
		// An endpoint's refusal has no cause in this program's stack.
		logger: set.Logger.With(zap.String("provider_type", providerType)).WithOptions(zap.AddStacktrace(zap.FatalLevel)),
		target: target,
		health: health{logged: map[bool]time.Time{}},
	}
	r.self = r.attributes()
	r.sentAttr = r.attributes(attribute.String("outcome", "sent"))
	return r, nil
}

// attributes are those of the target, and more.
func (r *report) attributes(more ...attribute.KeyValue) metric.MeasurementOption {
	all := append(r.target[:len(r.target):len(r.target)], more...)
	return metric.WithAttributeSet(attribute.NewSet(all...))
}

// observe makes the gauges read the state of the exporter.
func (r *report) observe(e *notifyExporter) error {
	for _, register := range []func() error{
		func() error {
			return r.telemetry.RegisterExporterFluxNotifyWaitingCallback(func(_ context.Context, o metric.Int64Observer) error {
				o.Observe(int64(e.queue.Waiting()), r.self)
				return nil
			})
		},
		func() error {
			return r.telemetry.RegisterExporterFluxNotifyOldestWaitingCallback(func(_ context.Context, o metric.Float64Observer) error {
				o.Observe(age(e.queue.Oldest()), r.self)
				return nil
			})
		},
		func() error {
			return r.telemetry.RegisterExporterFluxNotifyFailedKeptCallback(func(_ context.Context, o metric.Int64Observer) error {
				o.Observe(int64(e.outbox.FailedCount(inlineTarget)), r.self)
				return nil
			})
		},
		func() error {
			return r.telemetry.RegisterExporterFluxNotifyThrottledCallback(func(_ context.Context, o metric.Float64Observer) error {
				o.Observe(e.dispatcher.Throttled().Seconds(), r.self)
				return nil
			})
		},
	} {
		if err := register(); err != nil {
			return err
		}
	}
	return nil
}

// age is how many seconds ago something was; 0 if it never was.
func age(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return max(time.Since(t).Seconds(), 0)
}

func (r *report) shutdown() { r.telemetry.Shutdown() }

func (r *report) filtered(rule string) {
	r.telemetry.ExporterFluxNotifyNotifications.Add(context.Background(), 1,
		r.attributes(attribute.String("outcome", "filtered"), attribute.String("rule", rule)))
}

// Sent implements deliver.Reporter.
func (r *report) Sent(n *notify.Notification, accepted time.Time) {
	r.telemetry.ExporterFluxNotifyNotifications.Add(context.Background(), 1, r.sentAttr)
	r.telemetry.ExporterFluxNotifyTimeToDelivery.Record(context.Background(), age(accepted), r.self)
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
	r.telemetry.ExporterFluxNotifyNotifications.Add(context.Background(), 1, r.attributes(
		attribute.String("outcome", "failed"), attribute.String("error.type", failed.Type)))
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

// Retrying implements deliver.Reporter.
func (r *report) Retrying(n *notify.Notification, failed *notify.Error) {
	r.telemetry.ExporterFluxNotifyRetries.Add(context.Background(), 1, r.attributes(attribute.String("error.type", failed.Type)))
	fields := []zap.Field{zap.String("object", objectName(n)), zap.String("error_class", failed.Class.String()), zap.String("error", failed.Error())}
	if r.health.turns(true) {
		r.logger.Warn("delivery failed, retrying; further failures are logged at debug level until deliveries succeed", fields...)
		return
	}
	r.logger.Debug("delivery failed, retrying", fields...)
}

// Attempted implements deliver.Reporter.
func (r *report) Attempted(took time.Duration, failed *notify.Error) {
	option := r.self
	if failed != nil {
		option = r.attributes(attribute.String("error.type", failed.Type))
	}
	r.telemetry.ExporterFluxNotifyDeliveryDuration.Record(context.Background(), took.Seconds(), option)
}

func objectName(n *notify.Notification) string {
	o := &n.Event.InvolvedObject
	return o.Kind + "/" + o.Namespace + "/" + o.Name
}
