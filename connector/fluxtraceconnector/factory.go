package fluxtraceconnector

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/consumer"

	"github.com/fluxnotify/otelcol-flux/connector/fluxtraceconnector/internal/metadata"
)

// NewFactory makes the factory of the flux_trace connector.
func NewFactory() connector.Factory {
	return connector.NewFactory(
		metadata.Type,
		createDefaultConfig,
		connector.WithLogsToTraces(createLogsToTraces, metadata.LogsToTracesStability),
	)
}

func createLogsToTraces(_ context.Context, set connector.Settings, config component.Config, next consumer.Traces) (connector.Logs, error) {
	return newConnector(set, config.(*Config), next)
}
