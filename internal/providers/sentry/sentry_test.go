package sentry_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	sdk "github.com/getsentry/sentry-go"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/sentry"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const dsn = "https://0123456789abcdef0123456789abcdef@o1.ingest.sentry.io/2"

func provider(t *testing.T, s notify.Settings) notify.Provider {
	t.Helper()
	p, err := sentry.New(providertest.Complete(t, s))
	require.NoError(t, err)
	return p
}

// item is the SDK's event with spans whose IDs can be read.
type item struct {
	sdk.Event
	Spans []span `json:"spans"`
}

type span struct {
	TraceID      string            `json:"trace_id"`
	SpanID       string            `json:"span_id"`
	ParentSpanID string            `json:"parent_span_id"`
	Op           string            `json:"op"`
	Origin       string            `json:"origin"`
	Tags         map[string]string `json:"tags"`
	StartTime    time.Time         `json:"start_timestamp"`
	EndTime      time.Time         `json:"timestamp"`
}

func strictly(t *testing.T, raw []byte, into any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(into), "%s", raw)
}

// render takes an envelope apart as its format says.
func render(t *testing.T, p notify.Provider, n *notify.Notification) (string, item) {
	t.Helper()
	payloads, err := p.Render(n)
	require.NoError(t, err)
	require.Len(t, payloads, 1)
	lines := bytes.Split(payloads[0].Body, []byte("\n"))
	require.Len(t, lines, 4, "two headers, a payload, and the last line's end")
	require.Empty(t, lines[3])
	var header struct {
		EventID string `json:"event_id"`
	}
	strictly(t, lines[0], &header)
	var itemHeader struct {
		Type   string `json:"type"`
		Length int    `json:"length"`
	}
	strictly(t, lines[1], &itemHeader)
	assert.Len(t, lines[2], itemHeader.Length)
	assert.Less(t, len(lines[2]), 1<<20)
	var i item
	strictly(t, lines[2], &i)
	assert.Equal(t, header.EventID, string(i.EventID))
	id, err := uuid.Parse(header.EventID)
	require.NoError(t, err)
	assert.Equal(t, uuid.Version(4), id.Version())
	return itemHeader.Type, i
}

func TestError(t *testing.T) {
	t.Parallel()
	p := provider(t, notify.Settings{Address: dsn, Channel: "production"})
	e := providertest.Event(t, "kustomization-health-check-failed")
	kind, i := render(t, p, providertest.NotificationWith(t, e, map[string]string{"cluster": "prod-eu"}))
	assert.Equal(t, "event", kind)
	assert.Empty(t, i.Type, "an error event has none")
	assert.Equal(t, sdk.LevelError, i.Level)
	assert.Equal(t, "production", i.Environment)
	assert.Equal(t, "kustomize-controller", i.ServerName)
	assert.Equal(t, "Kustomization: flux-system/apps", i.Transaction)
	assert.Equal(t, e.Message, i.Message)
	assert.Equal(t, e.Time(), i.Timestamp)
	assert.Equal(t, "prod-eu", i.Contexts["metadata"]["cluster"])
	assert.Empty(t, i.Tags)
}

func TestTransaction(t *testing.T) {
	t.Parallel()
	p := provider(t, notify.Settings{Address: dsn})
	for _, name := range []string{"kustomization-succeeded", "kustomization-trace"} {
		e := providertest.Event(t, name)
		kind, i := render(t, p, providertest.NotificationWith(t, e, map[string]string{"cluster": "prod-eu", "flux_reason": "mine"}))
		assert.Equal(t, "transaction", kind)
		assert.Equal(t, "transaction", i.Type)
		assert.Empty(t, i.Environment)
		assert.Equal(t, e.Time(), i.StartTime)
		assert.Equal(t, e.Time(), i.Timestamp)
		require.Len(t, i.Spans, 1)
		s := i.Spans[0]
		trace := i.Contexts["trace"]
		assert.Equal(t, trace["trace_id"], s.TraceID)
		assert.Equal(t, trace["span_id"], s.ParentSpanID)
		assert.NotEqual(t, s.ParentSpanID, s.SpanID)
		assert.Len(t, s.TraceID, 32)
		assert.Len(t, s.SpanID, 16)
		assert.Equal(t, e.Time(), s.StartTime)
		assert.Equal(t, e.Time(), s.EndTime)
		assert.Equal(t, i.Tags, s.Tags)
		assert.Equal(t, "prod-eu", s.Tags["cluster"])
		assert.Equal(t, e.Reason, s.Tags["flux_reason"], "the event's own counts")
		assert.Equal(t, e.ReportingInstance, s.Tags["flux_reporting_instance"])
	}
}

func TestIDs(t *testing.T) {
	t.Parallel()
	id := func(environment string, change func(*fluxevent.Event)) sdk.EventID {
		e := providertest.Event(t, "kustomization-no-timestamp")
		change(&e)
		_, i := render(t, provider(t, notify.Settings{Address: dsn, Channel: environment}), providertest.NotificationWith(t, e, nil))
		return i.EventID
	}
	one := id("production", func(*fluxevent.Event) {})
	assert.Equal(t, one, id("production", func(*fluxevent.Event) {}), "a repetition is the same event")
	assert.NotEqual(t, one, id("staging", func(*fluxevent.Event) {}))
	assert.NotEqual(t, one, id("production", func(e *fluxevent.Event) { e.Message += "." }))
	assert.NotEqual(t, one, id("production", func(e *fluxevent.Event) { e.Observed = e.Observed.Add(time.Hour) }),
		"it happened again")
}

