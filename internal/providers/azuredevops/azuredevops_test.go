package azuredevops_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/git"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/azuredevops"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
	"github.com/fluxnotify/otelcol-flux/internal/providertest/gitpeer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	commit = "5394cb7f48332b2de7c17dd8b8384bbc84b7e738"
	name   = "kustomization/apps/prod"
	path   = "/organization/project/_git/repository"
)

func provider(t *testing.T, s notify.Settings) notify.Provider {
	t.Helper()
	p, err := azuredevops.New(providertest.Complete(t, s))
	require.NoError(t, err)
	return p
}

// deliver tells of a failed reconciliation, with an alert's metadata.
func deliver(t *testing.T, p notify.Provider, metadata map[string]string) error {
	t.Helper()
	payloads, err := p.Render(providertest.NotificationWith(t, providertest.Event(t, "kustomization-failed"), metadata))
	require.NoError(t, err)
	require.Len(t, payloads, 1)
	return p.Deliver(t.Context(), payloads[0])
}

// TestRequests decodes what is sent as Microsoft's own type, and nothing besides.
func TestRequests(t *testing.T) {
	t.Parallel()
	for path, repository := range map[string]string{
		"/acme/project/_git/repo":                    "/acme/project/_apis/git/repositories/repo",
		"/acme/My%20Project/_git/My%20Repo":          "/acme/My%20Project/_apis/git/repositories/My%20Repo",
		"/tfs/DefaultCollection/Project/_git/Repo.x": "/tfs/DefaultCollection/Project/_apis/git/repositories/Repo.x",
		"/acme/project/_git/repo%3Ftop=1":            "/acme/project/_apis/git/repositories/repo%3Ftop=1",
	} {
		for _, credentials := range []notify.Settings{{Token: "az-pat"}, {Password: "az-pat"}, {Token: "az-pat", Password: "other"}} {
			var calls []string
			server := providertest.Server(t, func(w http.ResponseWriter, r *http.Request) {
				calls = append(calls, r.Method+" "+r.URL.RequestURI())
				assert.Equal(t, []string{"Basic OmF6LXBhdA=="}, r.Header.Values("Authorization"))
				assert.Equal(t, "application/json;api-version=6.0", r.Header.Get("Accept"))
				assert.Equal(t, "Suppress", r.Header.Get("X-Tfs-Fedauthredirect"))
				if r.Method == http.MethodGet {
					azuredevops.Empty(w, r)
					return
				}
				assert.Equal(t, "application/json;charset=utf-8", r.Header.Get("Content-Type"))
				body, err := io.ReadAll(r.Body)
				assert.NoError(t, err)
				assert.JSONEq(t, `{"context":{"genre":"fluxcd","name":"`+name+`"},"description":"reconciliation failed","state":"error"}`, string(body))
				var status git.GitStatus
				d := json.NewDecoder(bytes.NewReader(body))
				d.DisallowUnknownFields()
				assert.NoError(t, d.Decode(&status))
				w.WriteHeader(http.StatusCreated)
			})
			credentials.Address = server.URL + path
			require.NoError(t, deliver(t, provider(t, credentials), nil))
			statuses := repository + "/commits/" + commit + "/statuses"
			assert.Equal(t, []string{"GET " + statuses + "?latestOnly=true&skip=0&top=200", "POST " + statuses}, calls, "the server is not asked for its resources")
		}
	}
}

// TestGenres proves that a summary makes a status of its own.
func TestGenres(t *testing.T) {
	t.Parallel()
	store := gitpeer.NewStore(t)
	server := providertest.Server(t, gitpeer.AzureDevOps(t, store))
	p := provider(t, notify.Settings{Address: server.URL + path, Token: "sample-token"})
	for range 2 {
		require.NoError(t, deliver(t, p, nil))
		require.NoError(t, deliver(t, p, map[string]string{"summary": "Production apps (eu-west-1)"}))
		require.NoError(t, deliver(t, p, map[string]string{"summary": strings.Repeat("é", 300)}))
	}
	assert.Equal(t, 3, store.Writes())
	for _, genre := range []string{"fluxcd", "fluxcd:Production apps (eu-west-1)", "fluxcd:" + strings.Repeat("é", 235) + "… (truncated)"} {
		status, found := store.Newest(commit, name, genre)
		require.True(t, found, genre)
		assert.Equal(t, "error", status.State)
	}
}

func TestTheNewestOnAnyPage(t *testing.T) {
	t.Parallel()
	for newest, written := range map[string]int{"error": 0, "succeeded": 1} {
		for _, others := range []int{0, 199, 200, 450} {
			store := gitpeer.NewStore(t)
			server := providertest.Server(t, gitpeer.AzureDevOps(t, store))
			store.Write(commit, gitpeer.Status{Key: name, Genre: "fluxcd:other", State: "error", Description: "reconciliation failed"})
			for i := range others {
				store.Write(commit, gitpeer.Status{Key: fmt.Sprint("other ", i), Genre: "fluxcd", State: "succeeded"})
			}
			store.Write(commit, gitpeer.Status{Key: name, Genre: "fluxcd", State: newest, Description: "reconciliation failed"})
			before := store.Writes()
			require.NoError(t, deliver(t, provider(t, notify.Settings{Address: server.URL + path, Token: "sample-token"}), nil))
			assert.Equal(t, written, store.Writes()-before, "%s after %d others", newest, others)
		}
	}
}

