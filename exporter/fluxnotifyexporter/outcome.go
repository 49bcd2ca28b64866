package fluxnotifyexporter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configretry"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/pdata/plog"
	noopmetric "go.opentelemetry.io/otel/metric/noop"
	nooptrace "go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/zap"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// outcome tells the retry what became of an attempt. It folds by hand: a
// joined error is permanent as soon as one of its parts is, and would lose the
// notifications that can still be sent.
func outcome(d *delivery) error {
	var again, failed []error
	var delay time.Duration
	for _, o := range d.owed {
		switch {
		case o.failed == nil:
		case o.done && o.failed.Class == notify.Permanent:
			failed = append(failed, o.failed)
		case !o.done:
			again = append(again, o.failed)
			delay = max(delay, o.failed.Delay)
		}
	}
	switch {
	case delay > 0:
		return exporterhelper.NewThrottleRetry(opaque(again), delay)
	case len(again) > 0:
		return opaque(again)
	case len(failed) > 0:
		return consumererror.NewPermanent(opaque(failed))
	}
	return nil
}

// opaque joins errors by their texts alone, so that nothing that one of them
// wraps is taken for a word to the retry.
func opaque(errs []error) error {
	texts := make([]error, len(errs))
	for i, err := range errs {
		texts[i] = errors.New(err.Error())
	}
	return errors.Join(texts...)
}

// keepInStorage makes the error that tells exporterhelper's persistent queue to
// keep an item for the next start. Its type is not exported, and only a retry
// that was stopped makes one; so one is stopped.
func keepInStorage(ctx context.Context, set exporter.Settings) (error, error) {
	retry := configretry.NewDefaultBackOffConfig()
	retry.MaxElapsedTime = 0
	set.TelemetrySettings = component.TelemetrySettings{
		Logger:         zap.NewNop(),
		TracerProvider: nooptrace.NewTracerProvider(),
		MeterProvider:  noopmetric.NewMeterProvider(),
		Resource:       set.Resource,
	}
	interrupted, err := exporterhelper.NewLogs(ctx, set, retry,
		func(context.Context, plog.Logs) error {
			return errors.New("the collector stopped before the notification was sent")
		},
		exporterhelper.WithRetry(retry))
	if err != nil {
		return nil, fmt.Errorf("retry_on_failure: %w", err)
	}
	if err := interrupted.Shutdown(ctx); err != nil {
		return nil, fmt.Errorf("retry_on_failure: %w", err)
	}
	return interrupted.ConsumeLogs(ctx, plog.NewLogs()), nil
}
