package gitpeer

import (
	"context"
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
)

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

// RealGitea is a server on a socket, with a repository of one commit.
type RealGitea struct {
	// Client comes to the server, whatever the host.
	Client *http.Client
	// SDK speaks as the account flux, which may do everything.
	SDK *api.Client
	// Commit is the hash of the only commit of flux/fleet.
	Commit string

	binary, config string
}

// StartGitea makes one in a folder of the test, where there is a program for it.
func StartGitea(t *testing.T) *RealGitea {
	t.Helper()
	binary, err := exec.LookPath("gitea")
	if err != nil {
		t.Skip("a server to tell needs gitea on PATH, from https://dl.gitea.com/gitea")
	}
	dir, err := os.MkdirTemp("", "gitea") // a socket's path has to be short
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	me, err := user.Current()
	require.NoError(t, err)
	g := &RealGitea{binary: binary, config: filepath.Join(dir, "app.ini")}
	socket := filepath.Join(dir, "socket")
	require.NoError(t, os.WriteFile(g.config, []byte(strings.NewReplacer("DIR", dir, "SOCKET", socket, "ME", me.Username).Replace(appINI)), 0o600))
	g.run(t, "migrate")
	g.run(t, "admin", "user", "create", "--username", "flux", "--password", "sample-password-1", "--email", "flux@example.com", "--must-change-password=false")
	token := g.Token(t, "all")

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
	g.Client = &http.Client{Transport: transport}
	g.SDK, err = api.NewClient("http://gitea.example.com", api.SetHTTPClient(g.Client), api.SetToken(token), api.SetGiteaVersion(""))
	require.NoError(t, err)
	require.Eventually(t, func() bool { _, _, err := g.SDK.ServerVersion(); return err == nil }, time.Minute, 50*time.Millisecond)
	_, _, err = g.SDK.CreateRepo(api.CreateRepoOption{Name: "fleet", AutoInit: true, DefaultBranch: "main"})
	require.NoError(t, err)
	commits, _, err := g.SDK.ListRepoCommits("flux", "fleet", api.ListCommitOptions{})
	require.NoError(t, err)
	require.Len(t, commits, 1)
	g.Commit = commits[0].SHA
	return g
}

// Token is one of the account flux with these scopes.
func (g *RealGitea) Token(t *testing.T, scopes string) string {
	t.Helper()
	return g.run(t, "admin", "user", "generate-access-token", "--username", "flux", "--token-name", scopes, "--scopes", scopes, "--raw")
}

// run gives the last line that a command of the server prints.
func (g *RealGitea) run(t *testing.T, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), g.binary, append(args, "--config", g.config)...)
	out, err := command.Output()
	require.NoError(t, err, "%s: %s", args, out)
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}
