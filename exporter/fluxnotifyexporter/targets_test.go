package fluxnotifyexporter

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/fluxnotify/otelcol-flux/internal/alert"
	"github.com/fluxnotify/otelcol-flux/internal/source"
	"github.com/fluxnotify/otelcol-flux/internal/target"
)

// scripted is a source whose sets a test gives.
type scripted struct {
	changed func(source.Set)
	err     error
}

func (s *scripted) Start(_ context.Context, changed func(source.Set)) error {
	s.changed = changed
	return s.err
}

func (*scripted) Shutdown(context.Context) error { return nil }

// provider is a ready target that wants every event of its namespace.
func provider(name, address string) source.Target {
	config := target.NewConfig()
	config.Type, config.Address = "generic", configopaque.String(address)
	config.Alerts = []alert.Config{{Name: "all", Namespace: "apps", EventMetadata: map[string]string{"by": name}}}
	return source.Target{Namespace: "apps", Name: name, Config: config, Ready: true}
}

func broken(t source.Target) source.Target {
	t.Ready = false
	t.Faults = []source.Fault{{Kind: "Provider", Namespace: t.Namespace, Name: t.Name, Field: "spec.secretRef", Text: "there is no Secret apps/token"}}
	return t
}

func set(targets ...source.Target) source.Set { return source.Set{Targets: targets} }

// liveExporter is a running exporter with a scripted source.
func liveExporter(t *testing.T, host component.Host, change func(*Config)) (*started, *scripted) {
	t.Helper()
	config := createDefaultConfig().(*Config)
	config.RetryConfig.InitialInterval, config.RetryConfig.MaxInterval = 10*time.Millisecond, 20*time.Millisecond
	config.Kubernetes = &KubernetesConfig{}
	if change != nil {
		change(config)
	}
	s := &scripted{}
	return startLive(t, config, host, s), s
}

func startLive(t *testing.T, config *Config, host component.Host, s *scripted) *started {
	t.Helper()
	settings, telemetry, logs := settings(t)
	e, err := newExporter(settings, config)
	require.NoError(t, err)
	e.makeSource = func(context.Context, component.Host) (source.Source, error) { return s, nil }
	wrapped, err := e.wrapped(context.Background())
	require.NoError(t, err)
	require.NoError(t, wrapped.Start(context.Background(), host))
	t.Cleanup(func() { require.NoError(t, e.Shutdown(context.Background())) })
	return &started{Logs: wrapped, inner: e, id: settings.ID, telemetry: telemetry, logs: logs}
}

func nopHost() component.Host { return hostWithStorage{} }

func (r *started) accept(t *testing.T, name, message string) {
	t.Helper()
	require.NoError(t, r.ConsumeLogs(context.Background(), event(name, message)))
}

// gauge is the value of a gauge by provider.
func (r *started) gauge(t *testing.T, name string) map[string]int64 {
	t.Helper()
	values := map[string]int64{}
	metric, err := r.telemetry.GetMetric("otelcol_exporter_flux_notify_" + name)
	require.NoError(t, err)
	for _, point := range metric.Data.(metricdata.Gauge[int64]).DataPoints {
		provider, _ := point.Attributes.Value("flux.provider.name")
		values[provider.AsString()] = point.Value
	}
	return values
}

func TestNothingIsAcceptedBeforeTheSourceHasBeenRead(t *testing.T) {
	t.Parallel()
	sink := newEndpoint(t, nil)
	e, s := liveExporter(t, nopHost(), nil)
	require.ErrorIs(t, e.ConsumeLogs(context.Background(), event("webapp", "early")), errUnknown)
	s.changed(set(provider("a", sink.URL)))
	e.accept(t, "webapp", "later")
	assert.Equal(t, "later", message(t, sink.waitFor(t, 1)[0].body))
}

// Targets come, change and go, and what does not change keeps its connections.
func TestTargetsChangeWhileOthersRun(t *testing.T) {
	t.Parallel()
	var connections atomic.Int64
	steady := newCounted(t, &connections)
	first, second := newEndpoint(t, nil), newEndpoint(t, nil)
	e, s := liveExporter(t, nopHost(), nil)
	s.changed(set(provider("a", first.URL), provider("steady", steady.URL)))
	e.accept(t, "webapp", "0")
	first.waitFor(t, 1)
	steady.waitFor(t, 1)

	s.changed(set(provider("a", second.URL), provider("steady", steady.URL)))
	require.Eventually(t, func() bool { return e.inner.targets["apps/a"].isBuiltFor(second.URL) }, patience, time.Millisecond)
	e.accept(t, "webapp", "1")
	second.waitFor(t, 1)
	steady.waitFor(t, 2)

	changed := provider("a", second.URL)
	changed.Config.Alerts[0].EventSources = []alert.SourceConfig{{Kind: "HelmRelease"}}
	s.changed(set(changed, provider("steady", steady.URL)))
	e.accept(t, "webapp", "2")
	steady.waitFor(t, 3)

	s.changed(set(provider("steady", steady.URL)))
	e.accept(t, "webapp", "3")
	steady.waitFor(t, 4)
	assert.Len(t, first.seen(), 1)
	assert.Len(t, second.seen(), 1)
	assert.EqualValues(t, 1, connections.Load(), "an unchanged target keeps its connection")
}

