package flux

import (
	"io"
	"net/http/cgi" //nolint:gosec // it warns about Go 1.6
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// branch is the only branch of a repository.
const branch = "main"

// Repository is a Git repository that is served over HTTP while the test runs.
type Repository struct {
	// URL is the address to clone from.
	URL    string
	folder string
	env    []string
}

// NewRepository creates an empty repository. Its branch is main.
func NewRepository(t *testing.T) *Repository {
	t.Helper()
	r := &Repository{folder: t.TempDir()}
	// The settings of the machine must not matter.
	r.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(),
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=Jane Doe", "GIT_AUTHOR_EMAIL=jane@example.com",
		"GIT_COMMITTER_NAME=Jane Doe", "GIT_COMMITTER_EMAIL=jane@example.com",
	}
	r.git(t, "init", "--quiet", "--initial-branch="+branch)
	server := httptest.NewServer(&cgi.Handler{
		Path:   filepath.Join(r.git(t, "--exec-path"), "git-http-backend"),
		Env:    append([]string{"GIT_PROJECT_ROOT=" + r.folder, "GIT_HTTP_EXPORT_ALL=1"}, r.env...),
		Stderr: io.Discard,
	})
	t.Cleanup(server.Close)
	r.URL = server.URL + "/.git"
	return r
}

// Commit writes files, by their path, and commits all changes. It returns the
// revision as Flux writes it. An empty file is removed.
func (r *Repository) Commit(t *testing.T, files map[string]string) (revision string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(r.folder, filepath.FromSlash(name))
		if text == "" {
			require.NoError(t, os.Remove(path))
			continue
		}
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o750))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	r.git(t, "add", "--all")
	r.git(t, "commit", "--quiet", "--message=change")
	return branch + "@sha1:" + r.git(t, "rev-parse", "HEAD")
}

func (r *Repository) git(t *testing.T, arguments ...string) string {
	t.Helper()
	command := exec.Command("git", arguments...) //nolint:gosec // the callers are in this file
	command.Dir, command.Env = r.folder, r.env
	output, err := command.CombinedOutput()
	require.NoError(t, err, "git %v: %s", arguments, output)
	return strings.TrimSpace(string(output))
}
