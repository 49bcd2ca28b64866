package fluxprovider

import (
	"errors"
	"reflect"
	"sync"

	"go.opentelemetry.io/collector/confmap"
	"go.uber.org/zap"

	"github.com/fluxnotify/otelcol-flux/internal/filewatch"
)

// watch reports a change of the manifests once it has been found whole, and to
// mean something else than what is in use.
type watch struct {
	provider *provider
	uri      string
	source   source
	report   confmap.WatcherFunc

	watchers  []*filewatch.Watcher
	unwatched []error

	mu      sync.Mutex     // held until inUse is known, and while looking
	inUse   map[string]any // nil: there is nothing to change
	refused string
}

// start begins the watch, and may be followed by begin or by close. The mounted
// Secrets are watched because a change may have been refused for want of one.
// What cannot be watched is read at the next reload all the same.
func (w *watch) start() {
	if w.report == nil {
		return
	}
	w.provider.opened()
	w.mu.Lock()
	for _, path := range []string{w.source.path, w.source.secrets} {
		if path == "" {
			continue
		}
		watcher, err := filewatch.Watch(path, w.look, w.unseen)
		if err != nil {
			w.unwatched = append(w.unwatched, err)
			continue
		}
		w.watchers = append(w.watchers, watcher)
	}
}

// begin lets the watchers look.
func (w *watch) begin(inUse map[string]any) {
	if w.report == nil {
		return
	}
	w.inUse = inUse
	w.mu.Unlock()
	if inUse != nil && len(w.unwatched) > 0 {
		w.unseen(errors.Join(w.unwatched...))
	}
}

// unseen tells of what cannot be watched.
func (w *watch) unseen(err error) {
	w.provider.logger.Warn("changes are seen at the next reload only (SIGHUP)", zap.Error(err))
}

func (w *watch) close() {
	for _, watcher := range w.watchers {
		_ = watcher.Close()
	}
	if w.report != nil {
		w.provider.closed()
	}
}

func (w *watch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.inUse == nil {
		return
	}
	config, warnings, err := w.source.load()
	if err != nil {
		if w.refused != err.Error() { // once for each fault
			w.provider.refuse(err)
		}
		w.refused = err.Error()
		return
	}
	w.refused = ""
	w.provider.warn(w.uri, warnings)
	w.provider.keep(w.uri, config)
	if reflect.DeepEqual(config, w.inUse) || !w.provider.claim() {
		return
	}
	w.provider.logger.Info("the manifests have changed", zap.String("path", w.source.path))
	w.provider.tell(w.report)
}
