package gitea_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	api "code.gitea.io/sdk/gitea"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/gitea"
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
	p, err := gitea.New(providertest.Complete(t, s))
	require.NoError(t, err)
	return p
}

// rendered is the payload of an event that is told.
func rendered(t *testing.T, p notify.Provider, event string) notify.Payload {
	t.Helper()
	e := providertest.Event(t, event)
	e.Metadata["kustomize.toolkit.fluxcd.io/commit_status"] = "update"
	payloads, err := p.Render(providertest.Notification(t, e))
	require.NoError(t, err)
	require.Len(t, payloads, 1)
	return payloads[0]
}

func deliver(t *testing.T, p notify.Provider) error {
	t.Helper()
	return p.Deliver(t.Context(), rendered(t, p, "kustomization-failed"))
}

func TestRequests(t *testing.T) {
	t.Parallel()
	for path, base := range map[string]string{
		"/owner/repository": "", "/owner/repository.git": "", "/git/owner/repository/": "/git", "/a/b/owner/repository": "/a/b",
	} {
		for _, credentials := range []notify.Settings{{Token: "sample-token"}, {Username: "flux", Password: "sample-token"}, {Token: "sample-token", Password: "other"}} {
			var calls []string
			server := providertest.Server(t, func(w http.ResponseWriter, r *http.Request) {
				calls = append(calls, r.Method+" "+r.URL.RequestURI())
				assert.Equal(t, []string{"token sample-token"}, r.Header.Values("Authorization"))
				if r.Method == http.MethodGet {
					_, _ = io.WriteString(w, "[]")
					return
				}
				assert.Equal(t, "application/json", r.Header.Get("Content-Type"))
				body, err := io.ReadAll(r.Body)
				assert.NoError(t, err)
				assert.JSONEq(t, `{"state":"failure","target_url":"","context":"`+name+`","description":"reconciliation failed"}`, string(body))
				w.WriteHeader(http.StatusCreated)
				_, _ = io.WriteString(w, "{}")
			})
			credentials.Address = server.URL + path
			require.NoError(t, deliver(t, provider(t, credentials)))
			repository := base + "/api/v1/repos/owner/repository"
			assert.Equal(t, []string{
				"GET " + repository + "/commits/" + commit + "/statuses?limit=50&page=1", "POST " + repository + "/statuses/" + commit,
			}, calls, "the server is not asked for its version")
		}
	}
}

func TestProgressingIsPending(t *testing.T) {
	t.Parallel()
	store := gitpeer.NewStore(t)
	server := providertest.Server(t, gitpeer.Gitea(t, store))
	p := provider(t, notify.Settings{Address: server.URL + "/owner/repository", Token: "sample-token"})
	for event, want := range map[string]string{"kustomization-progressing": "pending", "kustomization-succeeded": "success", "kustomization-failed": "failure"} {
		payload := rendered(t, p, event)
		require.NoError(t, provider(t, notify.Settings{Address: server.URL + "/owner/repository", Token: "sample-token"}).Deliver(t.Context(), payload))
		var status struct{ Commit string }
		require.NoError(t, json.Unmarshal(payload.Body, &status))
		got, found := store.Newest(status.Commit, name, "")
		require.True(t, found)
		assert.Equal(t, want, got.State)
	}
}

// TestTheNewestOnAnyPage proves that the newest counts where pages and seconds
// fall as they like, and that what is certainly older is not asked for.
func TestTheNewestOnAnyPage(t *testing.T) {
	t.Parallel()
	for newest, written := range map[string]int{"failure": 0, "success": 1} {
		for others := range 3 * gitpeer.MaxPage {
			store := gitpeer.NewStore(t)
			pages := 0
			peer := gitpeer.Gitea(t, store)
			server := providertest.Server(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet {
					pages++
				}
				peer(w, r)
			})
			other := map[string]string{"failure": "success", "success": "failure"}[newest]
			for i := range 2 * gitpeer.MaxPage {
				store.Write(commit, gitpeer.Status{Key: fmt.Sprint("older ", i), State: "success"})
			}
			store.Write(commit, gitpeer.Status{Key: name, State: other, Description: "reconciliation failed"})
			store.Write(commit, gitpeer.Status{Key: name, State: newest, Description: "reconciliation failed"})
			for i := range others {
				store.Write(commit, gitpeer.Status{Key: fmt.Sprint("newer ", i), State: "success"})
			}
			before := store.Writes()
			require.NoError(t, deliver(t, provider(t, notify.Settings{Address: server.URL + "/owner/repository", Token: "sample-token"})))
			assert.Equal(t, written, store.Writes()-before, "%s, %d newer", newest, others)
			assert.LessOrEqual(t, pages, others/gitpeer.MaxPage+2)
		}
	}
}

