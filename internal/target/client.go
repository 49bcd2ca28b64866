package target

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net/http"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configauth"
	"go.opentelemetry.io/collector/config/configmiddleware"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/extension/extensionmiddleware"

	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers"
)

// newProvider makes a provider that has not been started.
func newProvider(ctx context.Context, row providers.Row, r resolved, extensions map[component.ID]component.Component, set component.TelemetrySettings, use clientUse) (notify.Provider, error) {
	client, err := r.httpClient(ctx, extensions, set, use)
	if err != nil {
		return nil, err
	}
	s := r.settings
	s.Type, s.HTTP, s.Logger = row.Type, client, set.Logger
	if r.tlsGiven {
		if s.TLS, err = loadTLS(ctx, r); err != nil {
			return nil, err
		}
	}
	return row.New(s)
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
