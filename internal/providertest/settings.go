package providertest

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

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
	s.UID = "prod-eu-1"
	s.ConnectTimeout = 5 * time.Second
	return s
}

// New makes a provider of a row and ends it with the test.
func New(tb testing.TB, row providers.Row, s notify.Settings) notify.Provider {
	tb.Helper()
	p, err := row.New(Complete(tb, s))
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
		payloads, err := p.Render(Notification(tb, Event(tb, name)))
		require.NoError(tb, err)
		if len(payloads) > 0 {
			return payloads[0]
		}
	}
	require.Fail(tb, "the type sends nothing")
	return notify.Payload{}
}
