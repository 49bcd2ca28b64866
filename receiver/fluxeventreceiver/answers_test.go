package fluxeventreceiver

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
)

func TestAccepted(t *testing.T) {
	t.Parallel()
	sink := new(consumertest.LogsSink)
	s := start(t, sink)
	before := time.Now()
	got := s.post(t, recordedEvent(t))
	assert.Equal(t, http.StatusAccepted, got.status)
	assert.Empty(t, got.body)

	require.Len(t, sink.AllLogs(), 1)
	resourceLogs := sink.AllLogs()[0].ResourceLogs().At(0)
	record := resourceLogs.ScopeLogs().At(0).LogRecords().At(0)
	event := *fluxevent.FromRecord(resourceLogs.Resource(), record, plog.SeverityNumberError)
	assert.WithinRange(t, event.Observed, before, time.Now())
	want, err := fluxevent.Parse([]byte(recordedEvent(t)))
	require.NoError(t, err)
	want.Observed = event.Observed
	assert.Equal(t, want, event)
}

func TestNotAnEvent(t *testing.T) {
	t.Parallel()
	sink := new(consumertest.LogsSink)
	s := start(t, sink)
	for body, line := range map[string]string{
		"":                                "the body is empty, expected one event as a JSON object",
		"hello":                           "not JSON: invalid character looking for beginning of value (at byte 1)",
		"{\n":                             "not JSON: unexpected end of JSON input (at byte 2)",
		"[]":                              "not an event: expected one JSON object, got an array",
		"{}":                              "not an event: involvedObject.kind is missing",
		"\x00\xff":                        "not JSON: invalid character looking for beginning of value (at byte 1)",
		`{"involvedObject":{"kind":"K"}}`: "not an event: involvedObject.name is missing",
		`{"involvedObject":{"kind":"K","name":"n"},"metadata":{"s3cr3t":1}}`: "not an event: a value of metadata is a number, expected a string",
	} {
		assertLine(t, http.StatusBadRequest, line, s.post(t, body))
	}
	assert.Empty(t, sink.AllLogs())
}

func TestPathsAndMethods(t *testing.T) {
	t.Parallel()
	s := start(t, consumertest.NewNop())
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions} {
		got := s.do(t, method, "/", body(1))
		assertLine(t, http.StatusMethodNotAllowed, "method not allowed, expected POST", got)
		assert.Equal(t, "POST", got.header.Get("Allow"))
	}
	got := s.do(t, http.MethodHead, "/", "")
	assert.Equal(t, http.StatusMethodNotAllowed, got.status)
	assert.Equal(t, "POST", got.header.Get("Allow"))

	assertLine(t, http.StatusOK, "ok", s.do(t, http.MethodGet, "/healthz", ""))
	assert.Equal(t, http.StatusOK, s.do(t, http.MethodHead, "/healthz", "").status)
	got = s.do(t, http.MethodPost, "/healthz", body(1))
	assertLine(t, http.StatusMethodNotAllowed, "method not allowed, expected GET, HEAD", got)
	assert.Equal(t, "GET, HEAD", got.header.Get("Allow"))

	for _, path := range []string{"/events", "/healthz/", "//", "/%2e%2e/x"} {
		assertLine(t, http.StatusNotFound, "not found: events are posted to /", s.do(t, http.MethodPost, path, body(1)))
	}
	assert.Equal(t, http.StatusAccepted, s.do(t, http.MethodPost, "/?cluster=eu", body(1)).status, "a query does no harm")
}

func TestOwnPaths(t *testing.T) {
	t.Parallel()
	s := start(t, consumertest.NewNop(), func(c *Config) { c.Path, c.HealthPath = "/flux/events", "/" })
	assert.Equal(t, http.StatusAccepted, s.do(t, http.MethodPost, "/flux/events", body(1)).status)
	assert.Equal(t, http.StatusOK, s.do(t, http.MethodGet, "/", "").status)
	assertLine(t, http.StatusNotFound, "not found: events are posted to /flux/events", s.do(t, http.MethodPost, "/flux/events/", body(1)))
	assertLine(t, http.StatusNotFound, "not found: events are posted to /flux/events", s.do(t, http.MethodGet, "/healthz", ""))
}

func TestDuplicate(t *testing.T) {
	t.Parallel()
	sink := new(consumertest.LogsSink)
	s := start(t, sink)
	assert.Equal(t, http.StatusAccepted, s.post(t, body(1)).status)
	got := s.post(t, body(1))
	assert.Equal(t, http.StatusTooManyRequests, got.status)
	assert.Empty(t, got.body, "Flux's client does not read it")
	assert.Equal(t, "duplicate", got.header.Get("X-Flux-Event"))
	assert.Empty(t, got.header.Get("Retry-After"), "there is nothing to come again for")
	assert.Equal(t, http.StatusAccepted, s.post(t, body(2)).status)
	assert.Equal(t, 2, sink.LogRecordCount())
}

func TestNoDeduplication(t *testing.T) {
	t.Parallel()
	sink := new(consumertest.LogsSink)
	s := start(t, sink, noDeduplication)
	for range 3 {
		assert.Equal(t, http.StatusAccepted, s.post(t, body(1)).status)
	}
	assert.Equal(t, 3, sink.LogRecordCount())
}

