package providertest

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/githubapp"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers"
	"github.com/fluxnotify/otelcol-flux/internal/version"
)

// NamesItself proves that every request of a delivery has the program and its version
// as its User-Agent, also those of a vendor's SDK and those for a token. Where headers
// can be configured, the operator's own User-Agent is used.
func NamesItself(t *testing.T, row providers.Row) {
	t.Helper()
	ours := "otelcol-flux/" + version.String()
	assert.Equal(t, []string{ours}, userAgents(t, row, row.Sample, ok(row)))
	if readsApp(row) {
		s := row.Sample
		s.Token, s.Secrets = "", AppSecrets(t)
		withToken := AppServer(t, ok(row))
		assert.Equal(t, []string{ours}, userAgents(t, row, s, func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/app") { // requested with the App's own token
				_, _ = io.WriteString(w, `{"slug":"flux"}`)
				return
			}
			withToken(w, r)
		}))
	}
	if row.Headers != providers.Unused {
		s := row.Sample
		s.Headers = []notify.Header{{Name: "user-agent", Value: "operator/1.0"}}
		assert.Equal(t, []string{"operator/1.0"}, userAgents(t, row, s, ok(row)))
	}
}

// readsApp reports whether the type accepts the credentials of a GitHub App.
func readsApp(row providers.Row) bool {
	return slices.ContainsFunc(row.Secrets, func(key string) bool { return slices.Contains(githubapp.Keys, key) })
}

// userAgents are the distinct User-Agents of a delivery's requests.
func userAgents(t *testing.T, row providers.Row, s notify.Settings, handler http.HandlerFunc) []string {
	t.Helper()
	var mu sync.Mutex
	known := map[string]bool{}
	var all []string
	server := Server(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		if name := r.UserAgent(); !known[name] {
			known[name] = true
			all = append(all, name)
		}
		mu.Unlock()
		handler(w, r)
	})
	p := On(t, row, s, server.URL)
	require.NoError(t, p.Deliver(t.Context(), Payload(t, p)))
	mu.Lock()
	defer mu.Unlock()
	return all
}

// vandal changes the headers of each request, map and values alike.
type vandal struct{ requests []http.Header }

func (v *vandal) RoundTrip(r *http.Request) (*http.Response, error) {
	v.requests = append(v.requests, r.Header.Clone())
	for name, values := range r.Header {
		for i := range values {
			values[i] = "changed"
		}
		r.Header[name] = append(values, "another")
	}
	r.Header.Set("X-Added", "added")
	return nil, errClosed
}

// OwnHeaders proves that a middleware which changes the headers of one request
// changes no other.
func OwnHeaders(t *testing.T, row providers.Row) {
	t.Helper()
	transport := &vandal{}
	s := Complete(t, row.Sample)
	s.HTTP.Transport = transport
	p := made(t, row, s)
	payload := Payload(t, p)
	for range 2 {
		require.ErrorIs(t, p.Deliver(t.Context(), payload), errClosed)
	}
	require.Len(t, transport.requests, 2)
	assert.Equal(t, transport.requests[0], transport.requests[1])
}

// Unverified proves that a certificate that does not verify is a retryable error
// which names the reason.
func Unverified(t *testing.T, row providers.Row) {
	t.Helper()
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // the handshake is meant to fail
	server.StartTLS()
	defer server.Close()
	p := On(t, row, row.Sample, server.URL)
	var e *notify.Error
	require.ErrorAs(t, p.Deliver(t.Context(), Payload(t, p)), &e)
	assert.Equal(t, notify.Retryable, e.Class)
	assert.Equal(t, "tls", e.Type)
	assert.Contains(t, e.Error(), "the certificate could not be verified: x509: certificate signed by unknown authority")
}
