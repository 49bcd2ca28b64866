package target

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.uber.org/zap"

	"github.com/fluxnotify/otelcol-flux/internal/filewatch"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers"
	"github.com/fluxnotify/otelcol-flux/internal/secretdir"
)

// Holder holds the provider in use, and replaces it when its secrets change. A
// delivery that has begun ends with the provider that it began with.
type Holder struct {
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

	mu         sync.RWMutex
	generation *generation
	retired    sync.WaitGroup
}

// generation is a provider, and the deliveries that use it.
type generation struct {
	provider  notify.Provider
	transport *http.Transport
	users     sync.WaitGroup
}

// NewHolder makes the holder of the provider that a configuration describes. id is
// that of the exporter, width the number of deliveries at once.
func NewHolder(config *Config, id component.ID, set component.TelemetrySettings, width int) (*Holder, error) {
	row, known := providers.Find(config.Type)
	if !known {
		return nil, fmt.Errorf("type: %q is not known", config.Type)
	}
	return &Holder{config: config, row: row, name: config.providerName(id), uid: config.Identity(id), set: set, width: width}, nil
}

// Timeout bounds one delivery.
func (c *Holder) Timeout() time.Duration { return c.config.ClientConfig.Timeout }

// Start makes the provider, and watches the folders of its secrets.
func (c *Holder) Start(ctx context.Context, extensions map[component.ID]component.Component) error {
	c.extensions = extensions
	r, err := c.config.resolve(c.row, c.uid)
	if err != nil {
		return err
	}
	for _, warning := range r.warnings {
		c.set.Logger.Warn(warning)
	}
	if c.generation, err = c.make(ctx, r); err != nil {
		return err
	}
	c.from = r
	dirs := c.config.secretDirs()
	for key, dir := range dirs {
		if exposed := secretdir.Exposed(dir); len(exposed) > 0 {
			c.set.Logger.Warn("files in "+key+" are world-readable: run chmod o-r, or mount the Secret with defaultMode 0440 and give the pod an fsGroup",
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

// Acquire returns the provider in use, nil after Shutdown. The caller calls release
// when its delivery has ended.
func (c *Holder) Acquire() (provider notify.Provider, release func()) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.generation == nil { // the exporter has ended
		return nil, func() {}
	}
	c.generation.users.Add(1)
	return c.generation.provider, c.generation.users.Done
}

// reload replaces the provider if the settings in the secret folders have changed.
// If a folder is broken, the last good provider stays in use.
func (c *Holder) reload() {
	c.reloading.Lock()
	defer c.reloading.Unlock()
	r, err := c.config.resolve(c.row, c.uid)
	if err == nil && reflect.DeepEqual(r, c.from) {
		return
	}
	var next *generation
	if err == nil {
		next, err = c.make(context.Background(), r)
	}
	if err != nil {
		c.set.Logger.Warn("the changed secret cannot be used: the previous one stays in use", zap.Error(err))
		return
	}
	c.from = r
	c.mu.Lock()
	old := c.generation
	c.generation = next
	c.mu.Unlock()
	c.set.Logger.Info("the changed secret is in use")
	c.retired.Go(func() { c.retire(context.Background(), old) })
}

func (c *Holder) unwatched(err error) {
	c.set.Logger.Warn("cannot watch the secret: its changes are used after a restart only", zap.Error(err))
}

func (c *Holder) make(ctx context.Context, r resolved) (*generation, error) {
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
	return &generation{provider: provider, transport: tap.transport}, nil
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
func (c *Holder) retire(ctx context.Context, g *generation) {
	g.users.Wait()
	if stopper, ok := g.provider.(notify.Stopper); ok {
		if err := stopper.Shutdown(ctx); err != nil {
			c.set.Logger.Warn("closing the connection to the endpoint", zap.Error(err))
		}
	}
	if g.transport != nil {
		g.transport.CloseIdleConnections()
	}
}

// Shutdown closes the provider once its deliveries have ended.
func (c *Holder) Shutdown(ctx context.Context) error {
	var err error
	for _, watcher := range c.watchers {
		err = errors.Join(err, watcher.Close())
	}
	c.watchers = nil
	c.retired.Wait()
	c.mu.Lock()
	last := c.generation
	c.generation = nil
	c.mu.Unlock()
	if last != nil {
		c.retire(ctx, last)
	}
	return err
}
