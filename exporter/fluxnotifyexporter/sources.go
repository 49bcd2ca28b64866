package fluxnotifyexporter

import (
	"context"
	"fmt"

	"go.opentelemetry.io/collector/component"

	"github.com/fluxnotify/otelcol-flux/internal/source"
)

// newSource makes the source that the configuration names.
func (e *notifyExporter) newSource(context.Context, component.Host) (source.Source, error) {
	return nil, fmt.Errorf("%s: there is no such source", e.config.origin())
}