// isBuiltFor reports whether deliveries go to an address.
func (r *running) isBuiltFor(address string) bool {
	r.building.Lock()
	defer r.building.Unlock()
	return r.built != nil && string(r.built.Address) == address
}

func newCounted(t *testing.T, connections *atomic.Int64) *endpoint {
	t.Helper()
	e := newEndpoint(t, nil)
	seen := sync.Map{}
	inner := e.Config.Handler
	e.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, known := seen.LoadOrStore(r.RemoteAddr, true); !known {
			connections.Add(1)
		}
		inner.ServeHTTP(w, r)
	})
	return e
}

// What the Alerts of a broken or suspended Provider want waits until it is mended.
func TestABrokenProviderIsItsOwnAffair(t *testing.T) {
	t.Parallel()
	sink, other := newEndpoint(t, nil), newEndpoint(t, nil)
	e, s := liveExporter(t, nopHost(), nil)
	suspended := provider("suspended", sink.URL)
	suspended.Config.Suspend = true
	s.changed(set(broken(provider("a", sink.URL)), provider("other", other.URL), suspended))
	e.accept(t, "webapp", "1")
	e.accept(t, "webapp", "2")
	other.waitFor(t, 2)
	assert.Empty(t, sink.seen())
	assert.Equal(t, map[string]int64{"apps/a": 2, "apps/other": 0, "apps/suspended": 2}, e.gauge(t, "waiting"))
	assert.Equal(t, map[string]int64{"": 0, "apps/a": 1, "apps/other": 0, "apps/suspended": 0}, e.gauge(t, "target_faults"))
	assert.Len(t, e.logs.FilterMessage("Provider apps/a: spec.secretRef: there is no Secret apps/token").All(), 1)

	s.changed(set(broken(provider("a", sink.URL)), provider("other", other.URL), suspended))
	assert.Len(t, e.logs.FilterMessage("Provider apps/a: spec.secretRef: there is no Secret apps/token").All(), 1, "a fault is logged once")

	s.changed(set(provider("a", sink.URL), provider("other", other.URL), provider("suspended", sink.URL)))
	sink.waitFor(t, 4)
	assert.Len(t, e.logs.FilterMessageSnippet("no longer: Provider apps/a").All(), 1)
	assert.EqualValues(t, 0, e.gauge(t, "target_faults")["apps/a"])
	by := map[string]string{}
	for _, a := range sink.seen() {
		who := "a"
		if strings.Contains(a.body, `"by":"suspended"`) {
			who = "suspended"
		}
		by[who] += message(t, a.body)
	}
	assert.Equal(t, map[string]string{"a": "12", "suspended": "12"}, by)
}

// A provider that cannot be made is a fault of its own too.
func TestAProviderThatCannotBeMadeWaits(t *testing.T) {
	t.Parallel()
	sink := newEndpoint(t, nil)
	e, s := liveExporter(t, nopHost(), nil)
	s.changed(set(provider("a", "ftp://example.com")))
	e.accept(t, "webapp", "1")
	require.Eventually(t, func() bool { return e.gauge(t, "target_faults")["apps/a"] == 1 }, patience, time.Millisecond)
	assert.Len(t, e.logs.FilterMessageSnippet("Provider apps/a: spec: address: must be a URL").All(), 1)
	s.changed(set(provider("a", sink.URL)))
	sink.waitFor(t, 1)
}

// A change while the provider before is still being made is built after it, and a
// change in between is skipped.
func TestTheLatestSpecificationIsBuilt(t *testing.T) {
	t.Parallel()
	sink := newEndpoint(t, nil)
	e, s := liveExporter(t, nopHost(), nil)
	s.changed(set(provider("a", "http://127.0.0.1:1/0")))
	r := e.inner.targets["apps/a"]
	r.building.Lock()
	for i := range 3 {
		s.changed(set(provider("a", fmt.Sprintf("http://127.0.0.1:1/%d", i))))
	}
	s.changed(set(provider("a", sink.URL)))
	r.building.Unlock()
	e.accept(t, "webapp", "1")
	sink.waitFor(t, 1)
}