// What strangers send must not fill the collector's log.
func TestBadInputIsNotLogged(t *testing.T) {
	t.Parallel()
	s := start(t, consumertest.NewErr(assert.AnError), keys("key"), maxBody(1000))
	signed := func(body string) []string { return []string{"X-Signature", sign("sha256", "key", body)} }
	large := strings.Repeat("x", 1001)
	want := map[int]reply{
		http.StatusUnauthorized:          s.post(t, body(1)),
		http.StatusBadRequest:            s.post(t, "{}", signed("{}")...),
		http.StatusRequestEntityTooLarge: s.post(t, large, signed(large)...),
		http.StatusNotFound:              s.do(t, http.MethodPost, "/x", ""),
		http.StatusMethodNotAllowed:      s.do(t, http.MethodGet, "/", ""),
		http.StatusServiceUnavailable:    s.post(t, body(1), signed(body(1))...),
	}
	for status, got := range want {
		assert.Equal(t, status, got.status)
	}
	assert.Equal(t, http.StatusBadRequest, s.post(t, "x", "Content-Encoding", "gzip").status)
	above := s.logs.Filter(func(e observer.LoggedEntry) bool { return e.Level > zap.DebugLevel && e.Message != startMessage })
	assert.Empty(t, above.All())
}

const startMessage = "Receiving Flux events"

func TestStartIsLogged(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*Config)
		want   map[string]any
	}{
		"defaults": {func(*Config) {}, map[string]any{
			"path": "/", "scheme": "http", "signature_required": false, "deduplication_interval": 5 * time.Minute,
		}},
		"a cluster": {func(c *Config) { c.Cluster = "prod-eu"; keys("s3cr3t")(c); noDeduplication(c) }, map[string]any{
			"path": "/", "scheme": "http", "signature_required": true, "deduplication_interval": time.Duration(0), "cluster": "prod-eu",
		}},
		"clusters": {func(c *Config) {
			c.Path = "/events/{cluster}"
			c.Signature.ClusterKeys = map[string][]configopaque.String{"b": opaque("s3cr3t"), "a": opaque("s3cr3t")}
		}, map[string]any{
			"path": "/events/{cluster}", "scheme": "http", "signature_required": false,
			"signature_required_for_clusters": []any{"a", "b"}, "deduplication_interval": 5 * time.Minute,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, consumertest.NewNop(), c.change)
			require.Equal(t, 1, s.logs.Len())
			line := s.logs.All()[0]
			assert.Equal(t, zap.InfoLevel, line.Level)
			assert.Equal(t, startMessage, line.Message)
			c.want["endpoint"] = strings.TrimPrefix(s.url, "http://")
			assert.Equal(t, c.want, line.ContextMap())
		})
	}
}

func TestUID(t *testing.T) {
	t.Parallel()
	uids := func(changes ...func(*Config)) []string {
		sink := new(consumertest.LogsSink)
		s := start(t, sink, changes...)
		for i := range 2 {
			require.Equal(t, http.StatusAccepted, s.post(t, body(i)).status)
		}
		var uids []string
		for _, logs := range sink.AllLogs() {
			resourceLogs := logs.ResourceLogs().At(0)
			record := resourceLogs.ScopeLogs().At(0).LogRecords().At(0)
			uids = append(uids, fluxevent.RecordUID(record))
			assert.Empty(t, fluxevent.FromRecord(resourceLogs.Resource(), record, plog.SeverityNumberError).Metadata)
		}
		return uids
	}
	first := uids()
	assert.NotEmpty(t, first[0])
	assert.NotEqual(t, first[0], first[1])
	assert.Equal(t, first, uids(), "after a restart too")
	assert.NotEqual(t, first, uids(func(c *Config) { c.Cluster = "eu" }))
	assert.Equal(t, []string{"", ""}, uids(noDeduplication))
}

func TestTooMuchMetadata(t *testing.T) {
	t.Parallel()
	sink := new(consumertest.LogsSink)
	s := start(t, sink, noDeduplication)
	assert.Equal(t, http.StatusAccepted, s.post(t, withKeys(1000)).status)
	for _, keys := range []int{1001, 60_000} {
		assertLine(t, http.StatusBadRequest, "not an event: metadata has more than 1000 keys", s.post(t, withKeys(keys)))
	}
	assert.Equal(t, 1, sink.LogRecordCount())
}

// withKeys is an event with so many metadata keys.
func withKeys(keys int) string {
	var metadata strings.Builder
	for i := range keys {
		fmt.Fprintf(&metadata, `,"kustomize.toolkit.fluxcd.io/%06d":"v"`, i)
	}
	return strings.TrimSuffix(body(1), "}") + `,"metadata":{` + metadata.String()[1:] + "}}"
}

func TestPortTaken(t *testing.T) {
	t.Parallel()
	s := start(t, consumertest.NewNop())
	config := createDefaultConfig().(*Config)
	config.ServerConfig.NetAddr.Endpoint = strings.TrimPrefix(s.url, "http://")
	r, err := newReceiver(receivertest.NewNopSettings(typ), config, consumertest.NewNop())
	require.NoError(t, err)
	require.ErrorContains(t, r.Start(t.Context(), componenttest.NewNopHost()), "endpoint "+config.ServerConfig.NetAddr.Endpoint+": ")
	require.NoError(t, r.Shutdown(t.Context()))
}
