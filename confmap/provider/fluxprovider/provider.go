// Package fluxprovider gives Flux's Providers and Alerts to a collector as its
// configuration: --config flux:./notifications/.
package fluxprovider

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/collector/confmap"
	"go.uber.org/zap"

	"github.com/fluxnotify/otelcol-flux/exporter/fluxnotifyexporter"
	"github.com/fluxnotify/otelcol-flux/internal/fluxmanifest"
)

const schemeName = "flux"

// provider keeps, for every URI, the last configuration that was whole. A
// collector that reloads has already stopped when it asks for the new one, and
// ends if it gets an error: what is broken must not reach it.
type provider struct {
	logger *zap.Logger

	mu   sync.Mutex
	good map[string]map[string]any
	// told are the warnings of it, which need no repetition.
	told map[string]map[string]bool
	// signalled tells that a change was reported and not yet retrieved, telling
	// that the report still waits for the resolver to take it.
	signalled, telling bool
	watches            int // that are open
	reports            sync.WaitGroup
}

// NewFactory makes the factory of the provider for the scheme flux.
func NewFactory() confmap.ProviderFactory {
	return confmap.NewProviderFactory(func(set confmap.ProviderSettings) confmap.Provider {
		return &provider{logger: set.Logger, good: map[string]map[string]any{}, told: map[string]map[string]bool{}}
	})
}

var _ confmap.Provider = (*provider)(nil)

// Scheme implements confmap.Provider.
func (*provider) Scheme() string { return schemeName }

// lastReport is how long a report may wait at the end.
const lastReport = time.Second

// Shutdown implements confmap.Provider. The watches have ended with what was
// retrieved, a report may be on its way still. One that waits for a resolver that
// reads no more is given up.
func (p *provider) Shutdown(ctx context.Context) error {
	reported := make(chan struct{})
	go func() {
		p.reports.Wait()
		close(reported)
	}()
	select {
	case <-reported:
	case <-ctx.Done():
	case <-time.After(lastReport):
	}
	return nil
}

// Retrieve implements confmap.Provider.
func (p *provider) Retrieve(ctx context.Context, uri string, watcher confmap.WatcherFunc) (*confmap.Retrieved, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s, err := parseURI(uri)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", schemeName, err)
	}
	w := &watch{provider: p, uri: uri, source: s, report: watcher}
	w.start() // before the reading, so that no change is missed between them
	config, err := p.current(uri, s)
	w.begin(config)
	if err != nil {
		w.close()
		return nil, err
	}
	return confmap.NewRetrieved(config, confmap.WithRetrievedClose(func(context.Context) error {
		w.close()
		return nil
	}))
}

// current is what the manifests say, or said last while they were whole.
func (p *provider) current(uri string, s source) (map[string]any, error) {
	config, warnings, err := s.load()
	if err != nil {
		if last := p.last(uri); last != nil {
			p.refuse(err)
			return last, nil
		}
		return nil, err
	}
	p.warn(uri, warnings)
	p.keep(uri, config)
	return config, nil
}

// warn tells the warnings that were not among the last ones.
func (p *provider) warn(uri string, warnings fluxmanifest.Problems) {
	p.mu.Lock()
	defer p.mu.Unlock()
	told := map[string]bool{}
	for _, warning := range warnings {
		text := warning.String()
		if !p.told[uri][text] {
			p.logger.Warn(text)
		}
		told[text] = true
	}
	p.told[uri] = told
}

func (p *provider) last(uri string) map[string]any {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.good[uri]
}

func (p *provider) keep(uri string, config map[string]any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.good[uri] = config
}

// claim tells whether a change is to be reported, which it is not while another
// report waits: that one will find this change, too.
func (p *provider) claim() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.signalled || p.telling {
		return false
	}
	p.signalled, p.telling = true, true
	return true
}

// tell reports a change that was claimed. It may have to wait: the resolver has
// room for one report, and who reloads on a signal leaves that one unread. No
// reload may wait for that in turn, so it has a goroutine of its own; and if it
// still waits when the resolver has ended, there is nobody left to tell.
func (p *provider) tell(report confmap.WatcherFunc) {
	p.reports.Go(func() {
		defer func() {
			_ = recover() // the resolver has closed its channel
			p.mu.Lock()
			defer p.mu.Unlock()
			p.telling = false
		}()
		report(&confmap.ChangeEvent{})
	})
}

// opened and closed count the watches. With the last one, the next report is
// allowed: everything is about to be retrieved anew.
func (p *provider) opened() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watches++
}

func (p *provider) closed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.watches--; p.watches == 0 {
		p.signalled = false
	}
}

func (p *provider) refuse(err error) {
	p.logger.Error("the changed manifests cannot be used, those before stay in use", zap.Error(err))
}

// load reads, translates and checks the manifests.
func (s source) load() (config map[string]any, warnings fluxmanifest.Problems, err error) {
	manifests, err := fluxmanifest.Load(s.path)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", schemeName, err)
	}
	options := fluxmanifest.Options{
		Endpoint: s.endpoint, Storage: s.storage, Check: checkExporter,
		QueueSize: s.queueSize, NumConsumers: s.numConsumers, MaxElapsedTime: s.maxElapsedTime,
	}
	if s.secrets != "" {
		options.Secrets, options.SecretRoot = fluxmanifest.SecretsMounted, s.secrets
	}
	config, warnings, err = fluxmanifest.Translate(manifests, options)
	var problems fluxmanifest.Problems
	if errors.As(err, &problems) && len(problems) > 1 {
		err = fmt.Errorf("%d faults in the manifests:\n%w", len(problems), err)
	}
	return config, warnings, err
}

// checkExporter finds what the exporter would refuse.
func checkExporter(settings map[string]any) error {
	config := fluxnotifyexporter.NewFactory().CreateDefaultConfig()
	if err := confmap.NewFromStringMap(settings).Unmarshal(config); err != nil {
		return err
	}
	return confmap.Validate(config)
}
