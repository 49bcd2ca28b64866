package secretdir

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	patience = 10 * time.Second
	tick     = 2 * time.Millisecond
	// silence is long enough for a change that ought not to be reported.
	silence = 5 * settle
)

// reader reads the folder at every report, as the exporter does: what it knows
// is true only if the last change was reported.
type reader struct {
	dir   string
	token atomic.Value // string; "(none)" when the folder could not be read
	calls atomic.Int64
}

func (r *reader) changed() {
	token := "(none)"
	if secret, err := Read(r.dir); err == nil {
		token = string(secret["token"])
	}
	r.token.Store(token)
	r.calls.Add(1)
}

func (r *reader) awaits(t *testing.T, token string) {
	t.Helper()
	require.Eventually(t, func() bool { return r.token.Load() == token }, patience, tick, "%q is not reported", token)
}

// watched watches a folder inside a folder of its own.
func watched(t *testing.T) (*reader, *Watcher) {
	t.Helper()
	r := &reader{dir: filepath.Join(t.TempDir(), "secret")}
	require.NoError(t, os.Mkdir(r.dir, 0o700))
	w, err := Watch(r.dir, r.changed)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, w.Close()) })
	return r, w
}

func TestWatchKubernetesSwap(t *testing.T) {
	t.Parallel()
	r, _ := watched(t)
	mount(t, r.dir, "..2026_03_21_20_20_20.1", map[string]string{"token": "one"})
	r.awaits(t, "one")
	mount(t, r.dir, "..2026_03_21_20_21_20.2", map[string]string{"token": "two"})
	r.awaits(t, "two")
	require.NoError(t, os.RemoveAll(filepath.Join(r.dir, "..2026_03_21_20_20_20.1")))
	mount(t, r.dir, "..2026_03_21_20_22_20.3", map[string]string{"token": "three"})
	r.awaits(t, "three")
}

func TestWatchFiles(t *testing.T) {
	t.Parallel()
	r, _ := watched(t)
	token := filepath.Join(r.dir, "token")
	write(t, token, "created")
	r.awaits(t, "created")
	write(t, token, "written over")
	r.awaits(t, "written over")
	write(t, token+".tmp", "moved over")
	require.NoError(t, os.Rename(token+".tmp", token))
	r.awaits(t, "moved over")
	require.NoError(t, os.Remove(token))
	r.awaits(t, "")
}

func TestWatchFolderMadeAnew(t *testing.T) {
	t.Parallel()
	r, _ := watched(t)
	token := filepath.Join(r.dir, "token")
	for _, round := range []string{"first", "second"} {
		require.NoError(t, os.RemoveAll(r.dir))
		r.awaits(t, "(none)")
		require.NoError(t, os.Mkdir(r.dir, 0o700))
		r.awaits(t, "")
		// Several, lest a report still due from before hides a lost watch.
		for _, version := range []string{"a", "b", "c"} {
			write(t, token, round+version)
			r.awaits(t, round+version)
		}
	}
}

func TestWatchFolderReplaced(t *testing.T) {
	t.Parallel()
	r, _ := watched(t)
	require.NoError(t, os.Mkdir(r.dir+".new", 0o700))
	write(t, filepath.Join(r.dir+".new", "token"), "replaced")
	require.NoError(t, os.Rename(r.dir, r.dir+".old"))
	require.NoError(t, os.Rename(r.dir+".new", r.dir))
	r.awaits(t, "replaced")
	for _, version := range []string{"a", "b", "c"} {
		write(t, filepath.Join(r.dir, "token"), version)
		r.awaits(t, version)
	}
}

func TestWatchIgnoresNeighbours(t *testing.T) {
	t.Parallel()
	r, _ := watched(t)
	write(t, r.dir+".bak", "a neighbour")
	require.NoError(t, os.Mkdir(filepath.Join(filepath.Dir(r.dir), "folder"), 0o700))
	require.NoError(t, os.Remove(r.dir+".bak"))
	require.Never(t, func() bool { return r.calls.Load() > 0 }, silence, tick)
	write(t, filepath.Join(r.dir, "token"), "its own")
	r.awaits(t, "its own")
}

// Who writes a folder file by file is not reported file by file.
func TestWatchLetsWritersFinish(t *testing.T) {
	t.Parallel()
	r, _ := watched(t)
	began := time.Now()
	for range 200 {
		write(t, filepath.Join(r.dir, "token"), "last")
	}
	r.awaits(t, "last")
	assert.LessOrEqual(t, r.calls.Load(), int64(1+time.Since(began)/settle), "the folder is quiet before every report")
}

func TestCloseEndsReports(t *testing.T) {
	t.Parallel()
	r, w := watched(t)
	write(t, filepath.Join(r.dir, "token"), "seen")
	r.awaits(t, "seen")
	write(t, filepath.Join(r.dir, "token"), "perhaps")
	require.NoError(t, w.Close())
	calls := r.calls.Load()
	write(t, filepath.Join(r.dir, "token"), "unseen")
	require.Never(t, func() bool { return r.calls.Load() > calls }, silence, tick)
	require.NoError(t, w.Close(), "twice does no harm")
}

func TestCloseAwaitsTheReportUnderWay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	entered, leave := make(chan struct{}), make(chan struct{})
	var left atomic.Bool
	w, err := Watch(dir, func() {
		close(entered)
		<-leave
		left.Store(true)
	})
	require.NoError(t, err)
	write(t, filepath.Join(dir, "token"), "x")
	<-entered
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		assert.NoError(t, w.Close())
		assert.True(t, left.Load())
	}()
	require.Never(t, func() bool {
		select {
		case <-closed:
			return true
		default:
			return false
		}
	}, silence, tick)
	close(leave)
	<-closed
}

func TestWatchNoFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "absent")
	_, err := Watch(dir, func() {})
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "watch "+dir)
}

func TestWatchRelativePath(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(filepath.Dir(dir))
	r := &reader{dir: dir}
	w, err := Watch(filepath.Base(dir), r.changed)
	require.NoError(t, err)
	write(t, filepath.Join(dir, "token"), "relative")
	r.awaits(t, "relative")
	require.NoError(t, w.Close())
}
