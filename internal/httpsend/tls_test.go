package httpsend_test

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/testca"
)

// serveTLS answers with a certificate of an authority.
func serveTLS(t *testing.T, ca *testca.Authority, leaf testca.Leaf) string {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{ca.Issue(t, leaf)}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes are meant to fail
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	ours, theirs := testca.New(t), testca.New(t)
	for _, c := range []struct {
		name, url string
		says      string // "": all is well
	}{
		{"valid", serveTLS(t, ours, testca.Leaf{}), ""},
		{"of an unknown authority", serveTLS(t, theirs, testca.Leaf{}), "unknown authority"},
		{"for another host", serveTLS(t, ours, testca.Leaf{IPs: []net.IP{net.IPv4(192, 0, 2, 1)}}), "192.0.2.1"},
		{"expired", serveTLS(t, ours, testca.Leaf{Until: time.Now().Add(-time.Hour)}), "expired"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ours.Pool(), MinVersion: tls.VersionTLS12}}
			defer transport.CloseIdleConnections()
			p, err := httpsend.New(notify.Settings{Address: c.url, HTTP: &http.Client{Transport: transport}}, httpsend.Options{})
			require.NoError(t, err)
			err = p.Deliver(t.Context(), post)
			if c.says == "" {
				require.NoError(t, err)
				return
			}
			e := failure(t, err)
			assert.Equal(t, notify.Retryable, e.Class)
			assert.Equal(t, "tls", e.Type)
			assert.Contains(t, e.Error(), ": the certificate could not be verified: x509: ")
			assert.Contains(t, e.Error(), c.says)
		})
	}
}