func TestNotificationsOfADeletedProvider(t *testing.T) {
	t.Parallel()
	down := newEndpoint(t, func(string, int) (int, http.Header) { return http.StatusServiceUnavailable, nil })
	sink := newEndpoint(t, nil)
	e, s := liveExporter(t, nopHost(), nil)
	s.changed(set(provider("a", down.URL), provider("b", down.URL)))
	e.accept(t, "webapp", "1")
	down.waitFor(t, 2)
	e.inner.applying.Lock()
	e.inner.deletionTime = 100 * time.Millisecond
	e.inner.applying.Unlock()

	// One comes back in time.
	s.changed(set(provider("b", down.URL)))
	s.changed(set(provider("a", sink.URL)))
	assert.Equal(t, "1", message(t, sink.waitFor(t, 1)[0].body))

	// The other does not.
	require.Eventually(t, func() bool { return e.counts(t)["failed deleted"] == 1 }, patience, time.Millisecond)
	require.Eventually(t, func() bool { return len(e.inner.outbox.Failed()) == 1 }, patience, time.Millisecond)
	failed := e.inner.outbox.Failed()[0]
	assert.Equal(t, "provider deleted", failed.Reason)
	assert.Equal(t, "apps/b", failed.Target)
	require.Eventually(t, func() bool {
		_, there := e.gauge(t, "waiting")["apps/b"]
		return !there
	}, patience, time.Millisecond)
	// Another Provider, even one of that name, gets none of it.
	s.changed(set(provider("a", sink.URL), provider("b", sink.URL)))
	e.accept(t, "webapp", "2")
	for _, a := range sink.waitFor(t, 3)[1:] {
		assert.Equal(t, "2", message(t, a.body))
	}
}

// What a former start has left waits for its Provider, and for no other.
func TestARestartKeepsTheTargetsApart(t *testing.T) {
	t.Parallel()
	var well atomic.Bool
	sink := newEndpoint(t, func(string, int) (int, http.Header) {
		if well.Load() {
			return http.StatusOK, nil
		}
		return http.StatusServiceUnavailable, nil
	})
	id := component.MustNewID("memory")
	host := hostWithStorage{map[component.ID]component.Component{id: &memory{values: map[string][]byte{}}}}
	storage := func(c *Config) { c.QueueConfig.StorageID = &id }
	before, s := liveExporter(t, host, storage)
	s.changed(set(provider("a", sink.URL), provider("b", sink.URL)))
	before.accept(t, "webapp", "1")
	sink.waitFor(t, 2)
	before.stop(t)

	well.Store(true)
	count := len(sink.seen())
	after, s := liveExporter(t, host, storage)
	require.ErrorIs(t, after.ConsumeLogs(context.Background(), event("webapp", "early")), errUnknown)
	assert.Len(t, sink.seen(), count, "nothing is sent before the Providers are known")
	after.inner.deletionTime = 50 * time.Millisecond
	s.changed(set(provider("a", sink.URL)))
	sent := sink.waitFor(t, count+1)[count:]
	assert.Contains(t, sent[0].body, `"by":"a"`)
	require.Eventually(t, func() bool { return after.counts(t)["failed deleted"] == 1 }, patience, time.Millisecond)
	assert.Len(t, sink.seen(), count+1)
}

// A flood of one target ends as failed notifications of that target.
func TestOneTargetsFloodIsItsOwn(t *testing.T) {
	t.Parallel()
	down := newEndpoint(t, func(string, int) (int, http.Header) { return http.StatusServiceUnavailable, nil })
	sink := newEndpoint(t, nil)
	e, s := liveExporter(t, nopHost(), func(c *Config) { c.QueueConfig.QueueSize = 5 })
	healthy := provider("healthy", sink.URL)
	s.changed(set(provider("flooded", down.URL), healthy))
	for i := range 20 {
		e.accept(t, fmt.Sprint("object", i), "failed")
		sink.waitFor(t, i+1)
	}
	assert.EqualValues(t, 15, e.counts(t)["failed queue_full"])
	assert.EqualValues(t, 20, e.counts(t)["sent"])
	assert.EqualValues(t, 5, e.gauge(t, "waiting")["apps/flooded"])
	assert.EqualValues(t, 15, e.gauge(t, "failed_kept")["apps/flooded"])
}

func TestAProviderWithoutAlertsSendsNothing(t *testing.T) {
	t.Parallel()
	sink := newEndpoint(t, nil)
	e, s := liveExporter(t, nopHost(), nil)
	silent := provider("silent", sink.URL)
	silent.Config.Alerts = nil
	s.changed(set(silent))
	e.accept(t, "webapp", "1")
	e.stop(t)
	assert.Empty(t, sink.seen())
}

func TestTooManyTargetsAreAFault(t *testing.T) {
	t.Parallel()
	e, s := liveExporter(t, nopHost(), nil)
	targets := make([]source.Target, maxTargets+1)
	for i := range targets {
		targets[i] = source.Target{Namespace: "apps", Name: fmt.Sprintf("p%05d", i), Config: target.NewConfig()}
	}
	s.changed(set(targets...))
	assert.Len(t, e.inner.all(), maxTargets)
	assert.Len(t, e.logs.FilterMessageSnippet("there are 5001 Providers, an exporter takes 5000").All(), 1)
}

func TestASourceThatCannotStartEndsTheStart(t *testing.T) {
	t.Parallel()
	config := createDefaultConfig().(*Config)
	config.Kubernetes = &KubernetesConfig{}
	settings, _, _ := settings(t)
	e, err := newExporter(settings, config)
	require.NoError(t, err)
	e.makeSource = func(context.Context, component.Host) (source.Source, error) {
		return &scripted{err: errors.New("no such folder")}, nil
	}
	require.ErrorContains(t, e.Start(context.Background(), nopHost()), "no such folder")
	require.NoError(t, e.Shutdown(context.Background()))
}
