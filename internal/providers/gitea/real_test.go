package gitea_test

import (
	"fmt"
	"testing"
	"time"

	api "code.gitea.io/sdk/gitea"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/gitea"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
	"github.com/fluxnotify/otelcol-flux/internal/providertest/gitpeer"
)

// TestRealGitea tells a server of which three statuses fill a page, with a token
// that may do nothing else.
func TestRealGitea(t *testing.T) {
	t.Parallel()
	server := gitpeer.StartGitea(t)
	settings := providertest.Complete(t, notify.Settings{Address: "http://gitea.example.com/flux/fleet.git", Token: server.Token(t, "write:repository")})
	settings.HTTP = server.Client
	p, err := gitea.New(settings)
	require.NoError(t, err)

	tell := func(object, reason, severity string, second int) {
		t.Helper()
		tellOf(t, p, server.Commit, object, reason, severity, second)
	}
	for i := range 5 {
		object := fmt.Sprint("app-", i)
		tell(object, "Progressing", "info", 0)
		tell(object, "HealthCheckFailed", "error", 1)
		tell(object, "ReconciliationSucceeded", "info", 2)
	}
	for i := range 5 {
		object := fmt.Sprint("app-", i)
		tell(object, "ReconciliationSucceeded", "info", 3) // as it is
		tell(object, "HealthCheckFailed", "error", 1)      // as it was
	}
	p, err = gitea.New(settings) // knows nothing, and looks
	require.NoError(t, err)
	tell("app-0", "ReconciliationSucceeded", "info", 4)

	var want []string
	for i := range 5 {
		for _, s := range []string{"pending progressing", "failure health check failed", "success reconciliation succeeded"} {
			want = append(want, fmt.Sprintf("kustomization/app-%d/prod %s", i, s))
		}
	}
	assert.ElementsMatch(t, want, told(t, server))
	combined, _, err := server.SDK.GetCombinedStatus("flux", "fleet", server.Commit)
	require.NoError(t, err)
	assert.Equal(t, api.StatusSuccess, combined.State)

	settings.Token = server.Token(t, "write:issue")
	p, err = gitea.New(settings)
	require.NoError(t, err)
	var e *notify.Error
	require.ErrorAs(t, deliver(t, p), &e)
	assert.Equal(t, notify.Permanent, e.Class)
	assert.Contains(t, e.Error(), "scope")
}

// tellOf delivers an event of a commit.
func tellOf(t *testing.T, p notify.Provider, commit, object, reason, severity string, second int) {
	t.Helper()
	e := providertest.Event(t, "kustomization-commit-status")
	e.InvolvedObject.Name, e.Reason, e.Severity = object, reason, severity
	e.Metadata["kustomize.toolkit.fluxcd.io/revision"] = "main@sha1:" + commit
	e.Timestamp.Time = providertest.Observed.Add(time.Duration(second)*time.Second - time.Hour)
	payloads, err := p.Render(providertest.Notification(t, e))
	require.NoError(t, err)
	require.Len(t, payloads, 1)
	require.NoError(t, p.Deliver(t.Context(), payloads[0]))
}

// told is every status of the server's commit.
func told(t *testing.T, server *gitpeer.RealGitea) (all []string) {
	t.Helper()
	for page := 1; page != 0; {
		statuses, response, err := server.SDK.ListStatuses("flux", "fleet", server.Commit, api.ListStatusesOption{ListOptions: api.ListOptions{Page: page}})
		require.NoError(t, err)
		for _, s := range statuses {
			all = append(all, fmt.Sprintf("%s %s %s", s.Context, s.State, s.Description))
		}
		page = response.NextPage
	}
	return all
}
