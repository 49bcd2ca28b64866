package programs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// commands plays the go command: it creates what it is asked to, and remembers
// its arguments.
type commands struct {
	t      *testing.T
	folder string // of a module in the module cache
	run    []string
	fail   error
}

func (c *commands) do(_ context.Context, folder, name string, arguments ...string) (string, error) {
	c.t.Helper()
	line := strings.Join(append([]string{filepath.Base(folder) + ":", name}, arguments...), " ")
	c.run = append(c.run, line)
	for i, argument := range arguments {
		if target, ok := strings.CutPrefix(argument, "output:crd:dir="); ok {
			require.NoError(c.t, os.Mkdir(target, 0o700))
		}
		if argument == "-o" {
			require.NoError(c.t, os.WriteFile(filepath.Join(arguments[i+1], "program"), nil, 0o600))
		}
	}
	return c.folder + "\n", c.fail
}

func opened(t *testing.T) (*Cache, *commands) {
	t.Helper()
	t.Setenv("KUBE_CACHE", filepath.Join(t.TempDir(), "cache"))
	// Nothing runs etcd here.
	bin := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(bin, "etcd"), nil, 0o700))
	t.Setenv("PATH", bin)
	c, err := Open()
	require.NoError(t, err)
	runs := &commands{t: t, folder: t.TempDir()}
	require.NoError(t, os.MkdirAll(filepath.Join(runs.folder, "config", "crd", "bases"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(runs.folder, "config", "crd", "bases", "kind.yaml"), nil, 0o600))
	c.run = runs.do
	return c, runs
}

func TestBuild(t *testing.T) {
	c, runs := opened(t)
	require.ErrorIs(t, c.Ready(), ErrNotBuilt)
	var progress strings.Builder
	require.NoError(t, c.Build(t.Context(), &progress))
	require.NoError(t, c.Ready())
	require.NoError(t, c.BuildFlux(t.Context(), &progress))

	var entries []string
	files, err := os.ReadDir(c.folder)
	require.NoError(t, err)
	for _, file := range files {
		entries = append(entries, file.Name())
	}
	version := func(module string) string {
		require.NotEmpty(t, c.version[module])
		return "-" + c.version[module]
	}
	assert.ElementsMatch(t, []string{
		".lock",
		"kubernetes" + version(kubernetes),
		"notification-crds" + version(notificationAPI) + version(controllerTools),
		"source-controller-crds" + version(sourceController),
		"kustomize-controller-crds" + version(kustomizeController),
		"flux-controllers" + version(sourceController) + version(kustomizeController),
	}, entries)
	assert.Equal(t, len(entries)-1, strings.Count(progress.String(), "building "))
	for _, folder := range c.CRDs()[1:] {
		assert.FileExists(t, filepath.Join(folder, "kind.yaml"))
	}
	assert.True(t, slices.ContainsFunc(runs.run, func(line string) bool {
		return strings.HasPrefix(line, "tools: go build ") && strings.Contains(line, "gitVersion="+c.version[kubernetes]+" ")
	}), "%q", runs.run)

	runs.run = nil
	require.NoError(t, c.Build(t.Context(), &progress))
	require.NoError(t, c.BuildFlux(t.Context(), &progress))
	assert.Empty(t, runs.run, "all is in the cache")
	c.version[kubernetes] = "v9.9.9"
	require.ErrorIs(t, c.Ready(), ErrNotBuilt)
	require.NoError(t, c.Build(t.Context(), &progress))
	assert.Len(t, runs.run, 1)
}

func TestBuildFails(t *testing.T) {
	c, runs := opened(t)
	runs.fail = errors.New("exit status 1")
	require.EqualError(t, c.Build(t.Context(), &strings.Builder{}), "building "+filepath.Base(c.notificationCRDs())+": exit status 1")
	files, err := os.ReadDir(c.folder)
	require.NoError(t, err)
	assert.Len(t, files, 1, "only the lock is left")
	runs.fail = nil
	require.NoError(t, c.Build(t.Context(), &strings.Builder{}))
}

func TestBuildWaits(t *testing.T) {
	c, _ := opened(t)
	var progress strings.Builder
	require.NoError(t, os.MkdirAll(c.folder, 0o700))
	unlock, err := lock(t.Context(), &progress, filepath.Join(c.folder, ".lock"))
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, c.Build(ctx, &progress), context.DeadlineExceeded)
	assert.Equal(t, 1, strings.Count(progress.String(), "waiting for another build"))
	unlock()
	require.NoError(t, c.Build(t.Context(), &progress))
}

func TestNoEtcd(t *testing.T) {
	c, runs := opened(t)
	t.Setenv("PATH", t.TempDir())
	require.ErrorIs(t, c.Ready(), ErrNoEtcd)
	require.ErrorIs(t, c.Build(t.Context(), &strings.Builder{}), ErrNoEtcd)
	assert.Empty(t, runs.run)
}

func TestFolder(t *testing.T) {
	t.Setenv("KUBE_CACHE", "")
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("HOME", "/home/jane")
	for _, step := range []struct{ variable, value, want string }{
		{"HOME", "/home/jane", "/home/jane/.cache/fluxnotify-test"},
		{"XDG_CACHE_HOME", "/var/cache", "/var/cache/fluxnotify-test"},
		{"KUBE_CACHE", "/srv/tests", "/srv/tests"},
	} {
		t.Setenv(step.variable, step.value)
		folder, err := cacheFolder()
		require.NoError(t, err)
		assert.Equal(t, step.want, folder)
	}
	t.Chdir(t.TempDir())
	_, err := Open()
	require.ErrorContains(t, err, "is not in test/kubernetes")
}
