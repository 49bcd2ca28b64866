package httpsend_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// quoted is what an error shows of an answer.
func quoted(t *testing.T, s notify.Settings, answer string) string {
	t.Helper()
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, answer)
	})
	s.Address = url + s.Address
	text := failure(t, target(t, s, httpsend.Options{}).Deliver(t.Context(), post)).Error()
	_, quote, found := strings.Cut(text, " answered 400 Bad Request")
	require.True(t, found, text)
	return strings.TrimPrefix(quote, ": ")
}

func TestQuoteIsBounded(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"text":      strings.Repeat("no such channel ", 10000),
		"wide":      strings.Repeat("🚀", 1000),
		"control":   strings.Repeat("\x00\x1b\n", 1000),
		"not UTF-8": strings.Repeat("\xff.", 1000),
	} {
		quote := quoted(t, notify.Settings{}, answer)
		assert.LessOrEqual(t, len(quote), 512, name)
		assert.Greater(t, len(quote), 490, name)
		assert.True(t, strings.HasSuffix(quote, "… (truncated)"), name)
		assert.True(t, utf8.ValidString(quote), name)
		for _, r := range quote {
			assert.True(t, unicode.IsPrint(r), "%s: %U", name, r)
		}
		assert.NotRegexp(t, `\\x?[0-9a-f]?…`, quote, "cut inside an escape")
	}
	assert.Empty(t, quoted(t, notify.Settings{}, " \r\n "))
	assert.Equal(t, `a\n\x1b[31mb\u202e`, quoted(t, notify.Settings{}, "a\n\x1b[31mb\u202e\n"))
}

func TestSecretsAreMasked(t *testing.T) {
	t.Parallel()
	s := notify.Settings{
		Address:  "/services/T%2F0/B0?key=query%2Bsecret",
		Token:    "token\nline/secret\n",
		Username: "flux",
		Password: "pass word&secret",
		Headers:  []notify.Header{{Name: "X-Key", Value: "header-secret"}},
		Secrets:  map[string]string{"nkey": "SUsecret"},
	}
	for _, answer := range []string{
		"token\nline/secret", `token\nline/secret`, "pass word&secret", "pass+word%26secret", "pass%20word&secret",
		`pass word\u0026secret`, "header-secret", "SUsecret", "query+secret", "key=query%2Bsecret",
		"/services/T%2F0/B0", "/services/T/0/B0",
		"Basic Zmx1eDpwYXNzIHdvcmQmc2VjcmV0",
	} {
		assert.Contains(t, quoted(t, s, "said <"+answer+">"), "[REDACTED]>", answer)
		assert.NotContains(t, quoted(t, s, "said <"+answer+">"), "ecret", answer)
	}
	assert.Equal(t, "user flux is unknown", quoted(t, s, "user flux is unknown"), "a user's name is no secret")
}

// A mask in the place of a short secret would show where it stood, and so what
// it is.
func TestShortSecretsWithholdTheText(t *testing.T) {
	t.Parallel()
	s := notify.Settings{Token: "abc"}
	assert.Equal(t, "[withheld: it contains a secret]", quoted(t, s, "bad token abc"))
	assert.Equal(t, "bad token", quoted(t, s, "bad token"))
}

// What is short in a query or a header is a tenant or a version: it is in most
// answers, and none of them would be shown.
func TestShortValuesOfQueryAndHeadersAreNoSecrets(t *testing.T) {
	t.Parallel()
	s := notify.Settings{
		Address: "/hook?tenant=1&sv=1.0&sig=5ecr3t-sig",
		Headers: []notify.Header{{Name: "X-Scope-OrgID", Value: "1"}, {Name: "X-Key", Value: "5ecr3t-key"}},
	}
	assert.Equal(t, "HTTP/1.0 knows no channel 1", quoted(t, s, "HTTP/1.0 knows no channel 1"))
	assert.Equal(t, "no [REDACTED], no [REDACTED]", quoted(t, s, "no 5ecr3t-sig, no 5ecr3t-key"))
	s = notify.Settings{Address: "/hook?v=1"}
	assert.Equal(t, "no v=1", quoted(t, s, "no v=1"))
}

func TestSecretBeyondTheCut(t *testing.T) {
	t.Parallel()
	secret := strings.Repeat("s3cret", 20)
	// The secret begins within the first 512 bytes and ends after them.
	quote := quoted(t, notify.Settings{Token: secret}, strings.Repeat("x", 470)+secret)
	assert.NotContains(t, quote, "s3c")
}

func TestOperatorHeader(t *testing.T) {
	t.Parallel()
	got := httpsend.OperatorHeader([]notify.Header{
		{Name: "content-type", Value: "text/plain"},
		{Name: "x-signature", Value: "sha256=0"},
		{Name: "HOST", Value: "elsewhere"},
		{Name: "x-team", Value: "first"},
		{Name: "X-Team", Value: "last"},
		{Name: "Authorization", Value: "Bearer mine"},
	})
	assert.Equal(t, http.Header{"X-Team": {"last"}, "Authorization": {"Bearer mine"}}, got)
}

func TestHeaderValue(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                               "",
		"kustomize-controller":           "kustomize-controller",
		"équipe 🚀":                       "équipe 🚀",
		"a\r\nX-Injected: 1\x00b\x7fc\t": "a  X-Injected: 1 b c ",
	} {
		assert.Equal(t, want, httpsend.HeaderValue(in))
	}
}

func TestBearer(t *testing.T) {
	t.Parallel()
	for token, want := range map[string]string{"": "", "secret": "Bearer secret"} {
		r := &http.Request{Header: http.Header{}}
		httpsend.Bearer(token)(r, nil)
		assert.Equal(t, want, r.Header.Get("Authorization"))
	}
}

func TestQuoter(t *testing.T) {
	t.Parallel()
	quote := httpsend.Quoter("", "s3cret+key/of=the policy")
	assert.Equal(t, "refused [REDACTED] and [REDACTED]\\r\\nagain", quote("refused s3cret+key/of=the policy and s3cret%2Bkey%2Fof%3Dthe+policy\r\nagain "))
	assert.Len(t, quote(strings.Repeat("x", 2000)), 512)
}
