package filewatch

import (
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

const (
	deadline = 10 * time.Second
	tick     = 2 * time.Millisecond
	// silence is long enough for a change that ought not to be reported.
	silence = 5 * settle
)

// reader reads the folder at every report, as the exporter does: what it knows
// is true only if the last change was reported.
type reader struct {
	dir   string
	name  string       // of the file in it that is read; token if empty
	token atomic.Value // string; "(none)" when the folder could not be read
	calls atomic.Int64
	errs  atomic.Value // error; what failed last
}

func (r *reader) failed(err error) { r.errs.Store(err) }

func (r *reader) changed() {
	token := "(none)"
	if value, err := os.ReadFile(filepath.Join(r.dir, r.file())); err == nil {
		token = string(value)
	} else if _, err := os.Stat(r.dir); err == nil {
		token = ""
	}
	r.token.Store(token)
	r.calls.Add(1)
}

func (r *reader) file() string {
	if r.name == "" {
		return "token"
	}
	return r.name
}

func (r *reader) awaits(t *testing.T, token string) {
	t.Helper()
	require.Eventually(t, func() bool { return r.token.Load() == token }, deadline, tick, "%q is not reported", token)
}

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func write(t *testing.T, path, value string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(value), 0o600))
}

// mount lays a folder out as Kubernetes does: the files stand in a folder of
// their own, to which ..data links, and every key links through that.
func mount(t *testing.T, dir, version, token string) {
	t.Helper()
	require.NoError(t, os.Mkdir(filepath.Join(dir, version), 0o700))
	write(t, filepath.Join(dir, version, "token"), token)
	if _, err := os.Lstat(filepath.Join(dir, "token")); os.IsNotExist(err) {
		require.NoError(t, os.Symlink(filepath.Join("..data", "token"), filepath.Join(dir, "token")))
	}
	require.NoError(t, os.Symlink(version, filepath.Join(dir, "..data_tmp")))
	require.NoError(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
}

// watched watches a folder inside a folder of its own.
func watched(t *testing.T) (*reader, *Watcher) {
	t.Helper()
	r := &reader{dir: filepath.Join(t.TempDir(), "secret")}
	require.NoError(t, os.Mkdir(r.dir, 0o700))
	w, err := Watch(r.dir, r.changed, r.failed)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, w.Close()) })
	return r, w
}

func TestWatchKubernetesSwap(t *testing.T) {
	t.Parallel()
	r, _ := watched(t)
	mount(t, r.dir, "..2026_03_21_20_20_20.1", "one")
	r.awaits(t, "one")
	mount(t, r.dir, "..2026_03_21_20_21_20.2", "two")
	r.awaits(t, "two")
	require.NoError(t, os.RemoveAll(filepath.Join(r.dir, "..2026_03_21_20_20_20.1")))
	mount(t, r.dir, "..2026_03_21_20_22_20.3", "three")
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

// Who writes without an end is reported all the same.
func TestWatchOfWhatIsNeverQuiet(t *testing.T) {
	t.Parallel()
	r, _ := watched(t)
	began := time.Now()
	for r.calls.Load() == 0 {
		write(t, filepath.Join(r.dir, "token"), "again")
		require.Less(t, time.Since(began), deadline, "nothing is reported")
	}
}

// The path of what lies deepest is longer than any system call takes
// (PATH_MAX of Linux, 4096 bytes): it is there, and cannot be watched.
func TestWatchTellsWhatCannotBeWatched(t *testing.T) {
	t.Parallel()
	deep := func(dir string) {
		root, err := os.OpenRoot(dir)
		require.NoError(t, err)
		for range 20 {
			name := strings.Repeat("x", 250)
			require.NoError(t, root.Mkdir(name, 0o700))
			below, err := root.OpenRoot(name)
			require.NoError(t, err)
			require.NoError(t, root.Close())
			root = below
		}
		require.NoError(t, root.Close())
	}
	r, _ := watched(t)
	deep(r.dir)
	require.Eventually(t, func() bool { return r.errs.Load() != nil }, deadline, tick)
	require.ErrorIs(t, r.errs.Load().(error), syscall.ENAMETOOLONG)
	write(t, filepath.Join(r.dir, "token"), "still watched")
	r.awaits(t, "still watched")

	_, err := Watch(r.dir, r.changed, r.failed)
	require.ErrorIs(t, err, syscall.ENAMETOOLONG, "as at a start")
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
	}, func(error) {})
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
	_, err := Watch(dir, func() {}, func(error) {})
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "watch "+dir)
}

func TestWatchRelativePath(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(filepath.Dir(dir))
	r := &reader{dir: dir}
	w, err := Watch(filepath.Base(dir), r.changed, r.failed)
	require.NoError(t, err)
	write(t, filepath.Join(dir, "token"), "relative")
	r.awaits(t, "relative")
	require.NoError(t, w.Close())
}

func TestWatchFoldersBelow(t *testing.T) {
	t.Parallel()
	r, _ := watched(t)
	r.name = filepath.Join("team", "apps", "token")
	below := filepath.Join(r.dir, "team", "apps")
	for _, round := range []string{"first", "second"} {
		require.NoError(t, os.MkdirAll(below, 0o700))
		for _, version := range []string{"a", "b", "c"} {
			write(t, filepath.Join(below, "token"), round+version)
			r.awaits(t, round+version)
		}
		require.NoError(t, os.RemoveAll(filepath.Join(r.dir, "team")))
		r.awaits(t, "")
	}
}

func TestWatchFile(t *testing.T) {
	t.Parallel()
	r := &reader{dir: t.TempDir()}
	token := filepath.Join(r.dir, "token")
	mount(t, r.dir, "..1", "one")
	w, err := Watch(token, r.changed, r.failed)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, w.Close()) })
	mount(t, r.dir, "..2", "two")
	r.awaits(t, "two")
	write(t, token+".tmp", "moved over")
	require.NoError(t, os.Rename(token+".tmp", token))
	r.awaits(t, "moved over")
	write(t, token, "written over")
	r.awaits(t, "written over")
}

// A folder may be a link to its version, as of Git checkouts beside each other.
func TestWatchLinkToFolder(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	r := &reader{dir: filepath.Join(base, "current")}
	for _, version := range []string{"one", "two"} {
		require.NoError(t, os.Mkdir(filepath.Join(base, version), 0o700))
		write(t, filepath.Join(base, version, "token"), version)
	}
	require.NoError(t, os.Symlink("one", r.dir))
	w, err := Watch(r.dir, r.changed, r.failed)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, w.Close()) })
	require.NoError(t, os.Symlink("two", r.dir+".new"))
	require.NoError(t, os.Rename(r.dir+".new", r.dir))
	r.awaits(t, "two")
	write(t, filepath.Join(base, "two", "token"), "changed")
	r.awaits(t, "changed")
}
