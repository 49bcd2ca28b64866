package bitbucket_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	api "github.com/ktrysmt/go-bitbucket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/bitbucket"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
	"github.com/fluxnotify/otelcol-flux/internal/providertest/gitpeer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	commit = "5394cb7f48332b2de7c17dd8b8384bbc84b7e738"
	key    = "2e35edb62bb2275f8cc7e00aa65015cf3247fa1d" // SHA-1 of kustomization/apps/prod
	builds = "/2.0/repositories/workspace/repository/commit/" + commit + "/statuses/build"
)

// instead brings the requests for Bitbucket's API to a server.
type instead struct {
	tb     testing.TB
	next   http.RoundTripper
	server string
}

func (i instead) RoundTrip(r *http.Request) (*http.Response, error) {
	assert.Equal(i.tb, "https://api.bitbucket.org", r.URL.Scheme+"://"+r.URL.Host)
	r = r.Clone(r.Context())
	u, err := url.Parse(i.server)
	if err != nil {
		return nil, err
	}
	r.URL.Scheme, r.URL.Host = u.Scheme, u.Host
	return i.next.RoundTrip(r)
}

func provider(t *testing.T, s notify.Settings, handler http.HandlerFunc) notify.Provider {
	t.Helper()
	s.Address = "https://bitbucket.org/workspace/repository"
	s = providertest.Complete(t, s)
	s.HTTP.Transport = instead{t, s.HTTP.Transport, providertest.Server(t, handler).URL}
	p, err := bitbucket.New(s)
	require.NoError(t, err)
	return p
}

// TestRequests decodes what is sent as the SDK's own type, and nothing besides.
func TestRequests(t *testing.T) {
	t.Parallel()
	const asUser = "Basic Zmx1eDphcHAtcGFzc3dvcmQ=" // flux:app-password
	for name, c := range map[string]struct {
		settings      notify.Settings
		authorization string
	}{
		"an app password as Flux has it":   {notify.Settings{Token: "flux:app-password"}, asUser},
		"a user and a password":            {notify.Settings{Username: "flux", Password: "app-password"}, asUser},
		"a plain password with a colon":    {notify.Settings{Username: "flux", Password: "app:password"}, "Basic Zmx1eDphcHA6cGFzc3dvcmQ="},
		"both in the password":             {notify.Settings{Password: "flux:app-password"}, asUser},
		"an API token of a user":           {notify.Settings{Username: "flux", Token: "app-password"}, asUser},
		"a token before a password":        {notify.Settings{Username: "flux", Token: "app-password", Password: "other"}, asUser},
		"a token's user before a name":     {notify.Settings{Username: "other", Token: "flux:app-password"}, asUser},
		"a password with a colon":          {notify.Settings{Token: "flux:app:password"}, "Basic Zmx1eDphcHA6cGFzc3dvcmQ="},
		"an access token":                  {notify.Settings{Token: "ATCTT3xFfGN0"}, "Bearer ATCTT3xFfGN0"},
		"an access token for the password": {notify.Settings{Password: "ATCTT3xFfGN0"}, "Bearer ATCTT3xFfGN0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calls []string
			p := provider(t, c.settings, func(w http.ResponseWriter, r *http.Request) {
				calls = append(calls, r.Method+" "+r.URL.RequestURI())
				assert.Equal(t, []string{c.authorization}, r.Header.Values("Authorization"))
				if r.Method == http.MethodGet {
					http.NotFound(w, r)
					return
				}
				assert.Equal(t, "application/json", r.Header.Get("Content-Type"))
				body, err := io.ReadAll(r.Body)
				assert.NoError(t, err)
				var status api.CommitStatusOptions
				d := json.NewDecoder(bytes.NewReader(body))
				d.DisallowUnknownFields()
				assert.NoError(t, d.Decode(&status))
				assert.Equal(t, api.CommitStatusOptions{
					Key: key, Url: "https://bitbucket.org", State: "FAILED", Name: "kustomization/apps", Description: "reconciliation failed",
				}, status)
				w.WriteHeader(http.StatusCreated)
				_, _ = io.WriteString(w, "{}")
			})
			require.NoError(t, providertest.Deliver(t, p))
			assert.Equal(t, []string{"GET " + builds + "/" + key, "POST " + builds}, calls)
		})
	}
}

