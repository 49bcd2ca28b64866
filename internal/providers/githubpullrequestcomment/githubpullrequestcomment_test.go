package githubpullrequestcomment_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	api "github.com/google/go-github/v88/github"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/gitcomment"
	"github.com/fluxnotify/otelcol-flux/internal/providers/githubpullrequestcomment"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
	"github.com/fluxnotify/otelcol-flux/internal/providertest/gitpeer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func provider(t *testing.T, s notify.Settings) notify.Provider {
	t.Helper()
	p, err := githubpullrequestcomment.New(providertest.Complete(t, s))
	require.NoError(t, err)
	return p
}

// rendered is a failed reconciliation on pull request 42.
func rendered(t *testing.T, p notify.Provider, message string) (notify.Payload, gitcomment.Comment) {
	t.Helper()
	e := providertest.Event(t, "kustomization-failed")
	e.Metadata[notify.ChangeRequestKey] = "42"
	if message != "" {
		e.Message = message
	}
	payloads, err := p.Render(providertest.Notification(t, e))
	require.NoError(t, err)
	require.Len(t, payloads, 1)
	var c gitcomment.Comment
	require.NoError(t, json.Unmarshal(payloads[0].Body, &c))
	return payloads[0], c
}

// recorder keeps what it is asked, and hands on.
type recorder struct {
	mu    sync.Mutex
	calls []string
}

func (r *recorder) on(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		r.calls = append(r.calls, req.Method+" "+req.URL.RequestURI())
		r.mu.Unlock()
		next(w, req)
	}
}

// take gives what was asked since the last time.
func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	calls := r.calls
	r.calls = nil
	return calls
}

func TestRequests(t *testing.T) {
	t.Parallel()
	comments, seen := gitpeer.NewComments(t), &recorder{}
	for i := range gitpeer.MaxPage + 1 {
		comments.Add("42", gitpeer.Stranger, fmt.Sprint("talk ", i))
	}
	server := providertest.Server(t, seen.on(gitpeer.GitHubComments(t, comments)))
	p := provider(t, notify.Settings{Address: server.URL + "/owner/repository.git", Password: "sample-token"})
	const list = "/api/v3/repos/owner/repository/issues/42/comments"
	payload, _ := rendered(t, p, "")
	require.NoError(t, p.Deliver(t.Context(), payload))
	assert.Equal(t, []string{"GET /api/v3/user", "GET " + list + "?per_page=100", "GET " + list + "?page=2&per_page=100", "POST " + list}, seen.take())

	for i := range gitpeer.MaxPage {
		comments.Add("42", gitpeer.Stranger, fmt.Sprint("more ", i))
	}
	payload, c := rendered(t, p, "another")
	require.NoError(t, p.Deliver(t.Context(), payload))
	own := comments.Own("42")
	require.Len(t, own, 1)
	assert.Equal(t, c.Body, own[0].Body)
	assert.Equal(t, []string{
		"GET " + list + "?per_page=100", "GET " + list + "?page=2&per_page=100",
		fmt.Sprint("PATCH /api/v3/repos/owner/repository/issues/comments/", own[0].ID),
	}, seen.take(), "the account is known, and what follows the comment is not asked for")
}

// TestAsApp goes from the private key to the comment of the App's own user.
func TestAsApp(t *testing.T) {
	t.Parallel()
	seen := &recorder{}
	const list = "/api/v3/repos/owner/repository/issues/42/comments"
	var marker string
	peer := providertest.AppServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			gitpeer.Answer(t, w, http.StatusOK, []*api.IssueComment{
				{ID: api.Ptr(int64(6)), Body: &marker, User: &api.User{Login: api.Ptr("flux-app")}},
				{ID: api.Ptr(int64(7)), Body: &marker, User: &api.User{Login: api.Ptr("flux-app[bot]")}},
			})
			return
		}
		_, _ = io.WriteString(w, "{}")
	})
	server := providertest.Server(t, seen.on(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v3/app" {
			assert.Regexp(t, `^Bearer [\w-]+\.[\w-]+\.[\w-]+$`, r.Header.Get("Authorization"), "the App itself asks")
			_, _ = io.WriteString(w, `{"id":1234,"slug":"flux-app"}`)
			return
		}
		peer(w, r)
	}))
	p := provider(t, notify.Settings{Address: server.URL + "/owner/repository", Secrets: providertest.AppSecrets(t)})
	payload, c := rendered(t, p, "")
	marker = c.Marker
	require.NoError(t, p.Deliver(t.Context(), payload))
	assert.Equal(t, []string{
		"GET /api/v3/app", "POST /api/v3/app/installations/5678/access_tokens", "GET " + list + "?per_page=100",
		"PATCH /api/v3/repos/owner/repository/issues/comments/7",
	}, seen.take())
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		path, method string
		status       int
		answer       string
		class        notify.Class
	}{
		{"/user", http.MethodGet, 401, `{"message":"Bad credentials of sample-token"}`, notify.Permanent},
		{"/comments", http.MethodGet, 404, `{"message":"Not Found"}`, notify.Permanent},
		{"/comments", http.MethodPost, 403, `{"message":"Unable to create comment because issue is locked."}`, notify.Permanent},
		{"/comments", http.MethodPost, 403, `{"message":"You have exceeded a secondary rate limit."}`, notify.Throttled},
		{"/comments", http.MethodPost, 422, `{"message":"Validation Failed"}`, notify.Permanent},
		{"/comments", http.MethodGet, 200, `<html>`, notify.Retryable},
		{"/user", http.MethodGet, 200, `{}`, notify.Retryable},
	} {
		posts := 0
		server := providertest.Server(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				posts++
			}
			if strings.HasSuffix(r.URL.Path, c.path) && r.Method == c.method {
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.answer)
				return
			}
			gitcomment.Empty(w, r)
		})
		p := provider(t, notify.Settings{Address: server.URL + "/owner/repository", Token: "sample-token"})
		payload, _ := rendered(t, p, "")
		var e *notify.Error
		require.ErrorAs(t, p.Deliver(t.Context(), payload), &e, c.answer)
		assert.Equal(t, c.class, e.Class, c.answer)
		assert.NotContains(t, e.Error(), "sample-token")
		if c.method == http.MethodGet {
			assert.Zero(t, posts, "nothing is written by one who does not know what is there")
		}
	}
}

func TestWithoutCredentials(t *testing.T) {
	t.Parallel()
	server := providertest.Server(t, func(http.ResponseWriter, *http.Request) { t.Error("a request without credentials") })
	p := provider(t, notify.Settings{Address: server.URL + "/owner/repository"})
	payload, _ := rendered(t, p, "")
	var e *notify.Error
	require.ErrorAs(t, p.Deliver(t.Context(), payload), &e)
	assert.Equal(t, notify.Permanent, e.Class)
	assert.Contains(t, e.Error(), "githubAppID")
}

func TestLimit(t *testing.T) {
	t.Parallel()
	p := provider(t, notify.Settings{Address: "https://github.com/owner/repository", Token: "sample-token"})
	_, c := rendered(t, p, strings.Repeat("🚀", 70_000))
	assert.Len(t, []rune(c.Body), 65_536)
	assert.LessOrEqual(t, len(c.Body), 4*65_536)
}
