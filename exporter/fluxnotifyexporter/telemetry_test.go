package fluxnotifyexporter

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

func attributeKey(name string) attribute.Key { return attribute.Key(name) }

func sumPoints(t *testing.T, metric metricdata.Metrics) []metricdata.DataPoint[int64] {
	t.Helper()
	sum, ok := metric.Data.(metricdata.Sum[int64])
	require.True(t, ok)
	return sum.DataPoints
}

func startWith(t *testing.T, config *Config, host component.Host) *started {
	t.Helper()
	set, telemetry, logs := settings(t)
	e, err := newExporter(set, config)
	require.NoError(t, err)
	wrapped, err := e.wrapped(context.Background())
	require.NoError(t, err)
	require.NoError(t, wrapped.Start(context.Background(), host))
	t.Cleanup(func() { require.NoError(t, e.Shutdown(context.Background())) })
	return &started{Logs: wrapped, inner: e, id: set.ID, telemetry: telemetry, logs: logs}
}

// sumOf is the value of one of the collector's own counters.
func (r *started) sumOf(t *testing.T, name string) int64 {
	t.Helper()
	metric, err := r.telemetry.GetMetric(name)
	if err != nil {
		return 0
	}
	var total int64
	for _, point := range sumPoints(t, metric) {
		total += point.Value
	}
	return total
}
