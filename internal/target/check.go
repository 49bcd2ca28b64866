package target

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"go.opentelemetry.io/collector/component"
	"go.uber.org/zap"

	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers"
)

// CheckKind says how an endpoint was checked.
type CheckKind string

// The kinds of checks.
const (
	// CheckedAPI: it was asked, with the credentials.
	CheckedAPI CheckKind = "api"
	// CheckedConnection: a connection was opened, and nothing was asked.
	CheckedConnection CheckKind = "connection"
	// CheckedProxy: a connection to the proxy was opened. What is behind it is
	// not known before a request.
	CheckedProxy CheckKind = "proxy"
	// CheckedNothing: this type has no check.
	CheckedNothing CheckKind = "none"
)

// Check tries the endpoint of the exporter with the given ID, once, within its
// timeout and without notifying anybody. The error holds no secret.
func Check(ctx context.Context, id component.ID, config *Config) (CheckKind, error) {
	row, known := providers.Find(config.Type)
	if !known {
		return CheckedNothing, errors.New("type: is not known")
	}
	r, err := config.resolve(row, config.Identity(id))
	if err != nil {
		return CheckedNothing, err
	}
	if len(r.missing) > 0 {
		return CheckedNothing, errors.New(strings.Join(r.missing, ", "))
	}
	r.settings.Name = config.providerName(id)
	tap, set := &transportTap{}, component.TelemetrySettings{Logger: zap.NewNop()}
	provider, err := newProvider(ctx, row, r, nil, set, clientUse{tap: tap, width: 1, alone: true})
	if err != nil {
		return CheckedNothing, err
	}
	if tap.transport != nil {
		defer tap.transport.CloseIdleConnections()
	}
	if stopper, ok := provider.(notify.Stopper); ok {
		defer func() { _ = stopper.Shutdown(ctx) }()
	}
	ctx, cancel := context.WithTimeout(ctx, config.ClientConfig.Timeout)
	defer cancel()
	if checker, ok := provider.(notify.Checker); ok {
		if err := checker.Check(ctx); !errors.Is(err, notify.ErrUncheckable) {
			return CheckedAPI, err
		}
	}
	address, err := httpsend.ParseAddress(r.settings.Address)
	if row.Bus || err != nil {
		return CheckedNothing, nil
	}
	return r.connect(ctx, set, address)
}

// connect opens a connection as a delivery would.
func (r *resolved) connect(ctx context.Context, set component.TelemetrySettings, address *url.URL) (CheckKind, error) {
	use := validationOnly()
	client, err := r.httpClient(ctx, nil, set, use)
	if err != nil {
		return CheckedConnection, err
	}
	kind := CheckedConnection
	if endsAtProxy(use.tap.transport, address) {
		kind = CheckedProxy
	}
	s := r.settings
	s.HTTP = client
	return kind, httpsend.Connect(ctx, s)
}

// endsAtProxy reports whether a connection reaches no further than to a proxy, be
// it the configuration's or the environment's: an HTTP proxy is asked for what is
// not encrypted by the request itself.
func endsAtProxy(transport *http.Transport, address *url.URL) bool {
	if transport == nil || transport.Proxy == nil || address.Scheme != "http" {
		return false
	}
	proxy, err := transport.Proxy(&http.Request{URL: address})
	return err == nil && proxy != nil && strings.HasPrefix(proxy.Scheme, "http")
}
