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

// Holder holds the provider in use, and replaces it when its secrets or its
// configuration change. A delivery that has begun ends with the provider that it began
// with.
type Holder struct {
	id    component.ID
	set   component.TelemetrySettings
	width int

	extensions map[component.ID]component.Component
	watchers   []*filewatch.Watcher

	reloading sync.Mutex
	config    *Config
	from      resolved // what the provider in use was made of
	memory    *notify.Memory

	mu         sync.RWMutex
	generation *generation
	retired    sync.WaitGroup
}

// generation is a provider, and the deliveries that use it.
type generation struct {
	provider  notify.Provider
	timeout   time.Duration
	transport *http.Transport
	users     sync.WaitGroup
}

// NewHolder makes a holder without a provider. id is that of the exporter, width the
// number of deliveries at once.
func NewHolder(id component.ID, set component.TelemetrySettings, width int) *Holder {
	return &Holder{id: id, set: set, width: width, memory: &notify.Memory{}}
}

// Start makes the provider of a configuration, and watches the folders of its secrets.
func (h *Holder) Start(ctx context.Context, config *Config, extensions map[component.ID]component.Component) error {
	if err := h.Replace(ctx, config, extensions); err != nil {
		return err
	}
	for _, warning := range h.from.warnings {
		h.set.Logger.Warn(warning)
	}
	dirs := config.secretDirs()
	for key, dir := range dirs {
		if exposed := secretdir.Exposed(dir); len(exposed) > 0 {
			h.set.Logger.Warn("files in "+key+" are world-readable: run chmod o-r, or mount the Secret with defaultMode 0440 and give the pod an fsGroup",
				zap.String(key, dir), zap.Strings("files", exposed))
		}
		watcher, err := filewatch.Watch(dir, h.reload, h.unwatched)
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		h.watchers = append(h.watchers, watcher)
	}
	if len(dirs) > 0 {
		h.reload() // they may have changed between the reading and the watch
	}
	return nil
}

// Replace makes the provider of a configuration, which takes the place of the one in
// use. What that has remembered stays, unless the type differs. If Replace fails,
// nothing changes.
func (h *Holder) Replace(ctx context.Context, config *Config, extensions map[component.ID]component.Component) error {
	h.reloading.Lock()
	defer h.reloading.Unlock()
	row, known := providers.Find(config.Type)
	if !known {
		return fmt.Errorf("type: %q is not known", config.Type)
	}
	r, err := config.resolve(row, config.Identity(h.id))
	if err != nil {
		return err
	}
	memory := h.memory
	if h.config != nil && h.config.Type != config.Type {
		memory = &notify.Memory{}
	}
	h.extensions = extensions
	next, err := h.make(ctx, config, row, r, memory)
	if err != nil {
		return err
	}
	h.config, h.from, h.memory = config, r, memory
	h.use(next)
	return nil
}

// use replaces the provider in use.
func (h *Holder) use(next *generation) {
	h.mu.Lock()
	old := h.generation
	h.generation = next
	h.mu.Unlock()
	if old != nil {
		h.retired.Go(func() { h.retire(context.Background(), old) })
	}
}

// Timeout bounds one delivery.
func (h *Holder) Timeout() time.Duration {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.generation == nil {
		return defaultTimeout
	}
	return h.generation.timeout
}

// Acquire returns the provider in use, nil after Shutdown. The caller calls release
// when its delivery has ended.
func (h *Holder) Acquire() (provider notify.Provider, release func()) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.generation == nil { // the exporter has ended
		return nil, func() {}
	}
	h.generation.users.Add(1)
	return h.generation.provider, h.generation.users.Done
}

// reload replaces the provider if the settings in the secret folders have changed.
// If a folder is broken, the last good provider stays in use.
func (h *Holder) reload() {
	h.reloading.Lock()
	defer h.reloading.Unlock()
	row, _ := providers.Find(h.config.Type)
	r, err := h.config.resolve(row, h.config.Identity(h.id))
	if err == nil && reflect.DeepEqual(r, h.from) {
		return
	}
	var next *generation
	if err == nil {
		next, err = h.make(context.Background(), h.config, row, r, h.memory)
	}
	if err != nil {
		h.set.Logger.Warn("the changed secret cannot be used: the previous one stays in use", zap.Error(err))
		return
	}
	h.from = r
	h.use(next)
	h.set.Logger.Info("the changed secret is in use")
}

func (h *Holder) unwatched(err error) {
	h.set.Logger.Warn("cannot watch the secret: its changes are used after a restart only", zap.Error(err))
}

func (h *Holder) make(ctx context.Context, config *Config, row providers.Row, r resolved, memory *notify.Memory) (*generation, error) {
	tap := &transportTap{}
	r.settings.Name, r.settings.Memory = config.providerName(h.id), memory
	provider, err := newProvider(ctx, row, r, h.extensions, h.set, clientUse{tap: tap, width: h.width})
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
	return &generation{provider: provider, timeout: config.ClientConfig.Timeout, transport: tap.transport}, nil
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
func (h *Holder) retire(ctx context.Context, g *generation) {
	g.users.Wait()
	if stopper, ok := g.provider.(notify.Stopper); ok {
		if err := stopper.Shutdown(ctx); err != nil {
			h.set.Logger.Warn("closing the connection to the endpoint", zap.Error(err))
		}
	}
	if g.transport != nil {
		g.transport.CloseIdleConnections()
	}
}

// Shutdown closes the provider once its deliveries have ended.
func (h *Holder) Shutdown(ctx context.Context) error {
	var err error
	for _, watcher := range h.watchers {
		err = errors.Join(err, watcher.Close())
	}
	h.watchers = nil
	h.retired.Wait()
	h.mu.Lock()
	last := h.generation
	h.generation = nil
	h.mu.Unlock()
	if last != nil {
		h.retire(ctx, last)
	}
	return err
}
