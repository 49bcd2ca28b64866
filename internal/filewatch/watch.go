// Package filewatch reports changes of a file, or of a folder and all below it,
// also where Kubernetes mounts it.
package filewatch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settle is how long files have to be quiet before a change is reported, so that a
// writer of several files, or of one file in several steps, can finish.
const settle = 20 * time.Millisecond

// patience bounds that time: files that are never quiet are reported all the same.
const patience = time.Second

// Watcher reports changes.
type Watcher struct {
	watcher *fsnotify.Watcher
	root    string
	tree    bool // root is a folder that was asked for
	failed  func(error)
	done    chan struct{}
}

// Watch calls changed, from a goroutine of its own, after every change of a folder, its
// files and the folders in it, except those whose names begin with a dot. Kubernetes
// swaps the link ..data; others replace files, or the folder itself, which is why its
// parent is watched too. For a file, its whole folder is watched, because it may be a
// link to another file there. failed is called for a folder that appears later and
// cannot be watched.
func Watch(path string, changed func(), failed func(error)) (*Watcher, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", path, err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", path, err)
	}
	if !info.IsDir() {
		path = filepath.Dir(path)
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", path, err)
	}
	w := &Watcher{watcher: watcher, root: path, tree: info.IsDir(), failed: failed, done: make(chan struct{})}
	err = watcher.Add(filepath.Dir(path))
	if err == nil {
		err = w.add(path)
	}
	if err != nil {
		_ = watcher.Close()
		return nil, fmt.Errorf("watch %s: %w", path, err)
	}
	go w.run(changed)
	return w, nil
}

// Close ends the watch, and returns when nothing will be called again.
func (w *Watcher) Close() error {
	err := w.watcher.Close()
	<-w.done
	return err
}

// add watches a folder, and if it is asked for the folders in it. Of these, what
// has gone again meanwhile does not matter.
func (w *Watcher) add(dir string) error {
	if err := w.watcher.Add(dir); err != nil || !w.tree {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, entry := range entries {
		if !entry.IsDir() || strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		if err := w.add(filepath.Join(dir, entry.Name())); !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (w *Watcher) run(changed func()) {
	defer close(w.done)
	quiet := time.NewTimer(time.Hour)
	quiet.Stop()
	defer quiet.Stop()
	var since time.Time // of the first change that is not reported
	wait := func() {
		if since.IsZero() {
			since = time.Now()
		}
		quiet.Reset(min(settle, patience-time.Since(since)))
	}
	for {
		select {
		case event, open := <-w.watcher.Events:
			if !open {
				return
			}
			if event.Name != w.root && !strings.HasPrefix(event.Name, w.root+string(filepath.Separator)) {
				continue // a neighbour in the parent folder
			}
			if event.Has(fsnotify.Create) {
				w.added(event.Name)
			}
			wait()
		case _, open := <-w.watcher.Errors:
			if !open {
				return
			}
			wait() // events were lost: look
		case <-quiet.C:
			since = time.Time{}
			changed()
		}
	}
}

// added watches a folder that has come, or come back. If it went again, its
// next creation is reported by the folder above.
func (w *Watcher) added(path string) {
	if path != w.root && (!w.tree || strings.HasPrefix(filepath.Base(path), ".")) {
		return
	}
	info, err := os.Lstat(path)
	if err == nil && (path == w.root || info.IsDir()) {
		err = w.add(path)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		w.failed(fmt.Errorf("watch %s: %w", path, err))
	}
}
