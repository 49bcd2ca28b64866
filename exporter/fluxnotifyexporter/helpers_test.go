package fluxnotifyexporter

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fluxnotify/otelcol-flux/exporter/fluxnotifyexporter/internal/metadata"
	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
)

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

// arrival is a request that the endpoint has seen.
type arrival struct {
	method string
	url    string
	header http.Header
	body   string
	status int
	at     time.Time
}

// endpoint is an HTTP server that answers as it is told and keeps what it saw.
type endpoint struct {
	*httptest.Server
	mu       sync.Mutex
	arrivals []arrival
}

func newEndpoint(t *testing.T, answer func(body string, nth int) (int, http.Header)) *endpoint {
	t.Helper()
	e := &endpoint{}
	e.Server = httptest.NewServer(e.handler(answer))
	t.Cleanup(e.Close)
	return e
}

func (e *endpoint) handler(answer func(body string, nth int) (int, http.Header)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		e.mu.Lock()
		nth := len(e.arrivals)
		e.arrivals = append(e.arrivals, arrival{method: r.Method, url: "https://" + r.Host + r.RequestURI, header: r.Header.Clone(), body: string(body), at: time.Now()})
		e.mu.Unlock()
		status, header := http.StatusOK, http.Header(nil)
		if answer != nil {
			status, header = answer(string(body), nth)
		}
		e.mu.Lock()
		e.arrivals[nth].status = status
		e.mu.Unlock()
		for name, values := range header {
			w.Header()[name] = values
		}
		w.WriteHeader(status)
	})
}

func (e *endpoint) seen() []arrival {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]arrival(nil), e.arrivals...)
}

// answered are the requests that got their answer.
func (e *endpoint) answered() []arrival {
	return slices.DeleteFunc(e.seen(), func(a arrival) bool { return a.status == 0 })
}

func (e *endpoint) waitFor(t *testing.T, n int) []arrival {
	t.Helper()
	require.Eventually(t, func() bool { return len(e.seen()) >= n }, patience, 5*time.Millisecond, "%d requests", n)
	return e.seen()
}

// webhook is a configuration that tries again soon.
func webhook(address string) *Config {
	config := createDefaultConfig().(*Config)
	config.Target.Type = "generic"
	config.Target.Address = configopaque.String(address)
	config.RetryConfig.InitialInterval = 10 * time.Millisecond
	config.RetryConfig.MaxInterval = 20 * time.Millisecond
	return config
}

// started is a running exporter with what it reported.
type started struct {
	exporter.Logs
	inner     *notifyExporter
	id        component.ID
	telemetry *componenttest.Telemetry
	logs      *observer.ObservedLogs
}

func start(t *testing.T, config *Config) *started {
	t.Helper()
	return startWith(t, config, componenttest.NewNopHost())
}

func (r *started) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, r.Shutdown(context.Background()))
}

func settings(t *testing.T) (exporter.Settings, *componenttest.Telemetry, *observer.ObservedLogs) {
	t.Helper()
	telemetry := componenttest.NewTelemetry()
	t.Cleanup(func() { require.NoError(t, telemetry.Shutdown(context.Background())) })
	core, logs := observer.New(zap.DebugLevel)
	set := exportertest.NewNopSettings(metadata.Type)
	set.TelemetrySettings = telemetry.NewTelemetrySettings()
	set.Logger = zap.New(core)
	return set, telemetry, logs
}

// event makes the record of an error of an object, observed now.
func event(name, message string) plog.Logs {
	return fluxevent.ToLogs(&fluxevent.Event{
		InvolvedObject: fluxevent.Object{Kind: "Kustomization", Namespace: "apps", Name: name, APIVersion: "kustomize.toolkit.fluxcd.io/v1"},
		Severity:       fluxevent.SeverityError,
		Timestamp:      fluxevent.NewTime(time.Unix(1_700_000_000, 0)),
		Reason:         "ReconciliationFailed",
		Message:        message,
		Metadata: map[string]string{
			"kustomize.toolkit.fluxcd.io/revision":   "main@sha1:731f7eaddfb6af01cb2173e18f0f75b0ba780ef1",
			"event.toolkit.fluxcd.io/change_request": "42",
		},
	}, time.Now())
}

// counts are the notifications by outcome, and by error type or rule.
func (r *started) counts(t *testing.T) map[string]int64 {
	t.Helper()
	counts := map[string]int64{}
	metric, err := r.telemetry.GetMetric("otelcol_exporter_flux_notify_notifications")
	if err != nil {
		return counts
	}
	for _, point := range sumPoints(t, metric) {
		name, _ := point.Attributes.Value("outcome")
		key := name.AsString()
		for _, detail := range []string{"error.type", "rule"} {
			if value, ok := point.Attributes.Value(attributeKey(detail)); ok {
				key += " " + value.AsString()
			}
		}
		counts[key] += point.Value
	}
	return counts
}
