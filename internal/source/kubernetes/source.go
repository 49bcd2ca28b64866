package kubernetes

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fluxnotify/otelcol-flux/internal/source"
)

// Source reads Providers, Alerts and Secrets from the Kubernetes API. It implements
// source.Source.
type Source struct {
	options Options
	faults  atomic.Pointer[[]source.Fault]
	labels  atomic.Pointer[labels]

	mu     sync.Mutex
	cancel context.CancelFunc
	done   chan struct{}
	ended  bool
}

var _ source.Source = (*Source)(nil)

// New checks the options. It makes no connection.
func New(options Options) (*Source, error) {
	if err := options.Check(); err != nil {
		return nil, err
	}
	if options.Logger == nil || options.Translator == nil {
		return nil, errors.New("a logger and a translator are required")
	}
	return &Source{options: options}, nil
}

// Start connects. An API server that is not available is no error.
func (s *Source) Start(_ context.Context, changed func(source.Set)) error {
	config, err := s.options.config()
	if err != nil {
		return err
	}
	clients, err := newClients(config)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.cancel != nil {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel, s.done = cancel, make(chan struct{})
	loop := newLoop(ctx, s, clients, changed)
	s.labels.Store(loop.labels)
	go func() {
		defer close(s.done)
		loop.run()
	}()
	return nil
}

// Shutdown ends all requests and saves the state. It returns early if the context is
// done.
func (s *Source) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.ended = true
	cancel, done := s.cancel, s.done
	s.mu.Unlock()
	if cancel == nil {
		return nil
	}
	cancel()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Labels returns the labels of an involved object from memory. They are known if an
// Alert selects the object's kind with matchLabels, and for ten minutes after the object
// was deleted.
func (s *Source) Labels(kind, namespace, name string) (map[string]string, bool) {
	l := s.labels.Load()
	if l == nil {
		return nil, false
	}
	return l.get(kind, namespace, name)
}

// Faults are the faults of the source itself, such as an API server that is not
// available. They are also in each Set. Before the first Set they say what it waits for.
func (s *Source) Faults() []source.Fault {
	if faults := s.faults.Load(); faults != nil {
		return *faults
	}
	return nil
}

// The delays of an evaluation after a change.
const (
	quietTime = 100 * time.Millisecond // since the last change
	maxQuiet  = 500 * time.Millisecond // since the first change
)

const (
	// startGrace is how long the API server may take before the saved state is used.
	startGrace = 5 * time.Second
	// pendingGrace is how long a change waits for Secrets and labels that are being read.
	pendingGrace = time.Second
	// recheck is the time between two evaluations while something is not as it should be.
	recheck = time.Second
	// sweepInterval is the time between two clean-ups.
	sweepInterval = time.Minute
)