func TestLimits(t *testing.T) {
	t.Parallel()
	p := provider(t, notify.Settings{Address: dsn})
	e := providertest.Event(t, "kustomization-failed")
	e.Message = strings.Repeat("部", 20_000)
	operator := map[string]string{"summary": strings.Repeat("s", 1000)}
	for i := range 50 {
		operator[fmt.Sprintf("key-%02d", i)] = strings.Repeat("é", 500)
	}
	_, i := render(t, p, providertest.NotificationWith(t, e, operator))
	assert.Equal(t, 8192, utf8.RuneCountInString(i.Message))
	metadata, err := json.Marshal(i.Contexts["metadata"])
	require.NoError(t, err)
	assert.LessOrEqual(t, len(metadata), 8<<10)
	assert.Greater(t, len(metadata), 8000)
	assert.Len(t, i.Contexts["metadata"], 52, "with the revision")
	assert.Equal(t, operator["summary"], i.Contexts["metadata"]["summary"], "the summary is whole")

	e.Severity = fluxevent.SeverityInfo
	for i := range 5000 {
		operator[fmt.Sprintf("more-%04d", i)] = strings.Repeat("é", 300)
	}
	_, i = render(t, p, providertest.NotificationWith(t, e, operator))
	for key, value := range i.Tags {
		assert.LessOrEqual(t, utf8.RuneCountInString(value), 200, key)
	}
	assert.Equal(t, 200, utf8.RuneCountInString(i.Tags["summary"]))
}

func TestDSN(t *testing.T) {
	t.Parallel()
	var path, auth string
	server := providertest.Server(t, func(_ http.ResponseWriter, r *http.Request) {
		path, auth = r.RequestURI, r.Header.Get("X-Sentry-Auth")
		assert.Equal(t, "application/x-sentry-envelope", r.Header.Get("Content-Type"))
		assert.Empty(t, r.Header.Get("Authorization"))
	})
	for from, want := range map[string]struct{ path, auth string }{
		"http://public@host/1":                {"/api/1/envelope/", "sentry_key=public"},
		"http://public@host/1/":               {"/api/1/envelope/", "sentry_key=public"},
		"http://public:secret@host/base/42":   {"/base/api/42/envelope/", "sentry_key=public, sentry_secret=secret"},
		"http://public@host//other/1":         {"//other/api/1/envelope/", "sentry_key=public"},
		"http://public@host/a%2Fb/7?tenant=x": {"/a%2Fb/api/7/envelope/?tenant=x", "sentry_key=public"},
	} {
		p := provider(t, notify.Settings{Address: providertest.At(t, from, server.URL)})
		require.NoError(t, p.Deliver(t.Context(), providertest.Payload(t, p)))
		assert.Equal(t, want.path, path, from)
		assert.Equal(t, "Sentry sentry_version=7, sentry_client=otelcol-flux/1, "+want.auth, auth, from)
	}
	for _, bad := range []string{"https://sentry.io/1", "https://public@sentry.io", "https://public@sentry.io/", "public@sentry.io/1"} {
		_, err := sentry.New(providertest.Complete(t, notify.Settings{Address: bad}))
		require.Error(t, err, bad)
		assert.Regexp(t, "^address: ", err.Error())
	}
	for _, bad := range []string{"a/b", "a b", "a\nb", "None", strings.Repeat("x", 65)} {
		_, err := sentry.New(providertest.Complete(t, notify.Settings{Address: dsn, Channel: bad}))
		require.ErrorContains(t, err, "channel: ", bad)
	}
}

func TestRateLimits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name        string
		status      int
		header      map[string]string
		event       string
		delay       time.Duration
		isThrottled bool
	}{
		{"that of errors", 429, map[string]string{"Retry-After": "2700", "X-Sentry-Rate-Limits": "60:transaction:key, 2700:default;error;security:organization"}, "kustomization-failed", 45 * time.Minute, true},
		{"that of transactions", 429, map[string]string{"Retry-After": "2700", "X-Sentry-Rate-Limits": "60:transaction:key, 2700:default;error;security:organization"}, "kustomization-succeeded", time.Minute, true},
		{"that of all", 429, map[string]string{"X-Sentry-Rate-Limits": "60::organization, 90.5::organization"}, "kustomization-failed", 90*time.Second + 500*time.Millisecond, true},
		{"that of others", 429, map[string]string{"Retry-After": "5", "X-Sentry-Rate-Limits": "60:session:key"}, "kustomization-failed", 5 * time.Second, true},
		{"nonsense", 429, map[string]string{"Retry-After": "5", "X-Sentry-Rate-Limits": "soon:error, -1:error:, NaN:error:, 60"}, "kustomization-failed", 5 * time.Second, true},
		{"for a day", 429, map[string]string{"X-Sentry-Rate-Limits": "86400:error:key"}, "kustomization-failed", time.Hour, true},
		{"taken, the last one", 200, map[string]string{"X-Sentry-Rate-Limits": "60:error:key"}, "kustomization-failed", 0, false},
	} {
		server := providertest.Server(t, func(w http.ResponseWriter, _ *http.Request) {
			for name, value := range c.header {
				w.Header().Set(name, value)
			}
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, `{"detail":"no 0123456789abcdef0123456789abcdef"}`)
		})
		p := provider(t, notify.Settings{Address: providertest.At(t, dsn, server.URL)})
		payloads, err := p.Render(providertest.Notification(t, providertest.Event(t, c.event)))
		require.NoError(t, err)
		err = p.Deliver(t.Context(), payloads[0])
		if !c.isThrottled {
			require.NoError(t, err, c.name)
			continue
		}
		var e *notify.Error
		require.ErrorAs(t, err, &e, c.name)
		assert.Equal(t, notify.Throttled, e.Class, c.name)
		assert.Equal(t, c.delay, e.Delay, c.name)
		assert.NotContains(t, e.Error(), "0123456789abcdef", "the key is a secret")
	}
}
