package bitbucketserver_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/bitbucketserver"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	commit = "5394cb7f48332b2de7c17dd8b8384bbc84b7e738"
	key    = "2e35edb62bb2275f8cc7e00aa65015cf3247fa1d" // SHA-1 of kustomization/apps/prod
)

func provider(t *testing.T, s notify.Settings) notify.Provider {
	t.Helper()
	p, err := bitbucketserver.New(providertest.Complete(t, s))
	require.NoError(t, err)
	return p
}

func TestRequests(t *testing.T) {
	t.Parallel()
	for path, c := range map[string]struct{ builds, url string }{
		"/scm/proj/repo.git":             {"/rest/api/latest/projects/proj/repos/repo", "/scm/proj/repo.git"},
		"/scm/proj/repo":                 {"/rest/api/latest/projects/proj/repos/repo", "/scm/proj/repo.git"},
		"/context/scm/PROJ/repo.git":     {"/context/rest/api/latest/projects/PROJ/repos/repo", "/context/scm/PROJ/repo.git"},
		"/a/b/scm/~flux/my%20repo.git":   {"/a/b/rest/api/latest/projects/~flux/repos/my%20repo", "/a/b/scm/~flux/my%20repo.git"},
		"/scm/proj/repo%3Fkey=other.git": {"/rest/api/latest/projects/proj/repos/repo%3Fkey=other", "/scm/proj/repo%3Fkey=other.git"},
	} {
		for authorization, credentials := range map[string]notify.Settings{
			"Bearer sample-token":                {Token: "sample-token", Username: "flux", Password: "sample-password"},
			"Bearer sample-password":             {Password: "sample-password"},
			"Basic Zmx1eDpzYW1wbGUtcGFzc3dvcmQ=": {Username: "flux", Password: "sample-password"},
		} {
			var calls []string
			server := providertest.Server(t, func(w http.ResponseWriter, r *http.Request) {
				calls = append(calls, r.Method+" "+r.URL.RequestURI())
				assert.Equal(t, []string{authorization}, r.Header.Values("Authorization"))
				assert.Equal(t, "no-check", r.Header.Get("X-Atlassian-Token"))
				assert.Equal(t, "XMLHttpRequest", r.Header.Get("X-Requested-With"))
				body, err := io.ReadAll(r.Body)
				assert.NoError(t, err)
				if r.Method == http.MethodGet {
					assert.Empty(t, body)
					assert.Empty(t, r.Header.Get("Content-Type"))
					http.NotFound(w, r)
					return
				}
				assert.Equal(t, "application/json", r.Header.Get("Content-Type"))
				assert.JSONEq(t, `{"key":"`+key+`","state":"FAILED","name":"kustomization/apps [reconciliation failed]",
					"description":"reconciliation failed","url":"http://`+r.Host+c.url+`"}`, string(body))
				w.WriteHeader(http.StatusNoContent)
			})
			credentials.Address = server.URL + path
			require.NoError(t, providertest.Deliver(t, provider(t, credentials)))
			builds := c.builds + "/commits/" + commit + "/builds"
			assert.Equal(t, []string{"GET " + builds + "?key=" + key, "POST " + builds}, calls, path)
		}
	}
}

func TestWhatIsThere(t *testing.T) {
	t.Parallel()
	for answer, writes := range map[string]int{
		`{"key":"` + key + `","state":"FAILED","description":"reconciliation failed","createdDate":1587533099278}`: 0,
		`{"key":"` + key + `","state":"SUCCESSFUL","description":"reconciliation failed"}`:                         1,
		`{"key":"` + key + `","state":"FAILED","description":"progressing"}`:                                       1,
		`{"key":"` + key + `-other","state":"FAILED","description":"reconciliation failed"}`:                       1,
		`{}`: 1,
	} {
		written := 0
		server := providertest.Server(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				written++
			}
			_, _ = io.WriteString(w, answer)
		})
		require.NoError(t, providertest.Deliver(t, provider(t, notify.Settings{Address: server.URL + "/scm/proj/repo.git", Token: "sample-token"})))
		assert.Equal(t, writes, written, answer)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		method string
		status int
	}{{http.MethodGet, 401}, {http.MethodGet, 422}, {http.MethodPost, 400}, {http.MethodPost, 401}, {http.MethodPost, 403}, {http.MethodPost, 404}} {
		server := providertest.Server(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method != c.method {
				http.NotFound(w, r)
				return
			}
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, `{"errors":[{"message":"denied for sample-token-1"}]}`)
		})
		var e *notify.Error
		require.ErrorAs(t, providertest.Deliver(t, provider(t, notify.Settings{Address: server.URL + "/scm/proj/repo.git", Token: "sample-token-1"})), &e)
		assert.Equal(t, notify.Permanent, e.Class)
		assert.Contains(t, e.Error(), "denied for")
		assert.NotContains(t, e.Error(), "sample-token-1")
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{"<html>", "[]", ""} {
		server := providertest.Server(t, func(w http.ResponseWriter, r *http.Request) {
			assert.Equal(t, http.MethodGet, r.Method)
			_, _ = io.WriteString(w, answer)
		})
		var e *notify.Error
		require.ErrorAs(t, providertest.Deliver(t, provider(t, notify.Settings{Address: server.URL + "/scm/proj/repo.git", Token: "sample-token"})), &e)
		assert.Equal(t, notify.Retryable, e.Class, answer)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	p := provider(t, notify.Settings{Address: "https://bitbucket.example.com/scm/proj/repo.git", Token: "sample-token"})
	e := providertest.Event(t, "kustomization-failed")
	e.InvolvedObject.Name, e.Reason = strings.Repeat("é", 200), strings.Repeat("🚀", 300)
	payloads, err := p.Render(providertest.Notification(t, e))
	require.NoError(t, err)
	require.Len(t, payloads, 1)
	var status struct{ Key, Name, Description string }
	require.NoError(t, json.Unmarshal(payloads[0].Body, &status))
	assert.Len(t, status.Key, 40)
	assert.Len(t, []rune(status.Name), 255)
	assert.Contains(t, status.Name, strings.Repeat("é", 200)+" [")
	assert.Len(t, []rune(status.Description), 255)
}

func TestWithoutCredentials(t *testing.T) {
	t.Parallel()
	server := providertest.Server(t, func(http.ResponseWriter, *http.Request) { t.Error("a request without credentials") })
	for _, s := range []notify.Settings{{}, {Username: "flux"}} {
		s.Address = server.URL + "/scm/proj/repo.git"
		var e *notify.Error
		require.ErrorAs(t, providertest.Deliver(t, provider(t, s)), &e)
		assert.Equal(t, notify.Permanent, e.Class)
		assert.Contains(t, e.Error(), "token: must be set")
	}
}
