package secretdir

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settle is how long a folder has to be quiet before a change is reported: who
// writes several files, or a file in several steps, is let finish.
const settle = 20 * time.Millisecond

// Watcher reports changes of a folder.
type Watcher struct {
	watcher *fsnotify.Watcher
	done    chan struct{}
}

// Watch calls changed, from a goroutine of its own, after every change of the
// folder. Kubernetes swaps the link ..data; others replace files, or the
// folder itself, which is why its parent is watched too.
func Watch(dir string, changed func()) (*Watcher, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", dir, err)
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", dir, err)
	}
	for _, path := range []string{dir, filepath.Dir(dir)} {
		if err := watcher.Add(path); err != nil {
			_ = watcher.Close()
			return nil, fmt.Errorf("watch %s: %w", path, err)
		}
	}
	w := &Watcher{watcher: watcher, done: make(chan struct{})}
	go w.run(dir, changed)
	return w, nil
}

// Close ends the watch, and returns when changed will not be called again.
func (w *Watcher) Close() error {
	err := w.watcher.Close()
	<-w.done
	return err
}

func (w *Watcher) run(dir string, changed func()) {
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
			switch {
			case event.Name == dir && event.Has(fsnotify.Create):
				_ = w.watcher.Add(dir) // the folder is back; if it went again, its next creation comes here too
			case event.Name != dir && filepath.Dir(event.Name) != dir:
				continue // a neighbour in the parent folder
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
