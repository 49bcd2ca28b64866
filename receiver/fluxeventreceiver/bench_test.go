package fluxeventreceiver

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/receiver/receivertest"
)

// discard is a response that nobody reads.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }

func BenchmarkHandler(b *testing.B) {
	event := recordedEvent(b)
	for _, bench := range []struct {
		name   string
		change func(*Config)
		fresh  bool
		status int
	}{
		{"plain", noDeduplication, false, http.StatusAccepted},
		{"signed", func(c *Config) { noDeduplication(c); keys("key")(c) }, false, http.StatusAccepted},
		{"deduplicated", func(*Config) {}, true, http.StatusAccepted},
		{"large", func(*Config) {}, true, http.StatusAccepted}, // 1,000 metadata keys
		{"duplicate", func(*Config) {}, false, http.StatusTooManyRequests},
	} {
		b.Run(bench.name, func(b *testing.B) {
			config := createDefaultConfig().(*Config)
			bench.change(config)
			r, err := newReceiver(receivertest.NewNopSettings(typ), config, consumertest.NewNop())
			require.NoError(b, err)
			event := event
			if bench.name == "large" {
				event = strings.Replace(withKeys(1000), "event 1", "validation error", 1)
			}
			body := []byte(event)
			req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, "/", nil)
			require.NoError(b, err)
			req.Header.Set("X-Signature", sign("sha256", "key", event))
			name := bytes.Index(body, []byte("validation error"))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if bench.fresh { // a message of its own, of the same length
					strconv.AppendInt(body[name:name], int64(1e15)+int64(i), 10)
				}
				req.Body = io.NopCloser(bytes.NewReader(body))
				w := &discard{header: http.Header{}}
				r.serve(w, req)
				if w.status != bench.status && i > 0 { // the first is no duplicate
					b.Fatal(w.status)
				}
			}
		})
	}
}
