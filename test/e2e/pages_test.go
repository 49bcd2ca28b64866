package e2e

import (
	"io"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestPagesHoldNoSecret looks at all that a collector shows of itself while it
// delivers, and fails to: its pages, its metrics and its log at level debug.
func TestPagesHoldNoSecret(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	s := newSink(t, func(r request) answer {
		if r.n%2 == 0 {
			return answer{status: http.StatusTeapot, body: "who is " + r.header.Get("Authorization") + " at " + r.path + "?"}
		}
		return answer{}
	})
	at, err := url.Parse(s.URL)
	require.NoError(t, err)
	at.User = url.UserPassword(c.Secret("user of an address", "s3cr3t-user"), c.Secret("password of an address", "s3cr3t-password-0123"))
	at.Path = c.Secret("path of a webhook", "/hook/s3cr3t-path-0123456789")
	at.RawQuery = "key=" + c.Secret("query of a webhook", "s3cr3t-query-0123")
	pages := loopback(freePort(t))
	c.Start(spec{
		extensions: `zpages: {endpoint: "` + pages + `"}`,
		exporters: `
flux_notify/webhook:
  type: generic
  address: "` + at.String() + `"
  headers: {X-Api-Key: "` + c.Secret("value of a header", "s3cr3t-header-0123") + `"}
flux_notify/signed:
  type: generic-hmac
  address: "` + at.String() + `"
  token: "` + c.Secret("key of a signature", "s3cr3t-key-0123456789") + `"
flux_notify/slack:
  type: slack
  address: "` + s.URL + `/services/` + c.Secret("path of Slack's webhook", "T00/B00/s3cr3tXXXXXXXXXXXXXXXXXX") + `"
  token: "` + c.Secret("token", "xoxb-s3cr3t-token-0123") + `"
`,
	})
	events := numbered(20)
	c.Accept(events...)
	s.WaitUntil(func() bool { return len(s.Requests()) >= 3*len(events) })
	for _, page := range []string{"servicez", "pipelinez", "extensionz", "featurez"} {
		res, err := client.Get("http://" + pages + "/debug/" + page)
		require.NoError(t, err)
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		assert.Equal(t, http.StatusOK, res.StatusCode, page)
		_, _ = c.exposed.Write(body)
	}
	c.Stop()
	assert.NotEmpty(t, c.Lines("not sent"), "nothing failed, so no failure was shown")
}
