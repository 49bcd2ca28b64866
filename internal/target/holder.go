package fluxnotifyexporter

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.uber.org/zap"

	"github.com/fluxnotify/otelcol-flux/internal/filewatch"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers"
	"github.com/fluxnotify/otelcol-flux/internal/secretdir"
)

// current holds the provider in use, and replaces it when its secrets change. A
// delivery that has begun ends with the provider that it began with.
type current struct {
	config *Config
	row    providers.Row
	name   string
	uid    string
	set    component.TelemetrySettings
	width  int
	memory notify.Memory

	extensions map[component.ID]component.Component
	watchers   []*filewatch.Watcher

	reloading sync.Mutex
	from      resolved // what the provider in use was made of

	mu       sync.RWMutex
	instance *instance
	retired  sync.WaitGroup
}

// instance is a provider and those who use it.
type instance struct {
	provider  notify.Provider
	transport *http.Transport
	users     sync.WaitGroup
}

func (c *current) start(ctx context.Context, host component.Host) error {
	c.extensions = host.GetExtensions()
	r, err := c.config.resolve(c.row, c.uid)
	if err != nil {
		return err
	}
	for _, warning := range r.warnings {
		c.set.Logger.Warn(warning)
	}
	if c.instance, err = c.make(ctx, r); err != nil {
		return err
	}
	c.from = r
	dirs := c.config.secretDirs()
	for key, dir := range dirs {
		if exposed := secretdir.Exposed(dir); len(exposed) > 0 {
			c.set.Logger.Warn("everybody on this machine may read files of "+key+": take the right from them, or give the mounted Secret the defaultMode 0440 and the pod an fsGroup",
				zap.String(key, dir), zap.Strings("files", exposed))
		}
		watcher, err := filewatch.Watch(dir, c.reload, c.unwatched)
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		c.watchers = append(c.watchers, watcher)
	}
	if len(dirs) > 0 {
		c.reload() // they may have changed between the reading and the watch
	}
	return nil
}

// acquire gives the provider in use; release must be called after.
func (c *current) acquire() (provider notify.Provider, release func()) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.instance == nil { // the exporter has ended
		return nil, func() {}
	}
	c.instance.users.Add(1)
	return c.instance.provider, c.instance.users.Done
}

// reload replaces the provider if the secret folder means something else now. A
// broken folder changes nothing: what worked stays in use.
func (c *current) reload() {
	c.reloading.Lock()
	defer c.reloading.Unlock()
	r, err := c.config.resolve(c.row, c.uid)
	if err == nil && reflect.DeepEqual(r, c.from) {
		return
	}
	var next *instance
	if err == nil {
		next, err = c.make(context.Background(), r)
	}
	if err != nil {
		c.set.Logger.Warn("the changed secret cannot be used, the one before stays in use", zap.Error(err))
		return
	}
	c.from = r
	c.mu.Lock()
	old := c.instance
	c.instance = next
	c.mu.Unlock()
	c.set.Logger.Info("the changed secret is in use")
	c.retired.Go(func() { c.retire(context.Background(), old) })
}

func (c *current) unwatched(err error) {
	c.set.Logger.Warn("changes of the secret are seen at the next start only", zap.Error(err))
}

func (c *current) make(ctx context.Context, r resolved) (*instance, error) {
	tap := &transportTap{}
	r.settings.Name, r.settings.Memory = c.name, &c.memory
	provider, err := newProvider(ctx, c.row, r, c.extensions, c.set, clientUse{tap: tap, width: c.width})
	if err != nil {
		return nil, err
	}
	if len(r.missing) > 0 {
		provider = incomplete{provider, strings.Join(r.missing, ", ")}
	}
	if starter, ok := provider.(notify.Starter); ok {
		if err := starter.Start(ctx); err != nil {
			return nil, err
		}
	}
	return &instance{provider: provider, transport: tap.transport}, nil
}

// incomplete is a provider that lacks what it needs to deliver.
type incomplete struct {
	notify.Provider
	missing string
}

// Deliver implements notify.Provider.
func (p incomplete) Deliver(context.Context, notify.Payload) error {
	return notify.Permanentf("configuration", "%s", p.missing)
}

// retire ends a provider when its last delivery has ended.
func (c *current) retire(ctx context.Context, i *instance) {
	i.users.Wait()
	if stopper, ok := i.provider.(notify.Stopper); ok {
		if err := stopper.Shutdown(ctx); err != nil {
			c.set.Logger.Warn("closing the connection to the endpoint", zap.Error(err))
		}
	}
	if i.transport != nil {
		i.transport.CloseIdleConnections()
	}
}

func (c *current) shutdown(ctx context.Context) error {
	var err error
	for _, watcher := range c.watchers {
		err = errors.Join(err, watcher.Close())
	}
	c.watchers = nil
	c.retired.Wait()
	c.mu.Lock()
	last := c.instance
	c.instance = nil
	c.mu.Unlock()
	if last != nil {
		c.retire(ctx, last)
	}
	return err
}
