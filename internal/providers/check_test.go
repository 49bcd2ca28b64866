package providers_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

// checks are the calls that vendors document, as their servers take them: the
// method, the path, the credentials, and no body.
var checks = map[string]struct {
	asks    string
	header  [2]string
	content string // of the answer
}{
	"alertmanager":              {"GET /api/v2/status", [2]string{"Authorization", "Basic Zmx1eDpzYW1wbGUtcGFzc3dvcmQ="}, `{"cluster":{"status":"ready"}}`},
	"datadog":                   {"GET /api/v1/validate", [2]string{"Dd-Api-Key", "sample-token"}, `{"valid":true}`},
	"bitbucket":                 {"GET /2.0/repositories/workspace/repository", [2]string{"Authorization", "Basic Zmx1eEBleGFtcGxlLmNvbTpzYW1wbGUtdG9rZW4="}, `{"slug":"repository"}`},
	"bitbucketserver":           {"GET /rest/api/latest/projects/project/repos/repository", [2]string{"Authorization", "Basic Zmx1eDpzYW1wbGUtcGFzc3dvcmQ="}, `{"slug":"repository"}`},
	"gitea":                     {"GET /api/v1/repos/owner/repository", [2]string{"Authorization", "token sample-token"}, `{"id":1}`},
	"giteapullrequestcomment":   {"GET /api/v1/repos/owner/repository/issues", [2]string{"Authorization", "token sample-token"}, `[]`},
	"github":                    {"GET /api/v3/repos/owner/repository", [2]string{"Authorization", "Bearer sample-token"}, `{"id":1}`},
	"githubpullrequestcomment":  {"GET /api/v3/repos/owner/repository", [2]string{"Authorization", "Bearer sample-token"}, `{"id":1}`},
	"gitlab":                    {"GET /api/v4/projects/group%2Fsub%2Fproject", [2]string{"Private-Token", "sample-token"}, `{"id":1}`},
	"gitlabmergerequestcomment": {"GET /api/v4/projects/group%2Fsub%2Fproject", [2]string{"Private-Token", "sample-token"}, `{"id":1}`},
	"discord":                   {"GET /api/webhooks/123/sample", [2]string{}, `{"id":"123","type":1}`},
	"githubdispatch":            {"GET /api/v3/repos/owner/repository", [2]string{"Authorization", "Bearer sample-token"}, `{"permissions":{"push":true}}`},
	"grafana":                   {"GET /api/annotations", [2]string{"Authorization", "Basic Zmx1eDpzYW1wbGUtcGFzc3dvcmQ="}, `[]`},
	"mastodon":                  {"GET /api/v1/accounts/verify_credentials", [2]string{"Authorization", "Bearer sample-token"}, `{"id":"1"}`},
	"matrix":                    {"GET /_matrix/client/v3/account/whoami", [2]string{"Authorization", "Bearer sample-token"}, `{"user_id":"@flux:example.com"}`},
	"slack":                     {"POST /api/auth.test", [2]string{"Authorization", "Bearer sample-token"}, `{"ok":true,"user":"flux"}`},
	"telegram":                  {"GET /bot123456:sample-token/getMe", [2]string{}, `{"ok":true,"result":{"id":1,"is_bot":true}}`},
	"webex":                     {"GET /v1/people/me", [2]string{"Authorization", "Bearer sample-token"}, `{"id":"Y2lz"}`},
	"zulip":                     {"GET /api/v1/users/me", [2]string{"Authorization", "Basic Zmx1eC1ib3RAZXhhbXBsZS56dWxpcGNoYXQuY29tOnNhbXBsZS1wYXNzd29yZA=="}, `{"result":"success"}`},
}

// strict answers one call, and nothing else.
func strict(t *testing.T, asks string, header [2]string, answer http.HandlerFunc) *httptest.Server {
	t.Helper()
	return providertest.Server(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case r.Method+" "+r.URL.EscapedPath() != asks:
			http.Error(w, "unexpected "+r.Method+" "+r.URL.EscapedPath(), http.StatusNotFound)
		case len(body) > 0:
			http.Error(w, "unexpected body", http.StatusBadRequest)
		case header[0] != "" && r.Header.Get(header[0]) != header[1]:
			http.Error(w, "unexpected credentials", http.StatusUnauthorized)
		default:
			answer(w, r)
		}
	})
}

