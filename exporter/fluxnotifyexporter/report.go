package fluxnotifyexporter

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/fluxnotify/otelcol-flux/exporter/fluxnotifyexporter/internal/metadata"
	"github.com/fluxnotify/otelcol-flux/internal/alert"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// ruleSuspend is the rule of a suspended provider. An alert's has the same name.
const ruleSuspend = alert.RuleSuspend

// report counts every notification once, and logs what a person must act on.
type report struct {
	telemetry *metadata.TelemetryBuilder
	logger    *zap.Logger
	typeAttr  attribute.KeyValue
	sentAttr  metric.MeasurementOption
	tookAttr  metric.MeasurementOption
	health    health
}

// health is what the log says of the endpoint: that it is in trouble, once
// deliveries are repeated, and that it is well again.
type health struct {
	ailing atomic.Bool // as was said last
	mu     sync.Mutex
	said   map[bool]time.Time
}

// silence is how long the log does not repeat either, for an endpoint that fails
// now and then.
const silence = time.Minute

// turns tells whether to say what the endpoint is now. What is passed over in
// silence is said later, if it is still so.
func (h *health) turns(ailing bool) bool {
	if h.ailing.Load() == ailing {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if last, ever := h.said[ailing]; h.ailing.Load() == ailing || ever && time.Since(last) < silence {
		return false
	}
	h.said[ailing] = time.Now()
	h.ailing.Store(ailing)
	return true
}

func newReport(set component.TelemetrySettings, providerType string) (*report, error) {
	telemetry, err := metadata.NewTelemetryBuilder(set)
	if err != nil {
		return nil, err
	}
	typeAttr := attribute.String("flux.provider.type", providerType)
	return &report{
		telemetry: telemetry,
		// An endpoint's refusal has no cause in this program's stack.
		logger:   set.Logger.With(zap.String("provider_type", providerType)).WithOptions(zap.AddStacktrace(zap.FatalLevel)),
		typeAttr: typeAttr,
		sentAttr: attributes(typeAttr, attribute.String("outcome", "sent")),
		tookAttr: attributes(typeAttr),
		health:   health{said: map[bool]time.Time{}},
	}, nil
}

func attributes(kv ...attribute.KeyValue) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(kv...))
}

func (r *report) shutdown() { r.telemetry.Shutdown() }

func (r *report) sent(d *delivery) {
	r.telemetry.ExporterFluxNotifyNotifications.Add(context.Background(), 1, r.sentAttr)
	if r.health.turns(false) {
		r.logger.Info("notifications are delivered again", zap.String("object", objectName(d)))
	}
}

func (r *report) filtered(rule string) {
	r.telemetry.ExporterFluxNotifyNotifications.Add(context.Background(), 1,
		attributes(r.typeAttr, attribute.String("outcome", "filtered"), attribute.String("rule", rule)))
}

// failed is for what will not be repeated. why is empty where the endpoint
// refused.
func (r *report) failed(d *delivery, o *owed, why string) {
	r.telemetry.ExporterFluxNotifyNotifications.Add(context.Background(), 1, attributes(r.typeAttr,
		attribute.String("outcome", "failed"),
		attribute.String("error.class", o.failed.Class.String()),
		attribute.String("error.type", o.failed.Type)))
	// The object is in the message, because the collector's log sampling counts
	// lines by their message: a burst of failures must not hide any object's.
	r.logger.Error("notification not sent: "+objectName(d)+" "+d.event.Reason,
		zap.String("object", objectName(d)),
		zap.String("reason", d.event.Reason),
		zap.String("alert", strings.Trim(o.notification.Alert.Namespace+"/"+o.notification.Alert.Name, "/")),
		zap.String("error_class", o.failed.Class.String()),
		zap.String("error", why+o.failed.Error()))
}

func (r *report) retrying(d *delivery, o *owed) {
	fields := []zap.Field{zap.String("object", objectName(d)), zap.String("error_class", o.failed.Class.String()), zap.String("error", o.failed.Error())}
	if r.health.turns(true) {
		r.logger.Warn("a notification could not be delivered and is tried again; so are those after it, without further notice", fields...)
		return
	}
	r.logger.Debug("notification is tried again", fields...)
}

// handedBack is for what the sender, told of the error, may send again.
func (r *report) handedBack(d *delivery, err error) {
	r.logger.Debug("notification is handed back to the sender", zap.String("object", objectName(d)), zap.Error(err))
}

func (r *report) took(d time.Duration, err error) {
	option := r.tookAttr
	if err != nil {
		option = attributes(r.typeAttr, attribute.String("error.type", notify.AsError(err).Type))
	}
	r.telemetry.ExporterFluxNotifyDeliveryDuration.Record(context.Background(), d.Seconds(), option)
}

func objectName(d *delivery) string {
	o := &d.event.InvolvedObject
	return o.Kind + "/" + o.Namespace + "/" + o.Name
}
