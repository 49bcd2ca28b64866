package httpsend_test

import (
	"bytes"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

func TestRedactionOfURLs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		address, token string
		open           bool
		url, added     string
		want           string
	}{
		{"https://example.com/hook/s3cret", "", false, "https://example.com/hook/s3cret", "", "https://example.com/[REDACTED]"},
		{"https://example.com/hook/s3cret", "", false, "https://example.com/hook/s3cret/v2/send", "/v2/send", "https://example.com/[REDACTED]/v2/send"},
		{"https://example.com", "", false, "https://example.com/v2/send", "/v2/send", "https://example.com/v2/send"},
		{"https://example.com/", "", false, "https://example.com/", "", "https://example.com/"},
		{"https://example.com/api/v2", "", true, "https://example.com/api/v2/x", "/x", "https://example.com/api/v2/x"},
		{"https://example.com/api/0123456789012345678", "", true, "https://example.com/api/0123456789012345678", "", "https://example.com/api/[REDACTED]"},
		{"https://example.com", "123:token", true, "https://example.com/bot123:token/send", "/send", "https://example.com/bot[REDACTED]/send"},
		{"https://example.com", "abc", true, "https://example.com/botabc/send", "/send", "https://example.com[withheld: it contains a secret]/send"},
		{"https://example.com/x?sig=s3cret&v=1", "", true, "https://example.com/x?sig=s3cret&v=1", "", "https://example.com/x?sig=[REDACTED]&v=[REDACTED]"},
		{"https://example.com/x?sig=s3cret", "", false, "https://example.com/x?format=full%2F&sig=s3cret", "", "https://example.com/[REDACTED]?format=full%2F&sig=[REDACTED]"},
		{"https://example.com/x", "secret-token", true, "https://example.com/x?access=secret-token", "", "https://example.com/x?access=[REDACTED]"},
		{"https://example.com/?s3cret", "", true, "https://example.com/?s3cret", "", "https://example.com/?[REDACTED]"},
		{"https://user:s3cret@example.com/x", "", true, "https://user:s3cret@example.com/x", "", "https://example.com/x"},
	} {
		u, err := url.Parse(c.url)
		require.NoError(t, err)
		r := httpsend.NewRedaction(notify.Settings{Address: c.address, Token: c.token}, c.open)
		assert.Equal(t, c.want, r.URL(u, c.added))
	}
}

func TestRedactionOfAddresses(t *testing.T) {
	t.Parallel()
	var r httpsend.Redaction
	for address, want := range map[string]string{
		"nats://flux:s3cret@a:4222, tls://s3cret@b": "nats://a:4222,tls://b",
		"nats://a/s3cret?s3cret":                    "nats://a/[REDACTED]",
		"my-project":                                "my-project",
		"example.com:4222":                          "example.com:4222",
		"Endpoint=sb://h/;SharedAccessKey=s3cret":   "[REDACTED]",
		"": "[REDACTED]",
	} {
		assert.Equal(t, want, r.Address(address))
	}
}

func TestRedactionOfHeaders(t *testing.T) {
	t.Parallel()
	r := httpsend.NewRedaction(notify.Settings{Token: "secret-token"}, true)
	for header, want := range map[[2]string]string{
		{"Content-Type", "application/json"}:     "application/json",
		{"X-Signature", "sha256=00"}:             "sha256=00",
		{"Authorization", "Bearer secret-token"}: "Bearer [REDACTED]",
		{"Authorization", "s3cret"}:              "[REDACTED]",
		{"X-Api-Key", "s3cret"}:                  "[REDACTED]",
		{"User-Agent", "with secret-token"}:      "with [REDACTED]",
	} {
		assert.Equal(t, want, r.Header(header[0], header[1]))
	}
}

// Bodies are shown to the byte, but for credentials.
func TestRedactionOfBodies(t *testing.T) {
	t.Parallel()
	r := httpsend.NewRedaction(notify.Settings{
		Address: "https://example.com/hooks/deploy", Token: "abc", Secrets: map[string]string{"key": `routing"key`},
	}, false)
	same := []byte(`{"message":"abcdef of /hooks/deploy","x":"\u003c"}`)
	shown := r.Body(same)
	assert.Equal(t, string(same), string(shown))
	shown[0] = 'x'
	assert.Equal(t, byte('{'), same[0], "the body is its owner's")
	masked := r.Body([]byte(`{"routing_key":"routing\"key","token":"abc"}`))
	assert.True(t, bytes.Equal([]byte(`{"routing_key":"[REDACTED]","token":"[REDACTED]"}`), masked), "%s", masked)
}
