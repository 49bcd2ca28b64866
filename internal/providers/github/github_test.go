package github_test

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/github"
	"github.com/fluxnotify/otelcol-flux/internal/providers/gitstatus"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
	"github.com/fluxnotify/otelcol-flux/internal/providertest/gitpeer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	commit  = "5394cb7f48332b2de7c17dd8b8384bbc84b7e738"
	context = "kustomization/apps/prod"
)

func provider(t *testing.T, s notify.Settings) notify.Provider {
	t.Helper()
	p, err := github.New(providertest.Complete(t, s))
	require.NoError(t, err)
	return p
}

func peer(t *testing.T) (*gitpeer.Store, notify.Provider) {
	t.Helper()
	store := gitpeer.NewStore(t)
	server := providertest.Server(t, gitpeer.GitHub(t, store))
	return store, provider(t, notify.Settings{Address: server.URL + "/owner/repository", Token: "sample-token"})
}

func TestTheNewestOnAnyPage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		state, description string
		written            int
	}{
		"the same":            {"failure", "reconciliation failed", 0},
		"another state":       {"success", "reconciliation failed", 1},
		"another description": {"failure", "health check failed", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, p := peer(t)
			if c.written == 0 {
				store.Write(commit, gitpeer.Status{Key: context, State: "success", Description: "reconciliation succeeded"})
			}
			// GitHub knows contexts whatever their case.
			store.Write(commit, gitpeer.Status{Key: strings.ToUpper(context), State: c.state, Description: c.description})
			for i := range 3 * gitpeer.MaxPage {
				store.Write(commit, gitpeer.Status{Key: "ci/" + strconv.Itoa(i), State: "success", Description: "built"})
			}
			before := store.Writes()
			require.NoError(t, providertest.Deliver(t, p))
			assert.Equal(t, c.written, store.Writes()-before)
		})
	}
}

func TestSecondaryRateLimit(t *testing.T) {
	t.Parallel()
	server := providertest.Server(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"message":"You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}`)
	})
	var e *notify.Error
	require.ErrorAs(t, providertest.Deliver(t, provider(t, notify.Settings{Address: server.URL + "/owner/repository", Token: "sample-token"})), &e)
	assert.Equal(t, notify.Throttled, e.Class)
	assert.Equal(t, time.Minute, e.Delay)
}

func TestPatienceAfterASuccess(t *testing.T) {
	t.Parallel()
	requests := 0
	server := providertest.Server(t, func(w http.ResponseWriter, r *http.Request) {
		requests++
		w.Header().Set("X-RateLimit-Remaining", "0")
		w.Header().Set("X-RateLimit-Reset", fmt.Sprint(time.Now().Add(time.Minute).Unix()))
		gitstatus.Empty(w, r)
	})
	p := provider(t, notify.Settings{Address: server.URL + "/owner/repository", Token: "sample-token"})
	require.NoError(t, providertest.Deliver(t, p), "what has begun is tried")
	var e *notify.Error
	require.ErrorAs(t, providertest.Deliver(t, p), &e)
	assert.Equal(t, notify.Throttled, e.Class, "the limit is used up")
	assert.InDelta(t, time.Minute, e.Delay, float64(10*time.Second))
	assert.Equal(t, 2, requests)
}

func TestWithoutCredentials(t *testing.T) {
	t.Parallel()
	server := providertest.Server(t, func(http.ResponseWriter, *http.Request) { t.Error("a request without credentials") })
	var e *notify.Error
	require.ErrorAs(t, providertest.Deliver(t, provider(t, notify.Settings{Address: server.URL + "/owner/repository"})), &e)
	assert.Equal(t, notify.Permanent, e.Class)
	assert.Contains(t, e.Error(), "githubAppID")
}

// TestAsApp goes from the private key to the status, and shows no token on the
// way.
func TestAsApp(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var calls []string
	refuse := false
	server := providertest.Server(t, providertest.AppServer(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		calls = append(calls, r.Method+" "+r.URL.Path)
		switch {
		case refuse:
			w.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = io.WriteString(w, "not by "+r.Header.Get("Authorization"))
		case r.Method == http.MethodGet:
			_, _ = io.WriteString(w, "[]")
		default:
			_, _ = io.WriteString(w, "{}")
		}
	}))
	p := provider(t, notify.Settings{Address: server.URL + "/owner/repository", Secrets: providertest.AppSecrets(t)})
	require.NoError(t, providertest.Deliver(t, p))
	assert.Equal(t, []string{
		"GET /api/v3/repos/owner/repository/commits/" + commit + "/statuses",
		"POST /api/v3/repos/owner/repository/statuses/" + commit,
	}, calls)
	mu.Lock()
	refuse = true
	mu.Unlock()
	err := providertest.Deliver(t, p)
	require.ErrorContains(t, err, "422")
	assert.NotContains(t, err.Error(), providertest.AppToken)
}
