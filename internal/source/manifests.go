package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/fluxnotify/otelcol-flux/internal/filewatch"
	"github.com/fluxnotify/otelcol-flux/internal/fluxmanifest"
	"github.com/fluxnotify/otelcol-flux/internal/secretdir"
)

// ManifestsOptions are the settings of a source of manifests.
type ManifestsOptions struct {
	// Paths are files, and folders with all *.yaml and *.yml in them and below.
	Paths []string
	// Secrets is the folder of mounted Secrets, <namespace>/<name>/. Empty: the Secrets
	// among the manifests are used.
	Secrets string
	// NoCrossNamespaceRefs limits Alerts to events of their own namespace.
	NoCrossNamespaceRefs bool
	Logger               *zap.Logger
}

const (
	// gather is how long further changes are waited for after a first one. The watch
	// itself waits until files are quiet, for at most one second.
	gather = 50 * time.Millisecond
	// slowPoll finds changes that no watch reports: behind a link further up in the path,
	// or on a file system over a network.
	slowPoll = 30 * time.Second
	// fastPoll replaces a watch that is not possible, and finds a folder that is back.
	fastPoll = time.Second
)

// Manifests is a source that reads and watches files.
type Manifests struct {
	options ManifestsOptions
	reader  *fluxmanifest.Reader
	maker   SetMaker
	secrets map[fluxmanifest.SecretRef]map[string][]byte // that were read last

	wake     chan struct{}
	watches  []*watchedPath
	slowPoll time.Duration

	stopping sync.Once
	stop     chan struct{}
	done     chan struct{} // nil before Start
}

var _ Source = (*Manifests)(nil)

// NewManifests makes a source of manifests.
func NewManifests(options ManifestsOptions) *Manifests {
	if options.Logger == nil {
		options.Logger = zap.NewNop()
	}
	return &Manifests{
		options: options, reader: fluxmanifest.NewReader(options.Paths...),
		wake: make(chan struct{}, 1), slowPoll: slowPoll, stop: make(chan struct{}),
	}
}

// ReadManifests reads manifests once. The error is about paths that are absent.
func ReadManifests(options ManifestsOptions) (Set, error) {
	m := NewManifests(options)
	if err := m.check(); err != nil {
		return Set{}, err
	}
	return m.read(), nil
}

// check returns an error for paths that are absent.
func (m *Manifests) check() error {
	if len(m.options.Paths) == 0 {
		return errors.New("path: must be set to a file or folder of manifests")
	}
	if err := m.reader.Check(); err != nil {
		return fmt.Errorf("path: %w", err)
	}
	if m.options.Secrets == "" {
		return nil
	}
	if _, err := os.ReadDir(m.options.Secrets); err != nil {
		return fmt.Errorf("secrets: %w", err)
	}
	return nil
}

// Start implements Source.
func (m *Manifests) Start(_ context.Context, changed func(Set)) error {
	if err := m.check(); err != nil {
		return err
	}
	m.watch() // before reading, so that no change is missed between them
	set := m.read()
	changed(set)
	m.done = make(chan struct{})
	go m.run(set, changed)
	return nil
}

