package fluxnotifyexporter

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/exporter"

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
	return newExporter(ctx, set, config.(*Config))
}