// TestRefusals proves that an answer's own words reach the operator, and that a
// status which cannot be read is not written.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		method string
		status int
	}{{http.MethodGet, 401}, {http.MethodGet, 422}, {http.MethodPost, 401}, {http.MethodPost, 403}, {http.MethodPost, 422}} {
		var calls []string
		server := providertest.Server(t, func(w http.ResponseWriter, r *http.Request) {
			calls = append(calls, r.Method)
			if r.Method != c.method {
				_, _ = io.WriteString(w, "[]")
				return
			}
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, `{"message":"token does not have at least one of required scope(s), which is sample-token-1"}`)
		})
		var e *notify.Error
		require.ErrorAs(t, deliver(t, provider(t, notify.Settings{Address: server.URL + "/owner/repository", Token: "sample-token-1"})), &e)
		assert.Equal(t, notify.Permanent, e.Class)
		assert.Contains(t, e.Error(), "required scope(s)")
		assert.NotContains(t, e.Error(), "sample-token-1")
		assert.Equal(t, c.method, calls[len(calls)-1])
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{"<html>", "", "{}", `[{"id":"x"}]`} {
		server := providertest.Server(t, func(w http.ResponseWriter, r *http.Request) {
			assert.Equal(t, http.MethodGet, r.Method)
			_, _ = io.WriteString(w, answer)
		})
		var e *notify.Error
		require.ErrorAs(t, deliver(t, provider(t, notify.Settings{Address: server.URL + "/owner/repository", Token: "sample-token"})), &e)
		assert.Equal(t, notify.Retryable, e.Class, answer)
		assert.Contains(t, e.Error(), "answered what cannot be used")
	}
}

// TestEndlessPages proves that a server which always has another page holds a
// delivery up no longer than its time.
func TestEndlessPages(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	pages := 0
	server := providertest.Server(t, func(w http.ResponseWriter, r *http.Request) {
		if pages++; pages == 10 {
			cancel()
		}
		w.Header().Set("Link", fmt.Sprintf(`<http://%s/?page=%d>; rel="next"`, r.Host, pages+1))
		_, _ = io.WriteString(w, "[null]")
	})
	p := provider(t, notify.Settings{Address: server.URL + "/owner/repository", Token: "sample-token"})
	var e *notify.Error
	require.ErrorAs(t, p.Deliver(ctx, rendered(t, p, "kustomization-failed")), &e)
	assert.Equal(t, notify.Retryable, e.Class)
}

func TestLimits(t *testing.T) {
	t.Parallel()
	p := provider(t, notify.Settings{Address: "https://gitea.example.com/owner/repository", Token: "sample-token"})
	e := providertest.Event(t, "kustomization-failed")
	e.InvolvedObject.Name, e.Reason = strings.Repeat("𝄞", 20_000), strings.Repeat("🚀", 20_000)
	payloads, err := p.Render(providertest.Notification(t, e))
	require.NoError(t, err)
	require.Len(t, payloads, 1)
	var status api.CreateStatusOption
	require.NoError(t, json.Unmarshal(payloads[0].Body, &status))
	assert.LessOrEqual(t, len(payloads[0].Key), 65_535)
	assert.LessOrEqual(t, len(status.Description), 65_535)
	assert.Contains(t, status.Description, "(truncated)")
}

func TestWithoutCredentials(t *testing.T) {
	t.Parallel()
	server := providertest.Server(t, func(http.ResponseWriter, *http.Request) { t.Error("a request without credentials") })
	var e *notify.Error
	require.ErrorAs(t, deliver(t, provider(t, notify.Settings{Address: server.URL + "/owner/repository", Username: "flux"})), &e)
	assert.Equal(t, notify.Permanent, e.Class)
	assert.Contains(t, e.Error(), "token: must be set")
}
