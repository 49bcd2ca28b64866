package httpsend

import (
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// FuzzAddress looks for an address that is taken and cannot be sent to, or is
// refused and repeated in the refusal.
func FuzzAddress(f *testing.F) {
	for _, address := range []string{
		"https://example.com/hook", "http://user:s3cr3t@[::1]:8080/a%2Fb?key=x#f", "https://", "://s3cr3t", "https://example.com:99999999999/",
		"HTTPS://EXAMPLE.COM", "https://exa mple.com", "https:///path", "file:///etc/passwd", "https://a\x00b/", "https://%zz/",
	} {
		f.Add(address)
	}
	f.Fuzz(func(t *testing.T, address string) {
		u, err := ParseAddress(address)
		if err != nil {
			require.Nil(t, u)
			require.True(t, strings.HasPrefix(err.Error(), "address: "))
			if len(address) > len("https://example.com/hook") {
				assert.NotContains(t, err.Error(), address)
			}
			return
		}
		require.Contains(t, []string{"http", "https"}, u.Scheme)
		require.NotEmpty(t, u.Hostname())
		again, err := url.Parse(u.String())
		require.NoError(t, err)
		require.Equal(t, u.Host, again.Host, "written down and read again, it is another host")
	})
}

// FuzzRedaction looks for an answer in which a secret is still to be read.
func FuzzRedaction(f *testing.F) {
	f.Add("s3cr3t-token", "invalid token: ", ".")
	f.Add("a/b+c=&\"<", "{\"token\":\"", "\"}")
	f.Add("aaaaaa", "aaa", "aaa")
	f.Add("[REDACTED]", "", "")
	f.Add("000000", "\x00000", "0")
	f.Add("000000", "0", "\x000000")
	f.Add("s3cr3t\xff\xfe", "\xff", "\x00")
	standIns := masked + withheld
	f.Fuzz(func(t *testing.T, secret, before, after string) {
		secret = strings.TrimSpace(secret)
		if len(secret) < minMask || !utf8.ValidString(secret) || strings.Contains(standIns, secret) {
			t.Skip("too short to be one, or part of what stands for it")
		}
		r := newRedactor(notify.Settings{Token: secret, Address: "https://example.com"}, &url.URL{Scheme: "https", Host: "example.com"})
		for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret), inJSON(secret, true), inJSON(secret, false)} {
			answer := before + form + after
			// Before control characters are escaped, since \x00 and what follows it
			// may look like a secret; and what stands on the two sides of a mask does
			// not make a text.
			for _, part := range strings.Split(r.redact(strings.ToValidUTF8(answer, "\uFFFD")), masked) {
				require.NotContains(t, part, form)
			}
			quoted := r.quote([]byte(answer))
			require.LessOrEqual(t, len(quoted), maxQuote)
			require.True(t, utf8.ValidString(quoted))
			require.NotContains(t, quoted, "\n")
		}
	})
}
