package gitea_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	api "code.gitea.io/sdk/gitea"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/gitea"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

// TestRealGitea tells a server of which three statuses fill a page, with a token
// that may do nothing else.
func TestRealGitea(t *testing.T) {
	t.Parallel()
	binary, err := exec.LookPath("gitea")
	if err != nil {
		t.Skip("a server to tell needs gitea on PATH, from https://dl.gitea.com/gitea")
	}
	server := startGitea(t, binary)
	token := server.run(t, "admin", "user", "generate-access-token", "--username", "flux", "--token-name", "statuses", "--scopes", "write:repository", "--raw")
	settings := providertest.Complete(t, notify.Settings{Address: "http://gitea.example.com/flux/fleet.git", Token: token})
	settings.HTTP = server.client
	p, err := gitea.New(settings)
	require.NoError(t, err)

	tell := func(object, reason, severity string, second int) { server.tell(t, p, object, reason, severity, second) }
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
	assert.ElementsMatch(t, want, server.told(t))
	combined, _, err := server.sdk.GetCombinedStatus("flux", "fleet", server.commit)
	require.NoError(t, err)
	assert.Equal(t, api.StatusSuccess, combined.State)

	settings.Token = server.run(t, "admin", "user", "generate-access-token", "--username", "flux", "--token-name", "issues", "--scopes", "write:issue", "--raw")
	p, err = gitea.New(settings)
	require.NoError(t, err)
	var e *notify.Error
	require.ErrorAs(t, deliver(t, p), &e)
	assert.Equal(t, notify.Permanent, e.Class)
	assert.Contains(t, e.Error(), "scope")
}

// appINI is a server without anything that it could do without.
const appINI = `
RUN_USER = ME
RUN_MODE = prod
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
[server]
PROTOCOL = http+unix
HTTP_ADDR = SOCKET
ROOT_URL = http://gitea.example.com/
APP_DATA_PATH = DIR/data
DISABLE_SSH = true
OFFLINE_MODE = true
[database]
DB_TYPE = sqlite3
PATH = DIR/gitea.db
[repository]
ROOT = DIR/repositories
[security]
INSTALL_LOCK = true
SECRET_KEY = sample-key
[api]
MAX_RESPONSE_ITEMS = 3
DEFAULT_PAGING_NUM = 3
[actions]
ENABLED = false
[log]
MODE = console
LEVEL = error
ROOT_PATH = DIR/log
`

// realGitea is a server on a socket, with a repository of one commit.
type realGitea struct {
	binary, config string
	client         *http.Client
	sdk            *api.Client
	commit         string
}

// startGitea makes one in a folder of the test.
func startGitea(t *testing.T, binary string) *realGitea {
	t.Helper()
	dir, err := os.MkdirTemp("", "gitea") // a socket's path has to be short
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	me, err := user.Current()
	require.NoError(t, err)
	g := &realGitea{binary: binary, config: filepath.Join(dir, "app.ini")}
	socket := filepath.Join(dir, "socket")
	require.NoError(t, os.WriteFile(g.config, []byte(strings.NewReplacer("DIR", dir, "SOCKET", socket, "ME", me.Username).Replace(appINI)), 0o600))
	g.run(t, "migrate")
	g.run(t, "admin", "user", "create", "--username", "flux", "--password", "sample-password-1", "--email", "flux@example.com", "--must-change-password=false")
	token := g.run(t, "admin", "user", "generate-access-token", "--username", "flux", "--token-name", "setup", "--scopes", "all", "--raw")

	web := exec.CommandContext(context.WithoutCancel(t.Context()), binary, "web", "--config", g.config)
	web.Stdout, web.Stderr = t.Output(), t.Output()
	require.NoError(t, web.Start())
	t.Cleanup(func() {
		assert.NoError(t, web.Process.Kill())
		_ = web.Wait()
	})
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	g.client = &http.Client{Transport: transport}
	g.sdk, err = api.NewClient("http://gitea.example.com", api.SetHTTPClient(g.client), api.SetToken(token), api.SetGiteaVersion(""))
	require.NoError(t, err)
	require.Eventually(t, func() bool { _, _, err := g.sdk.ServerVersion(); return err == nil }, time.Minute, 50*time.Millisecond)
	_, _, err = g.sdk.CreateRepo(api.CreateRepoOption{Name: "fleet", AutoInit: true, DefaultBranch: "main"})
	require.NoError(t, err)
	commits, _, err := g.sdk.ListRepoCommits("flux", "fleet", api.ListCommitOptions{})
	require.NoError(t, err)
	require.Len(t, commits, 1)
	g.commit = commits[0].SHA
	return g
}

// tell delivers an event of the commit.
func (g *realGitea) tell(t *testing.T, p notify.Provider, object, reason, severity string, second int) {
	t.Helper()
	e := providertest.Event(t, "kustomization-commit-status")
	e.InvolvedObject.Name, e.Reason, e.Severity = object, reason, severity
	e.Metadata["kustomize.toolkit.fluxcd.io/revision"] = "main@sha1:" + g.commit
	e.Timestamp.Time = providertest.Observed.Add(time.Duration(second) * time.Second)
	payloads, err := p.Render(providertest.Notification(t, e))
	require.NoError(t, err)
	require.Len(t, payloads, 1)
	require.NoError(t, p.Deliver(t.Context(), payloads[0]))
}

// told is every status of the commit.
func (g *realGitea) told(t *testing.T) (all []string) {
	t.Helper()
	for page := 1; page != 0; {
		statuses, response, err := g.sdk.ListStatuses("flux", "fleet", g.commit, api.ListStatusesOption{ListOptions: api.ListOptions{Page: page}})
		require.NoError(t, err)
		for _, s := range statuses {
			all = append(all, fmt.Sprintf("%s %s %s", s.Context, s.State, s.Description))
		}
		page = response.NextPage
	}
	return all
}

// run gives the last line that a command of the server prints.
func (g *realGitea) run(t *testing.T, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), g.binary, append(args, "--config", g.config)...)
	out, err := command.Output()
	require.NoError(t, err, "%s: %s", args, out)
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}
