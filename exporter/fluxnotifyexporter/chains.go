package fluxnotifyexporter

import (
	"strings"

	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// The exporter is two exporterhelper chains. Each record goes through both, and
// is to be counted and logged once: the retry, which sees records one by one,
// counts what was sent and what failed; the queue counts what waits and what it
// refused.

func retrySettings(set exporter.Settings) exporter.Settings {
	set.Logger = zap.NewNop() // the report logs, naming object and provider
	return set
}

func queueSettings(set exporter.Settings, queued bool) exporter.Settings {
	set.MeterProvider = queueMeterProvider{set.MeterProvider}
	unsaid := "Exporting failed."
	if queued {
		unsaid += " Dropping data." // that the queue refuses data is for it to say
	}
	set.Logger = set.Logger.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core { return queueCore{core, unsaid} }))
	return set
}

// queueCore leaves out that data is dropped: where that is true the report has
// said so, and of what goes back to storage, or to the sender, it is not true.
type queueCore struct {
	zapcore.Core
	unsaid string
}

func (c queueCore) With(fields []zapcore.Field) zapcore.Core {
	return queueCore{c.Core.With(fields), c.unsaid}
}

func (c queueCore) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if strings.HasPrefix(entry.Message, c.unsaid) {
		return checked
	}
	return c.Core.Check(entry, checked)
}

// queueMeterProvider leaves out the metrics of sending.
type queueMeterProvider struct{ metric.MeterProvider }

func (p queueMeterProvider) Meter(name string, options ...metric.MeterOption) metric.Meter {
	return queueMeter{p.MeterProvider.Meter(name, options...)}
}

type queueMeter struct{ metric.Meter }

func isQueueMetric(name string) bool {
	return strings.Contains(name, "_queue_") || strings.Contains(name, "_enqueue_")
}

func (m queueMeter) Int64Counter(name string, options ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	if !isQueueMetric(name) {
		return noop.Int64Counter{}, nil
	}
	return m.Meter.Int64Counter(name, options...)
}

func (m queueMeter) Int64UpDownCounter(name string, options ...metric.Int64UpDownCounterOption) (metric.Int64UpDownCounter, error) {
	if !isQueueMetric(name) {
		return noop.Int64UpDownCounter{}, nil
	}
	return m.Meter.Int64UpDownCounter(name, options...)
}