// TestOldServers proves that the newest is found where latestOnly means nothing,
// whatever the order and whatever is missing in a status.
func TestOldServers(t *testing.T) {
	t.Parallel()
	const context = `"context":{"genre":"fluxcd","name":"` + name + `"}`
	for answer, writes := range map[string]int{
		`[{"id":1,"state":"error","description":"reconciliation failed",` + context + `},{"id":2,"state":"succeeded","description":"x",` + context + `}]`:       1,
		`[{"id":2,"state":"error","description":"reconciliation failed",` + context + `},{"id":1,"state":"succeeded","description":"x",` + context + `}]`:       0,
		`[{"state":"error","description":"reconciliation failed",` + context + `},{"state":"succeeded","description":"reconciliation failed",` + context + `}]`: 0,
		`[{},{"context":{}},{"context":null},{"id":7,"context":{"name":"` + name + `"}}]`:                                                                       1,
	} {
		written := 0
		server := providertest.Server(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				written++
			}
			_, _ = fmt.Fprintf(w, "\xef\xbb\xbf{\"count\":0,\"value\":%s}", answer)
		})
		require.NoError(t, deliver(t, provider(t, notify.Settings{Address: server.URL + path, Token: "sample-token"}), nil))
		assert.Equal(t, writes, written, answer)
	}
}

// TestPatience proves that what a success asks for is heeded: the next delivery
// would be delayed until it times out.
func TestPatience(t *testing.T) {
	t.Parallel()
	requests := 0
	server := providertest.Server(t, func(w http.ResponseWriter, r *http.Request) {
		requests++
		w.Header().Set("X-RateLimit-Resource", "core")
		w.Header().Set("X-RateLimit-Delay", "12.5")
		w.Header().Set("Retry-After", "30")
		azuredevops.Empty(w, r)
	})
	p := provider(t, notify.Settings{Address: server.URL + path, Token: "sample-token"})
	require.NoError(t, deliver(t, p, nil), "what has begun is tried")
	var e *notify.Error
	require.ErrorAs(t, deliver(t, p, nil), &e)
	assert.Equal(t, notify.Throttled, e.Class)
	assert.InDelta(t, 30*time.Second, e.Delay, float64(10*time.Second))
	assert.Equal(t, 2, requests)
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		method string
		status int
		body   string
		says   string
	}{
		{http.MethodGet, 401, `{"message":"denied for az-pat-1"}`, "denied for"},
		{http.MethodGet, 422, `{"message":"denied for az-pat-1"}`, "denied for"},
		{http.MethodPost, 401, "", "401 Unauthorized"},
		{http.MethodPost, 403, `{"message":"TF401027: You need the Git 'Contribute' permission"}`, "TF401027"},
		{http.MethodPost, 404, `{"message":"TF401019: The Git repository does not exist"}`, "TF401019"},
		{http.MethodGet, 203, "<html><title>Azure DevOps Services | Sign In</title>", "token is not one of this organization, or has expired"},
		{http.MethodGet, 302, "", "points to"},
	} {
		server := providertest.Server(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method != c.method {
				azuredevops.Empty(w, r)
				return
			}
			w.Header().Set("Location", "https://spsprodweu1.vssps.visualstudio.com/_signin")
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		})
		var e *notify.Error
		require.ErrorAs(t, deliver(t, provider(t, notify.Settings{Address: server.URL + path, Token: "az-pat-1"}), nil), &e)
		assert.Equal(t, notify.Permanent, e.Class, c.status)
		assert.Contains(t, e.Error(), c.says)
		assert.NotContains(t, e.Error(), "az-pat-1")
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{"<html>", "[]", "", `{"value":{}}`} {
		server := providertest.Server(t, func(w http.ResponseWriter, r *http.Request) {
			assert.Equal(t, http.MethodGet, r.Method)
			_, _ = io.WriteString(w, answer)
		})
		var e *notify.Error
		require.ErrorAs(t, deliver(t, provider(t, notify.Settings{Address: server.URL + path, Token: "sample-token"}), nil), &e)
		assert.Equal(t, notify.Retryable, e.Class, answer)
	}
}

// TestIdentity proves that without a token the identity of this environment
// speaks, here that of an app in Azure's App Service.
func TestIdentity(t *testing.T) {
	store := gitpeer.NewStore(t)
	tokens := 0
	server := providertest.Server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/msi/token" {
			tokens++
			assert.Equal(t, "sample-identity", r.Header.Get("X-Identity-Header"))
			assert.Equal(t, "499b84ac-1321-427f-aa17-267ca6975798", r.URL.Query().Get("resource"))
			assert.Equal(t, "00000000-0000-0000-0000-00000000000d", r.URL.Query().Get("client_id"))
			_, _ = fmt.Fprintf(w, `{"access_token":"entra-token","token_type":"Bearer","expires_on":"%d"}`, time.Now().Add(24*time.Hour).Unix())
			return
		}
		assert.Equal(t, "Bearer entra-token", r.Header.Get("Authorization"))
		r.SetBasicAuth("", "sample-token") // what the peer wants
		gitpeer.AzureDevOps(t, store)(w, r)
	})
	t.Setenv("IDENTITY_ENDPOINT", server.URL+"/msi/token")
	t.Setenv("IDENTITY_HEADER", "sample-identity")
	t.Setenv("AZURE_CLIENT_ID", "00000000-0000-0000-0000-00000000000d")
	_, err := azuredevops.New(providertest.Complete(t, notify.Settings{Address: server.URL + path}))
	require.ErrorContains(t, err, "token: must be set for this address")
	assert.Zero(t, tokens, "a stranger's address gets no token of the collector")
	azuredevops.Trust(t, strings.TrimPrefix(server.URL, "http://"))
	p := provider(t, notify.Settings{Address: server.URL + path})
	require.NoError(t, deliver(t, p, nil))
	require.NoError(t, deliver(t, p, nil))
	assert.Equal(t, 1, store.Writes())
	assert.Equal(t, 1, tokens, "a token is kept")
}
