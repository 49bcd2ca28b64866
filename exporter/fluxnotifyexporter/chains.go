package fluxnotifyexporter

import (
	"strings"

	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/zap"
)

// The exporter is two exporterhelper chains. Each record goes through both, and
// is to be counted and logged once: the retry, which sees records one by one,
// counts what was sent and what failed; the queue counts what waits and what it
// refused.

func retrySettings(set exporter.Settings) exporter.Settings {
	set.Logger = zap.NewNop() // the report logs, naming object and provider
	return set
}

func queueSettings(set exporter.Settings) exporter.Settings {
	set.MeterProvider = queueMeterProvider{set.MeterProvider}
	return set
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
