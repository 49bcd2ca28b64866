package fluxeventreceiver

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer/consumertest"
)

var encodings = []string{"gzip", "zstd", "zlib", "deflate", "snappy", "x-snappy-framed", "lz4"}

// encoding makes the service's client send bodies as other collectors do.
func (s *service) encoding(t *testing.T, name string) *service {
	t.Helper()
	config := confighttp.NewDefaultClientConfig()
	config.DisableKeepAlives = true
	require.NoError(t, confmap.NewFromStringMap(map[string]any{"compression": name}).Unmarshal(&config))
	client, err := config.ToClient(t.Context(), nil, componenttest.NewNopTelemetrySettings())
	require.NoError(t, err)
	encoding := *s
	encoding.client = client
	return &encoding
}

func gzipped(t *testing.T, body string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(body))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.String()
}

// padded is an event of a given size.
func padded(size int) string {
	head := `{"involvedObject":{"kind":"K","name":"n"},"message":"`
	return head + strings.Repeat("x", size-len(head)-2) + `"}`
}

func TestEncodings(t *testing.T) {
	t.Parallel()
	for _, name := range encodings {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sink := new(consumertest.LogsSink)
			s := start(t, sink, keys("key"), maxBody(10_000)).encoding(t, name)
			signature := sign("sha256", "key", body(1))
			assert.Equal(t, http.StatusAccepted, s.post(t, body(1), "X-Signature", signature).status, "signed before it was encoded")
			assertLine(t, http.StatusUnauthorized, badSignature, s.post(t, body(2), "X-Signature", signature))
			require.Equal(t, 1, sink.LogRecordCount())

			largest := padded(10_000)
			assert.Equal(t, http.StatusAccepted, s.post(t, largest, "X-Signature", sign("sha256", "key", largest)).status)
			for _, size := range []int{10_001, 2_000_000} {
				bomb := padded(size)
				got := s.post(t, bomb, "X-Signature", sign("sha256", "key", bomb))
				assert.Equal(t, http.StatusRequestEntityTooLarge, got.status, size)
				assert.Regexp(t, "^the event is too large: [^\n]*\n$", got.body)
			}
			assert.Equal(t, 2, sink.LogRecordCount())
		})
	}
}

func TestSignatureOfEncodedBytes(t *testing.T) {
	t.Parallel()
	s := start(t, consumertest.NewNop(), keys("key"))
	sent := gzipped(t, body(1))
	assertLine(t, http.StatusUnauthorized, badSignature,
		s.post(t, sent, "Content-Encoding", "gzip", "X-Signature", sign("sha256", "key", sent)))
	assert.Equal(t, http.StatusAccepted,
		s.post(t, sent, "Content-Encoding", "gzip", "X-Signature", sign("sha256", "key", body(1))).status)
}

func TestPlainSize(t *testing.T) {
	t.Parallel()
	s := start(t, consumertest.NewNop(), maxBody(1000))
	assert.Equal(t, http.StatusAccepted, s.post(t, padded(1000)).status)
	assertLine(t, http.StatusRequestEntityTooLarge, "the event is too large: more than 1000 bytes", s.post(t, padded(1001)))
	got := s.post(t, strings.Repeat("x", 1001))
	assert.Equal(t, http.StatusRequestEntityTooLarge, got.status, "whatever it is")
}

func TestBrokenEncodings(t *testing.T) {
	t.Parallel()
	sink := new(consumertest.LogsSink)
	s := start(t, sink)
	whole := gzipped(t, body(1))
	for name, test := range map[string]struct{ encoding, body, line string }{
		"unsupported":  {"br", body(1), "the body cannot be decoded: unsupported Content-Encoding: br"},
		"not encoded":  {"gzip", body(1), "the body cannot be decoded: gzip: invalid header"},
		"empty":        {"gzip", "", "the body cannot be decoded: EOF"},
		"cut off":      {"gzip", whole[:len(whole)-10], "the body cannot be read: unexpected EOF"},
		"bad checksum": {"gzip", whole[:len(whole)-8] + "12345678", "the body cannot be read: gzip: invalid checksum"},
	} {
		t.Log(name)
		assertLine(t, http.StatusBadRequest, test.line, s.post(t, test.body, "Content-Encoding", test.encoding))
	}
	assert.Equal(t, http.StatusBadRequest, s.post(t, "not zstd", "Content-Encoding", "zstd").status)
	assert.Empty(t, sink.AllLogs())
}
