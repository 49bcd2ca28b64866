package otel_test

import (
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	collectorpb "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"github.com/fluxnotify/otelcol-flux/internal/alert"
	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/otel"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func provider(t *testing.T, s notify.Settings) notify.Provider {
	t.Helper()
	p, err := otel.New(providertest.Complete(t, s))
	require.NoError(t, err)
	return p
}

// decode reads a body with the protocol's own types, which know no field but
// theirs and take no text that is not UTF-8.
func decode(t *testing.T, body []byte) *tracepb.ResourceSpans {
	t.Helper()
	var request collectorpb.ExportTraceServiceRequest
	require.NoError(t, proto.Unmarshal(body, &request))
	require.Empty(t, request.ProtoReflect().GetUnknown())
	require.Len(t, request.ResourceSpans, 1)
	require.Len(t, request.ResourceSpans[0].ScopeSpans, 1)
	require.Len(t, request.ResourceSpans[0].ScopeSpans[0].Spans, 1)
	return request.ResourceSpans[0]
}

func render(t *testing.T, p notify.Provider, n *notify.Notification) (*tracepb.ResourceSpans, *tracepb.Span) {
	t.Helper()
	payloads, err := p.Render(n)
	require.NoError(t, err)
	require.Len(t, payloads, 1)
	spans := decode(t, payloads[0].Body)
	return spans, spans.ScopeSpans[0].Spans[0]
}

// TestTracesOfFlux compares with the traces that Flux makes of the same events.
func TestTracesOfFlux(t *testing.T) {
	t.Parallel()
	a, err := alert.New(&alert.Config{
		Name: "alert", Namespace: "flux-system", UID: "df905058-dd67-a409-fef8-1480e81e4736",
	}, zap.NewNop())
	require.NoError(t, err)
	p := provider(t, notify.Settings{Address: "http://127.0.0.1"})
	for name, want := range map[string]string{
		"kustomization-progressing":         "819fc03ab70acc3a2e1f20ac2d90c24c",
		"kustomization-health-check-failed": "819fc03ab70acc3a2e1f20ac2d90c24c",
		"helmrelease-installed":             "f9cf3cfd244c30547dc126340e057e81", // app-version@oci-digest
		"imagepolicy-resolved":              "960957b8f176d9bd194d807f3f46a35e", // unknown
	} {
		e := providertest.Event(t, name)
		_, span := render(t, p, a.Notify(&e))
		assert.Equal(t, want, hex.EncodeToString(span.TraceId), name)
		assert.Empty(t, span.ParentSpanId, name)
		assert.Equal(t, uint32(769), span.Flags, name)
		assert.Equal(t, e.InvolvedObject.Kind+": "+e.InvolvedObject.Namespace+"/"+e.InvolvedObject.Name, span.Name)
	}
}

func TestSpansTellEventsApart(t *testing.T) {
	t.Parallel()
	p := provider(t, notify.Settings{Address: "http://127.0.0.1"})
	id := func(change func(*fluxevent.Event)) string {
		e := providertest.Event(t, "kustomization-failed")
		change(&e)
		_, span := render(t, p, providertest.Notification(t, e))
		return string(span.SpanId)
	}
	first := id(func(*fluxevent.Event) {})
	assert.Equal(t, first, id(func(*fluxevent.Event) {}), "a repetition")
	for what, change := range map[string]func(*fluxevent.Event){
		"message": func(e *fluxevent.Event) { e.Message += "." },
		"reason":  func(e *fluxevent.Event) { e.Reason += "." },
		"object":  func(e *fluxevent.Event) { e.InvolvedObject.Name += "." },
		"time":    func(e *fluxevent.Event) { e.Timestamp = fluxevent.NewTime(e.Time().AddDate(0, 0, 1)) },
		"arrival": func(e *fluxevent.Event) { e.Timestamp = fluxevent.Time{} },
		"trace":   func(e *fluxevent.Event) { e.Metadata = nil },
	} {
		assert.NotEqual(t, first, id(change), what)
	}
}

func TestWithoutAnAlert(t *testing.T) {
	t.Parallel()
	p := provider(t, notify.Settings{Address: "http://127.0.0.1"})
	e := providertest.Event(t, "kustomization-failed")
	spans, _ := render(t, p, alert.Everything(&e))
	resource := map[string]string{}
	for _, a := range spans.Resource.Attributes {
		resource[a.Key] = a.Value.GetStringValue()
	}
	assert.Equal(t, map[string]string{"service.instance.id": "prod-eu-1", "service.name": "fluxnotify"}, resource)
}

