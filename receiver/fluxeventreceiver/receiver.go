package fluxeventreceiver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receiverhelper"

	"github.com/fluxnotify/otelcol-flux/receiver/fluxeventreceiver/internal/metadata"
)

// shutdownTime is how long requests in flight may take to finish.
const shutdownTime = 10 * time.Second

type eventReceiver struct {
	config    *Config
	set       receiver.Settings
	next      consumer.Logs
	obs       *receiverhelper.ObsReport
	telemetry *metadata.TelemetryBuilder
	verifier  *verifier
	known     *known

	server  *http.Server
	serving sync.WaitGroup
}

func newReceiver(set receiver.Settings, config *Config, next consumer.Logs) (*eventReceiver, error) {
	obs, err := receiverhelper.NewObsReport(receiverhelper.ObsReportSettings{
		ReceiverID: set.ID, Transport: config.scheme(), ReceiverCreateSettings: set,
	})
	if err != nil {
		return nil, err
	}
	telemetry, err := metadata.NewTelemetryBuilder(set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	return &eventReceiver{
		config:    config,
		set:       set,
		next:      next,
		obs:       obs,
		telemetry: telemetry,
		verifier:  newVerifier(&config.Signature),
		known:     newKnown(&config.Deduplication),
	}, nil
}

// Start implements component.Component.
func (r *eventReceiver) Start(ctx context.Context, host component.Host) error {
	server, err := r.newServer(ctx, host)
	if err != nil {
		return err
	}
	listener, err := r.config.ServerConfig.ToListener(ctx)
	if err != nil {
		return fmt.Errorf("endpoint %s: %w", r.config.ServerConfig.NetAddr.Endpoint, err)
	}
	r.server = server
	r.set.Logger.Info("Receiving Flux events", r.config.summary(listener.Addr())...)
	r.serving.Go(func() {
		if err := server.Serve(listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
			componentstatus.ReportStatus(host, componentstatus.NewFatalErrorEvent(err))
		}
	})
	return nil
}

// Shutdown implements component.Component. Requests in flight are answered.
func (r *eventReceiver) Shutdown(ctx context.Context) error {
	if r.server == nil {
		r.telemetry.Shutdown()
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, shutdownTime)
	defer cancel()
	err := r.server.Shutdown(bounded)
	if err != nil {
		err = errors.Join(err, r.server.Close())
	}
	r.serving.Wait()
	r.server = nil
	r.telemetry.Shutdown()
	return err
}
