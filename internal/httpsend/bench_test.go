package httpsend_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// BenchmarkDeliver delivers over an idle connection. The bare variant sends the same
// request with the transport only: the difference is the cost of this package.
func BenchmarkDeliver(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	defer server.Close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	b.Run("target", func(b *testing.B) {
		p, err := httpsend.New(notify.Settings{Address: server.URL, HTTP: &http.Client{Transport: transport}}, httpsend.Options{})
		require.NoError(b, err)
		b.ReportAllocs()
		for b.Loop() {
			if err := p.Deliver(b.Context(), post); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("bare", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, server.URL, bytes.NewReader(post.Body))
			if err != nil {
				b.Fatal(err)
			}
			res, err := transport.RoundTrip(req)
			if err != nil {
				b.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
		}
	})
}