// TestHostileEvents proves that a strict receiver can read every event, and
// that metadata takes the place of nothing that the event itself says.
func TestHostileEvents(t *testing.T) {
	t.Parallel()
	p := provider(t, notify.Settings{Address: "http://127.0.0.1"})
	for name, e := range providertest.Hostile() {
		_, span := render(t, p, alert.Everything(&e))
		assert.Len(t, span.TraceId, 16, name)
		assert.Len(t, span.SpanId, 8, name)
		assert.Equal(t, span.StartTimeUnixNano, span.EndTimeUnixNano, name)
	}
	e := providertest.Event(t, "kustomization-failed")
	e.Metadata[fluxevent.Group+"/object.name"] = "another"
	e.Metadata[fluxevent.Group+"/flux.event.message"] = "all is well"
	_, span := render(t, p, alert.Everything(&e))
	seen := map[string]string{}
	for _, a := range span.Attributes {
		require.NotContains(t, seen, a.Key, "an attribute twice")
		seen[a.Key] = a.Value.GetStringValue()
	}
	assert.Equal(t, e.InvolvedObject.Name, seen["object.name"])
	assert.Equal(t, e.Message, seen["flux.event.message"])
}

func TestPathAndCredentials(t *testing.T) {
	t.Parallel()
	basic := func(credentials string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(credentials))
	}
	header := []notify.Header{{Name: "X-Scope-OrgID", Value: "tenant"}}
	own := []notify.Header{{Name: "authorization", Value: "Api-Token own"}, {Name: "content-type", Value: "text/plain"}}
	for _, c := range []struct {
		name, path    string
		settings      notify.Settings
		user          string
		uri           string
		authorization string
		tenant        string
	}{
		{name: "no path", uri: "/v1/traces"},
		{name: "a slash", path: "/", uri: "/v1/traces"},
		{name: "a query alone", path: "?key=k", uri: "/v1/traces?key=k"},
		{name: "a path of its own", path: "/otlp/spans/?key=k", uri: "/otlp/spans/?key=k"},
		{name: "token", settings: notify.Settings{Token: "t", Username: "u", Password: "p"}, uri: "/v1/traces", authorization: "Bearer t"},
		{name: "user", settings: notify.Settings{Username: "u", Password: "p"}, uri: "/v1/traces", authorization: basic("u:p")},
		{name: "user and headers", settings: notify.Settings{Username: "u", Password: "p", Headers: header}, uri: "/v1/traces", authorization: basic("u:p"), tenant: "tenant"},
		{name: "user without a password", settings: notify.Settings{Username: "u"}, uri: "/v1/traces", authorization: basic("u:")},
		{name: "password alone", settings: notify.Settings{Password: "p"}, uri: "/v1/traces", authorization: "Bearer p"},
		{name: "header", settings: notify.Settings{Token: "t", Headers: own}, uri: "/v1/traces", authorization: "Api-Token own"},
		{name: "address", user: "a:w@", uri: "/v1/traces", authorization: basic("a:w")},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var seen *http.Request
			server := providertest.Server(t, func(_ http.ResponseWriter, r *http.Request) { seen = r })
			c.settings.Address = strings.Replace(server.URL, "http://", "http://"+c.user, 1) + c.path
			p := provider(t, c.settings)
			require.NoError(t, p.Deliver(t.Context(), providertest.Payload(t, p)))
			assert.Equal(t, http.MethodPost, seen.Method)
			assert.Equal(t, c.uri, seen.RequestURI)
			assert.Equal(t, c.authorization, seen.Header.Get("Authorization"))
			assert.Equal(t, "application/x-protobuf", seen.Header.Get("Content-Type"))
			assert.Equal(t, c.tenant, seen.Header.Get("X-Scope-OrgID"))
		})
	}
}

// answering is a strict endpoint: what it cannot read it refuses, to the rest it
// says what it is told.
func answering(t *testing.T, status int, contentType string, body []byte) string {
	t.Helper()
	return providertest.Server(t, func(w http.ResponseWriter, r *http.Request) {
		sent, err := io.ReadAll(r.Body)
		var request collectorpb.ExportTraceServiceRequest
		if err != nil || proto.Unmarshal(sent, &request) != nil || len(request.ResourceSpans) != 1 {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = w.Write(body)
	}).URL
}