// Shutdown implements Source.
func (m *Manifests) Shutdown(ctx context.Context) error {
	if m.done == nil {
		return nil
	}
	m.stopping.Do(func() { close(m.stop) })
	select {
	case <-m.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run reads again after changes, and from time to time.
func (m *Manifests) run(set Set, changed func(Set)) {
	defer close(m.done)
	defer m.unwatch()
	for m.pause() {
		m.watchAgain()
		next := m.read()
		if !equalSets(set, next) && !m.stopped() {
			set = next
			changed(set)
		}
	}
}

// pause waits until everything is to be read again. It returns false after Shutdown.
func (m *Manifests) pause() bool {
	timer := time.NewTimer(m.poll())
	defer timer.Stop()
	select {
	case <-m.stop:
		return false
	case <-timer.C:
		return true
	case <-m.wake:
	}
	timer.Reset(gather)
	select {
	case <-m.stop:
		return false
	case <-timer.C:
	}
	select { // the next reading finds what was reported meanwhile
	case <-m.wake:
	default:
	}
	return true
}

func (m *Manifests) stopped() bool {
	select {
	case <-m.stop:
		return true
	default:
		return false
	}
}

// read reads everything.
func (m *Manifests) read() Set {
	manifests := m.reader.Read()
	options := fluxmanifest.Options{NoCrossNamespaceRefs: m.options.NoCrossNamespaceRefs, SecretRoot: m.options.Secrets}
	if m.options.Secrets != "" {
		m.readSecrets(manifests)
	}
	return m.maker.Set(manifests.Results(options))
}

// readSecrets adds the mounted Secrets that Providers refer to. One that cannot be read,
// and the whole folder if it is away, keep the values that they had.
func (m *Manifests) readSecrets(manifests *fluxmanifest.Manifests) {
	root := m.options.Secrets
	stays := func(path string, err error) {
		manifests.AddFault(fluxmanifest.Problem{File: path, Text: "cannot be read: " + withoutPath(err) + ": the values that were read from it before stay in use"})
	}
	_, rootErr := os.ReadDir(root)
	if rootErr != nil {
		stays(root, rootErr)
	}
	secrets := map[fluxmanifest.SecretRef]map[string][]byte{}
	for _, ref := range manifests.SecretRefs() {
		before, known := m.secrets[ref]
		dir := filepath.Join(root, ref.Namespace, ref.Name)
		values, err := secretdir.Read(dir)
		switch {
		case err == nil:
			secrets[ref] = values
		case known && (rootErr != nil || !errors.Is(err, fs.ErrNotExist)):
			if rootErr == nil {
				stays(dir, err)
			}
			secrets[ref] = before
		case rootErr == nil && !errors.Is(err, fs.ErrNotExist):
			manifests.AddFault(fluxmanifest.Problem{File: dir, Text: err.Error()})
		}
	}
	m.secrets = secrets
	for ref, values := range secrets {
		manifests.AddSecret(ref.Namespace, ref.Name, values)
	}
}

// withoutPath is the cause of an error about a file whose name is known.
func withoutPath(err error) string {
	var wrapped *fs.PathError
	if errors.As(err, &wrapped) {
		return wrapped.Err.Error()
	}
	return err.Error()
}

// watchedPath is a file or folder, and its watch.
type watchedPath struct {
	path string
	// info identifies what is watched: a folder that is away and comes back is another.
	info    fs.FileInfo
	watcher *filewatch.Watcher
	warned  bool
}

// watch watches all paths. Those that cannot be watched are polled.
func (m *Manifests) watch() {
	for _, path := range m.options.Paths {
		m.watches = append(m.watches, &watchedPath{path: path})
	}
	if m.options.Secrets != "" {
		m.watches = append(m.watches, &watchedPath{path: m.options.Secrets})
	}
	m.watchAgain()
}

// watchAgain watches what is not watched, and what has been replaced.
func (m *Manifests) watchAgain() {
	for _, w := range m.watches {
		info, err := os.Stat(w.path)
		if err == nil && w.watcher != nil && os.SameFile(info, w.info) {
			continue
		}
		if w.watcher != nil && w.info.IsDir() {
			_ = w.watcher.Close()
			w.watcher = nil
		}
		if err != nil || w.watcher != nil {
			continue
		}
		w.info = info
		w.watcher, err = filewatch.Watch(w.path, m.look, m.unwatched)
		if err != nil && !w.warned {
			w.warned = true
			m.unwatched(err)
		}
	}
}

func (m *Manifests) unwatched(err error) {
	m.options.Logger.Warn("cannot watch files: they are read every "+fastPoll.String()+" or "+slowPoll.String()+" instead", zap.Error(err))
}

// poll is the time until everything is read again without a change.
func (m *Manifests) poll() time.Duration {
	for _, w := range m.watches {
		if w.watcher == nil {
			return fastPoll
		}
	}
	return m.slowPoll
}

func (m *Manifests) unwatch() {
	for _, w := range m.watches {
		if w.watcher != nil {
			_ = w.watcher.Close()
		}
	}
}

// look has everything read again.
func (m *Manifests) look() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}
