package gitlab_test

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/gitlab"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
	"github.com/fluxnotify/otelcol-flux/internal/providertest/gitpeer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	commit = "5394cb7f48332b2de7c17dd8b8384bbc84b7e738"
	name   = "kustomization/apps/prod"
)

func provider(t *testing.T, s notify.Settings) notify.Provider {
	t.Helper()
	p, err := gitlab.New(providertest.Complete(t, s))
	require.NoError(t, err)
	return p
}

func TestTheNewestOnAnyPage(t *testing.T) {
	t.Parallel()
	for newest, written := range map[string]int{"failed": 0, "success": 1} {
		store := gitpeer.NewStore(t)
		server := providertest.Server(t, gitpeer.GitLab(t, store))
		p := provider(t, notify.Settings{Address: server.URL + "/group/sub/project", Token: "sample-token"})
		for i := range 2*gitpeer.MaxPage + 1 { // one of each pipeline
			state := newest
			if i%2 == 1 {
				state = map[string]string{"failed": "success", "success": "failed"}[newest]
			}
			store.Write(commit, gitpeer.Status{Key: name, State: state, Description: "reconciliation failed"})
		}
		before := store.Writes()
		require.NoError(t, providertest.Deliver(t, p))
		assert.Equal(t, written, store.Writes()-before, newest)
	}
}

func TestRequests(t *testing.T) {
	t.Parallel()
	for path, project := range map[string]string{
		"/group/project": "group%2Fproject", "/a/b/c/d/project.git": "a%2Fb%2Fc%2Fd%2Fproject", "/org/repo.name-x_y": "org%2Frepo%2Ename-x_y",
		"/org/repo/": "org%2Frepo", "/1234": "1234", "/group/my%20project": "group%2Fmy%20project",
	} {
		for _, credentials := range []notify.Settings{{Token: "sample-token"}, {Username: "flux", Password: "sample-token"}, {Token: "sample-token", Password: "other"}} {
			var calls []string
			server := providertest.Server(t, func(w http.ResponseWriter, r *http.Request) {
				calls = append(calls, r.Method+" "+r.URL.EscapedPath())
				assert.Equal(t, "sample-token", r.Header.Get("Private-Token"))
				assert.Empty(t, r.Header.Get("Authorization"))
				if r.Method == http.MethodGet {
					assert.Equal(t, name, r.URL.Query().Get("name"))
					_, _ = io.WriteString(w, "[]")
					return
				}
				body, err := io.ReadAll(r.Body)
				assert.NoError(t, err)
				assert.JSONEq(t, `{"state":"failed","name":"`+name+`","description":"reconciliation failed"}`, string(body))
				w.WriteHeader(http.StatusCreated)
				_, _ = io.WriteString(w, "{}")
			})
			credentials.Address = server.URL + path
			require.NoError(t, providertest.Deliver(t, provider(t, credentials)))
			base := "/api/v4/projects/" + project
			assert.Equal(t, []string{"GET " + base + "/repository/commits/" + commit + "/statuses", "POST " + base + "/statuses/" + commit}, calls, path)
		}
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	p := provider(t, notify.Settings{Address: "https://gitlab.com/group/project", Token: "sample-token"})
	e := providertest.Event(t, "kustomization-failed")
	e.InvolvedObject.Name, e.Reason = strings.Repeat("n", 253), strings.Repeat("é", 300)
	payloads, err := p.Render(providertest.Notification(t, e))
	require.NoError(t, err)
	require.Len(t, payloads, 1)
	assert.Len(t, []rune(payloads[0].Key), 255)
	assert.Contains(t, payloads[0].Key, "kustomization/"+strings.Repeat("n", 200))
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	requests := 0
	server := providertest.Server(t, func(w http.ResponseWriter, _ *http.Request) {
		requests++
		w.Header().Set("RateLimit-Limit", "60") // the SDK would slow itself down by this one
		w.Header().Set("RateLimit-Remaining", "0")
		w.Header().Set("RateLimit-Reset", strconv.FormatInt(time.Now().Add(30*time.Second).Unix(), 10))
		w.WriteHeader(http.StatusTooManyRequests)
	})
	var e *notify.Error
	require.ErrorAs(t, providertest.Deliver(t, provider(t, notify.Settings{Address: server.URL + "/group/project", Token: "sample-token"})), &e)
	assert.Equal(t, notify.Throttled, e.Class)
	assert.InDelta(t, 30*time.Second, e.Delay, float64(5*time.Second))
	assert.Equal(t, 1, requests, "the retry is the exporter's")
}

func TestWithoutCredentials(t *testing.T) {
	t.Parallel()
	server := providertest.Server(t, func(http.ResponseWriter, *http.Request) { t.Error("a request without credentials") })
	var e *notify.Error
	require.ErrorAs(t, providertest.Deliver(t, provider(t, notify.Settings{Address: server.URL + "/group/project"})), &e)
	assert.Equal(t, notify.Permanent, e.Class)
	assert.Contains(t, e.Error(), "token: must be set")
}