func checker(t *testing.T, providerType, server string, change func(*notify.Settings)) notify.Checker {
	t.Helper()
	row, ok := providers.Find(providerType)
	require.True(t, ok)
	s := row.Sample
	if change != nil {
		s.Address = providertest.At(t, s.Address, server)
		change(&s)
	}
	c, ok := providertest.On(t, row, s, server).(notify.Checker)
	require.True(t, ok, "%s has no check", providerType)
	return c
}

func TestChecks(t *testing.T) {
	t.Parallel()
	for providerType, c := range checks {
		t.Run(providerType, func(t *testing.T) {
			t.Parallel()
			well := strict(t, c.asks, c.header, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, c.content) })
			require.NoError(t, checker(t, providerType, well.URL, nil).Check(t.Context()))

			for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusFound, http.StatusBadGateway} {
				refusing := strict(t, c.asks, c.header, func(w http.ResponseWriter, r *http.Request) {
					w.WriteHeader(status)
					_, _ = io.WriteString(w, "no: "+r.Header.Get("Authorization")+r.Header.Get("Dd-Api-Key")+r.URL.Path)
				})
				err := checker(t, providerType, refusing.URL, nil).Check(t.Context())
				var e *notify.Error
				require.ErrorAs(t, err, &e, "%d", status)
				for _, secret := range []string{"sample-token", "sample-password", "c2FtcGxlLXBhc3N3b3Jk"} {
					assert.NotContains(t, err.Error(), secret)
				}
			}
			require.ErrorContains(t, checker(t, providerType, "http://127.0.0.1:1", nil).Check(t.Context()), "refused")
		})
	}
}

// TestChecksOfTheTable keeps the list above whole. NATS is no HTTP, and proved
// beside its servers.
func TestChecksOfTheTable(t *testing.T) {
	t.Parallel()
	for _, row := range providers.Table {
		if row.Bus {
			continue
		}
		_, has := providertest.Sample(t, row).(notify.Checker)
		_, proved := checks[row.Type]
		_, never := uncheckable[row.Type]
		assert.Equal(t, has, proved || never, row.Type)
	}
}

// What an answer of 200 hides, and what a refusal does not mean.
func TestChecksReadAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		providerType string
		status       int
		body, err    string
	}{
		"Slack's token":             {"slack", 200, `{"ok":false,"error":"invalid_auth"}`, "refused the token: invalid_auth (token is not one of Slack's bot tokens"},
		"not Slack":                 {"slack", 200, `<html>`, "address does not lead to Slack's API"},
		"Telegram's token":          {"telegram", 401, `{"ok":false,"error_code":401,"description":"Unauthorized"}`, "token is not that of a bot"},
		"GitHub's reader":           {"githubdispatch", 200, `{"permissions":{"push":false}}`, "may not write to the repository"},
		"GitHub without rights":     {"githubdispatch", 200, `{}`, ""},
		"Mastodon's narrow token":   {"mastodon", 403, `{"error":"This action is outside the authorized scopes"}`, ""},
		"Mastodon's suspended user": {"mastodon", 403, `{"error":"Your login is currently disabled"}`, "Your login is currently disabled"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			of := checks[c.providerType]
			server := strict(t, of.asks, of.header, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			})
			err := checker(t, c.providerType, server.URL, nil).Check(t.Context())
			if c.err == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.err)
		})
	}
}

// uncheckable are addresses of which nothing can be asked.
var uncheckable = map[string]string{
	"alertmanager": "https://alertmanager.example.com/webhook",
	"azuredevops":  "https://dev.azure.com/organization/project/_git/repository",
	"slack":        "https://hooks.slack.com/services/T0/B0/sample",
	"webex":        "https://webexapis.com/v1/hook",
}

func TestUncheckable(t *testing.T) {
	t.Parallel()
	for providerType, address := range uncheckable {
		c := checker(t, providerType, "http://127.0.0.1:1", func(s *notify.Settings) { s.Address = address })
		require.ErrorIs(t, c.Check(t.Context()), notify.ErrUncheckable, providerType)
	}
}
