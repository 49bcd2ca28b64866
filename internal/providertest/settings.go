package providertest

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers"
)

// Complete adds to settings what the exporter adds: the client, the logger and
// what has a default.
func Complete(tb testing.TB, s notify.Settings) notify.Settings {
	tb.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}
	tb.Cleanup(transport.CloseIdleConnections)
	s.HTTP = &http.Client{Transport: transport, CheckRedirect: httpsend.NoRedirects}
	s.Logger = zap.NewNop()
	s.Type, s.Name, s.UID = "sample", "production", "prod-eu-1"
	s.ConnectTimeout = 5 * time.Second
	return s
}

// New makes a provider of a row and ends it with the test.
func New(tb testing.TB, row providers.Row, s notify.Settings) notify.Provider {
	tb.Helper()
	return made(tb, row, Complete(tb, s))
}

func made(tb testing.TB, row providers.Row, s notify.Settings) notify.Provider {
	tb.Helper()
	p, err := row.New(s)
	require.NoError(tb, err)
	if stopper, ok := p.(notify.Stopper); ok {
		tb.Cleanup(func() { require.NoError(tb, stopper.Shutdown(tb.Context())) })
	}
	return p
}

// Sample makes a provider of the row's own sample.
func Sample(tb testing.TB, row providers.Row) notify.Provider {
	tb.Helper()
	return New(tb, row, row.Sample)
}

// At is an address on another server: its path and query stay.
func At(tb testing.TB, address, server string) string {
	tb.Helper()
	u, err := url.Parse(address)
	require.NoError(tb, err)
	s, err := url.Parse(server)
	require.NoError(tb, err)
	u.Scheme, u.Host = s.Scheme, s.Host
	return u.String()
}

// On makes a provider whose requests come to a server, whatever host the type
// takes its endpoint to be on.
func On(tb testing.TB, row providers.Row, s notify.Settings, server string) notify.Provider {
	tb.Helper()
	if !row.OneHost {
		s.Address = At(tb, s.Address, server)
		return New(tb, row, s)
	}
	u, err := url.Parse(server)
	require.NoError(tb, err)
	s = Complete(tb, s)
	s.HTTP.Transport = rerouted{s.HTTP.Transport, u}
	return made(tb, row, s)
}

// rerouted sends every request to one server.
type rerouted struct {
	http.RoundTripper
	server *url.URL
}

func (t rerouted) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host = t.server.Scheme, t.server.Host
	return t.RoundTripper.RoundTrip(r)
}

// ok answers as a content endpoint of the row.
func ok(row providers.Row) http.HandlerFunc {
	if row.OK != nil {
		return row.OK
	}
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, row.OKBody) }
}

// Server answers on the loopback interface until the test ends.
func Server(tb testing.TB, handler http.HandlerFunc) *httptest.Server {
	tb.Helper()
	server := httptest.NewServer(handler)
	tb.Cleanup(server.Close)
	return server
}

// Payload is one that the type really sends.
func Payload(tb testing.TB, p notify.Provider) notify.Payload {
	tb.Helper()
	for _, name := range []string{"kustomization-failed", "kustomization-succeeded", "kustomization-commit-status"} {
		for _, e := range []fluxevent.Event{Event(tb, name), requested(Event(tb, name))} {
			payloads, err := p.Render(Notification(tb, e))
			require.NoError(tb, err)
			if len(payloads) > 0 {
				return payloads[0]
			}
		}
	}
	require.Fail(tb, "the type sends nothing")
	return notify.Payload{}
}

// Deliver tells of a failed reconciliation.
func Deliver(tb testing.TB, p notify.Provider) error {
	tb.Helper()
	payloads, err := p.Render(Notification(tb, Event(tb, "kustomization-failed")))
	require.NoError(tb, err)
	require.Len(tb, payloads, 1)
	return p.Deliver(tb.Context(), payloads[0])
}
