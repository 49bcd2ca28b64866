package fluxnotifyexporter

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.uber.org/zap"

	"github.com/fluxnotify/otelcol-flux/exporter/fluxnotifyexporter/internal/metadata"
)

// NewFactory makes the factory of the flux_notify exporter.
func NewFactory() exporter.Factory {
	return exporter.NewFactory(
		metadata.Type,
		createDefaultConfig,
		exporter.WithLogs(createLogs, metadata.LogsStability),
	)
}

func createLogs(ctx context.Context, set exporter.Settings, config component.Config) (exporter.Logs, error) {
	e, err := newExporter(set, config.(*Config))
	if err != nil {
		return nil, err
	}
	return e.wrapped(ctx)
}

// wrapped puts exporterhelper around the exporter for its conventional telemetry only:
// queue, retry and timeout are the outbox's.
func (e *notifyExporter) wrapped(ctx context.Context) (exporter.Logs, error) {
	set := e.set
	set.Logger = zap.NewNop() // the exporter logs, naming object and provider
	return exporterhelper.NewLogs(ctx, set, e.config, e.consume,
		exporterhelper.WithStart(e.Start),
		exporterhelper.WithShutdown(e.Shutdown),
		exporterhelper.WithCapabilities(consumer.Capabilities{MutatesData: false}),
		exporterhelper.WithTimeout(exporterhelper.TimeoutConfig{}))
}
