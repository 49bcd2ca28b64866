package fluxnotifyexporter

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"strings"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configauth"
	"go.opentelemetry.io/collector/config/configmiddleware"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/extension/extensionmiddleware"
	"go.uber.org/zap"

	"github.com/fluxnotify/otelcol-flux/internal/filewatch"
	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers"
	"github.com/fluxnotify/otelcol-flux/internal/secretdir"
)

// current holds the provider in use, and replaces it when its secrets change. A
// delivery that has begun ends with the provider that it began with.
type current struct {
	config *Config
	row    providers.Row
	uid    string
	set    component.TelemetrySettings
	width  int

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
		watcher, err := filewatch.Watch(dir, c.reload)
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

func (c *current) make(ctx context.Context, r resolved) (*instance, error) {
	tap := &transportTap{}
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

// newProvider makes a provider that has not been started.
func newProvider(ctx context.Context, row providers.Row, r resolved, extensions map[component.ID]component.Component, set component.TelemetrySettings, use clientUse) (notify.Provider, error) {
	client, err := r.httpClient(ctx, extensions, set, use)
	if err != nil {
		return nil, err
	}
	s := r.settings
	s.HTTP, s.Logger = client, set.Logger
	if r.tlsGiven {
		if s.TLS, err = loadTLS(ctx, r); err != nil {
			return nil, err
		}
	}
	return row.New(s)
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

func loadTLS(ctx context.Context, r resolved) (*tls.Config, error) {
	config, err := r.client.TLS.LoadTLSConfig(ctx)
	if err != nil {
		return nil, errors.New("tls: the certificates cannot be loaded")
	}
	return config, nil
}

// clientUse is what an HTTP client is made for.
type clientUse struct {
	// tap is put around the innermost transport.
	tap *transportTap
	// width is how many requests there can be at once, and so connections.
	width int
	// alone leaves out what only a running collector has: authenticators and
	// middlewares are extensions.
	alone bool
}

// validationOnly makes a client that sends nothing.
func validationOnly() clientUse { return clientUse{tap: &transportTap{}, width: 1, alone: true} }

// httpClient makes the client of a provider. It is not instrumented: spans and
// metrics of an HTTP client carry the address, which for many types is the
// secret.
func (r *resolved) httpClient(ctx context.Context, extensions map[component.ID]component.Component, set component.TelemetrySettings, use clientUse) (*http.Client, error) {
	config := r.client
	if config.MaxConnsPerHost == 0 {
		config.MaxConnsPerHost = use.width
	}
	if config.MaxIdleConnsPerHost == 0 {
		config.MaxIdleConnsPerHost = config.MaxConnsPerHost
	}
	config.Timeout = 0 // the exporter's context bounds requests, and says so in the error
	if use.alone {
		config.Auth, config.Middlewares = configoptional.None[configauth.Config](), nil
	}
	extensions = maps.Clone(extensions)
	if extensions == nil {
		extensions = map[component.ID]component.Component{}
	}
	extensions[tapID] = use.tap
	config.Middlewares = append(config.Middlewares[:len(config.Middlewares):len(config.Middlewares)], configmiddleware.Config{ID: tapID})
	set.TracerProvider, set.MeterProvider = nil, nil
	client, err := config.ToClient(ctx, extensions, set)
	if err != nil {
		return nil, fmt.Errorf("tls, proxy_url, auth or compression: %w", err)
	}
	client.CheckRedirect = httpsend.NoRedirects
	return client, nil
}

// transportTap is a middleware around the innermost transport, whose idle
// connections nothing else would close. It remembers that transport, or has
// another in its place.
type transportTap struct {
	component.StartFunc
	component.ShutdownFunc
	transport *http.Transport
	instead   http.RoundTripper
}

var tapID = component.MustNewIDWithName("flux_notify", "transport_tap")

var _ extensionmiddleware.HTTPClient = (*transportTap)(nil)

// GetHTTPRoundTripper implements extensionmiddleware.HTTPClient.
func (t *transportTap) GetHTTPRoundTripper(context.Context) (extensionmiddleware.WrapHTTPRoundTripperFunc, error) {
	return func(_ context.Context, base http.RoundTripper) (http.RoundTripper, error) {
		if t.instead != nil {
			return t.instead, nil
		}
		t.transport, _ = base.(*http.Transport)
		return base, nil
	}, nil
}
