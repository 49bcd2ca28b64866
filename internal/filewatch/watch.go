// Package filewatch reports changes of a file, or of a folder and all below it,
// also where Kubernetes mounts it.
package filewatch

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settle is how long files have to be quiet before a change is reported: who
// writes several files, or a file in several steps, is let finish.
const settle = 20 * time.Millisecond

// Watcher reports changes.
type Watcher struct {
	watcher *fsnotify.Watcher
	root    string
	done    chan struct{}
}

// Watch calls changed, from a goroutine of its own, after every change of a
// folder, its files and the folders in it, but for those whose names begin with
// a dot. Kubernetes swaps the link ..data; others replace files, or the folder
// itself, which is why its parent is watched too. Of a file, everything beside
// it is watched, because any of that may be what it links to.
func Watch(path string, changed func()) (*Watcher, error) {
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
	w := &Watcher{watcher: watcher, root: path, done: make(chan struct{})}
	err = watcher.Add(filepath.Dir(path))
	if err == nil && info.IsDir() {
		err = w.addTree(path)
	} else if err == nil {
		err = watcher.Add(path)
	}
	if err != nil {
		_ = watcher.Close()
		return nil, fmt.Errorf("watch %s: %w", path, err)
	}
	go w.run(changed, info.IsDir())
	return w, nil
}

// Close ends the watch, and returns when changed will not be called again.
func (w *Watcher) Close() error {
	err := w.watcher.Close()
	<-w.done
	return err
}

// addTree watches a folder and the folders in it. Of these, what has gone again
// meanwhile does not matter.
func (w *Watcher) addTree(dir string) error {
	if err := w.watcher.Add(dir); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() && !strings.HasPrefix(entry.Name(), ".") {
			_ = w.addTree(filepath.Join(dir, entry.Name()))
		}
	}
	return nil
}

func (w *Watcher) run(changed func(), tree bool) {
	defer close(w.done)
	quiet := time.NewTimer(time.Hour)
	quiet.Stop()
	defer quiet.Stop()
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
				w.added(event.Name, tree)
			}
			quiet.Reset(settle)
		case _, open := <-w.watcher.Errors:
			if !open {
				return
			}
			quiet.Reset(settle) // events were lost: look
		case <-quiet.C:
			changed()
		}
	}
}

// added watches a folder that has come, or come back. If it went again, its
// next creation is reported by the folder above.
func (w *Watcher) added(path string, tree bool) {
	switch {
	case path == w.root && !tree:
		_ = w.watcher.Add(path)
	case path == w.root:
		_ = w.addTree(path)
	case tree && !strings.HasPrefix(filepath.Base(path), "."):
		if info, err := os.Lstat(path); err == nil && info.IsDir() {
			_ = w.addTree(path)
		}
	}
}