// TestOwnAPI proves that the environment, from which the SDK would take the API's
// address, decides nothing.
func TestOwnAPI(t *testing.T) {
	t.Setenv("BITBUCKET_API_BASE_URL", "http://127.0.0.1:1/elsewhere")
	store := gitpeer.NewStore(t)
	require.NoError(t, providertest.Deliver(t, provider(t, notify.Settings{Username: "flux@example.com", Token: "sample-token"}, gitpeer.Bitbucket(t, store))))
	assert.Equal(t, 1, store.Writes())
}

func TestWhatIsThere(t *testing.T) {
	t.Parallel()
	for answer, writes := range map[string]int{
		`{"key":"` + key + `","state":"FAILED","description":"reconciliation failed","name":"kustomization/apps","uuid":"{1}"}`: 0,
		`{"key":"` + key + `","state":"SUCCESSFUL","description":"reconciliation failed"}`:                                      1,
		`{"key":"` + key + `","state":"FAILED","description":"progressing"}`:                                                    1,
		`{"key":"` + key + `","state":"FAILED","description":null}`:                                                             1,
		`{}`: 1,
	} {
		written := 0
		p := provider(t, notify.Settings{Token: "flux:app-password"}, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				written++
			}
			_, _ = io.WriteString(w, answer)
		})
		require.NoError(t, providertest.Deliver(t, p))
		assert.Equal(t, writes, written, answer)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		method string
		status int
	}{{http.MethodGet, 401}, {http.MethodGet, 422}, {http.MethodPost, 401}, {http.MethodPost, 403}, {http.MethodPost, 404}, {http.MethodPost, 422}} {
		p := provider(t, notify.Settings{Token: "flux:app-password-1"}, func(w http.ResponseWriter, r *http.Request) {
			if r.Method != c.method {
				http.NotFound(w, r)
				return
			}
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, `{"type":"error","error":{"message":"denied for flux:app-password-1, which is app-password-1"}}`)
		})
		var e *notify.Error
		require.ErrorAs(t, providertest.Deliver(t, p), &e)
		assert.Equal(t, notify.Permanent, e.Class)
		assert.Contains(t, e.Error(), "denied for")
		assert.NotContains(t, e.Error(), "app-password-1")
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{"<html>", "[]", `"status"`, ""} {
		p := provider(t, notify.Settings{Token: "flux:app-password"}, func(w http.ResponseWriter, r *http.Request) {
			assert.Equal(t, http.MethodGet, r.Method)
			_, _ = io.WriteString(w, answer)
		})
		var e *notify.Error
		require.ErrorAs(t, providertest.Deliver(t, p), &e)
		assert.Equal(t, notify.Retryable, e.Class, answer)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	p := provider(t, notify.Settings{Token: "flux:app-password"}, nil)
	e := providertest.Event(t, "kustomization-failed")
	e.InvolvedObject.Name, e.Reason = strings.Repeat("é", 253), strings.Repeat("🚀", 300)
	payloads, err := p.Render(providertest.Notification(t, e))
	require.NoError(t, err)
	require.Len(t, payloads, 1)
	var status struct{ Key, Name, Description string }
	require.NoError(t, json.Unmarshal(payloads[0].Body, &status))
	assert.Len(t, status.Key, 40)
	assert.Len(t, []rune(status.Name), 255)
	assert.Len(t, []rune(status.Description), 255)
	assert.Contains(t, status.Description, "(truncated)")
}

func TestWithoutCredentials(t *testing.T) {
	t.Parallel()
	for _, s := range []notify.Settings{{}, {Username: "flux"}, {Token: "flux:"}} {
		p := provider(t, s, func(http.ResponseWriter, *http.Request) { t.Error("a request without credentials") })
		var e *notify.Error
		require.ErrorAs(t, providertest.Deliver(t, p), &e)
		assert.Equal(t, notify.Permanent, e.Class)
		assert.Contains(t, e.Error(), "token: must be set")
	}
}
