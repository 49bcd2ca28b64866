// Package target makes a provider out of one Flux Provider's settings, and keeps
// it in use: it resolves secrets, builds the client, replaces the provider when a
// secret changes, and decides which events the Provider's Alerts want.
package target

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.uber.org/zap"

	"github.com/fluxnotify/otelcol-flux/internal/alert"
	"github.com/fluxnotify/otelcol-flux/internal/providers"
)

// Config is one Flux Provider with its Alerts, as users write it.
type Config struct {
	// ClientConfig has the settings of the HTTP client: proxy_url, tls, timeout
	// (default: 15s, at least 100ms), headers, auth, compression.
	ClientConfig confighttp.ClientConfig `mapstructure:",squash"`

	// Type is the provider type, one of the table in package providers. Required.
	Type string `mapstructure:"type"`
	// Address is opaque because for many types it is all that is needed to post.
	Address  configopaque.String `mapstructure:"address"`
	Channel  string              `mapstructure:"channel"`
	Username string              `mapstructure:"username"`
	Password configopaque.String `mapstructure:"password"`
	Token    configopaque.String `mapstructure:"token"`
	// SecretDir is a mounted Kubernetes Secret whose keys override settings of
	// the same name. Secret is the same, written into the configuration.
	SecretDir string                         `mapstructure:"secret_dir"`
	Secret    map[string]configopaque.String `mapstructure:"secret"`
	// CertSecretDir and CertSecret hold certificates only: ca.crt, tls.crt, tls.key.
	CertSecretDir string                         `mapstructure:"cert_secret_dir"`
	CertSecret    map[string]configopaque.String `mapstructure:"cert_secret"`
	// ProxySecretDir and ProxySecret hold the proxy: address, username, password.
	ProxySecretDir string                         `mapstructure:"proxy_secret_dir"`
	ProxySecret    map[string]configopaque.String `mapstructure:"proxy_secret"`
	// Name and Namespace are those of the Provider, for expressions. Default: the
	// name of the component, and no namespace.
	Name      string `mapstructure:"name"`
	Namespace string `mapstructure:"namespace"`
	// UID is the provider's identity. Default: derived from the component's ID. An
	// empty string is an empty identity, like that of a Provider without one.
	UID *string `mapstructure:"uid"`
	// JetStream waits for a NATS stream's acknowledgement. Default: false.
	JetStream bool `mapstructure:"jetstream"`
	// Ordering keeps the order of an object's events in Google Pub/Sub. Default:
	// false.
	Ordering bool `mapstructure:"ordering"`
	// Suspend filters every event. Default: false.
	Suspend bool `mapstructure:"suspend"`
	// CommitStatusExpr is the CEL expression of a commit status's identity.
	// Default: the object's kind and name with a part of the provider's UID.
	CommitStatusExpr string `mapstructure:"commit_status_expr"`
	// Alerts select the events to send. Default: every event.
	Alerts []alert.Config `mapstructure:"alerts"`

	// prevent unkeyed literal initialization
	_ struct{}
}

const (
	// defaultTimeout bounds one delivery, as in Flux.
	defaultTimeout = 15 * time.Second
	// minTimeout is the shortest timeout accepted. A number without a unit counts
	// nanoseconds, so "timeout: 15" would fail every delivery.
	minTimeout = 100 * time.Millisecond
)

// NewConfig makes a configuration with the default settings.
func NewConfig() Config {
	client := confighttp.NewDefaultClientConfig()
	client.Timeout = defaultTimeout
	return Config{ClientConfig: client}
}

// Check makes every check that startup makes: settings, secret folders and
// expressions. It is not called Validate, because an exporter whose Providers come
// from elsewhere leaves this configuration empty.
func (c *Config) Check() error {
	if c.Type == "" {
		return errors.New("type: must be set to one of " + strings.Join(providers.Nearest(""), ", "))
	}
	row, known := providers.Find(c.Type)
	if !known {
		return fmt.Errorf("type: %q is not known, the types are %s", c.Type, strings.Join(providers.Nearest(c.Type), ", "))
	}
	errs := []error{c.validateSettings(), c.validateUse(row)}
	for i := range c.Alerts {
		for _, err := range c.Alerts[i].Check() {
			errs = append(errs, fmt.Errorf("alerts::%d::%w", i, err))
		}
	}
	if errors.Join(errs...) != nil {
		return errors.Join(errs...)
	}
	resolved, err := c.resolve(row, "")
	if err != nil {
		return err
	}
	_, err = newProvider(context.Background(), row, resolved, nil, component.TelemetrySettings{Logger: zap.NewNop()}, validationOnly())
	return err
}

// Identity is the provider's identity, that of an exporter with the given ID.
func (c *Config) Identity(id component.ID) string {
	if c.UID != nil {
		return *c.UID
	}
	return alert.DeriveUID("provider", id.String())
}

// providerName is the provider's name in expressions. Default: the part of the
// exporter's ID after the slash, else its type.
func (c *Config) providerName(id component.ID) string {
	switch {
	case c.Name != "":
		return c.Name
	case id.Name() != "":
		return id.Name()
	}
	return id.Type().String()
}

func (c *Config) validateSettings() error {
	var errs []error
	if c.ClientConfig.Endpoint != "" {
		errs = append(errs, errors.New(`endpoint: unknown key, use "address", as in Flux`))
	}
	if c.ClientConfig.Timeout < minTimeout {
		errs = append(errs, fmt.Errorf("timeout: %s is too short, use at least %s (a number without a unit counts nanoseconds: write 15s, not 15)", c.ClientConfig.Timeout, minTimeout))
	}
	return errors.Join(errs...)
}

// validateUse refuses what the type would silently ignore.
func (c *Config) validateUse(row providers.Row) error {
	var errs []error
	for _, s := range []struct {
		key string
		set bool
		use providers.Use
	}{
		{"address", c.Address != "", row.Address},
		{"channel", c.Channel != "", row.Channel},
		{"username", c.Username != "", row.Username},
		{"password", c.Password != "", row.Password},
		{"token", c.Token != "", row.Token},
		{"headers", len(c.ClientConfig.Headers) > 0, row.Headers},
		{"jetstream", c.JetStream, row.JetStream},
		{"ordering", c.Ordering, row.Ordering},
		{"commit_status_expr", c.CommitStatusExpr != "", row.CommitStatusExpr},
		{"proxy_url", c.ClientConfig.ProxyURL != "", httpOnly(row)},
		{"auth", c.ClientConfig.Auth.HasValue(), httpOnly(row)},
		{"compression", c.ClientConfig.Compression.IsCompressed(), httpOnly(row)},
		{"cookies", c.ClientConfig.Cookies.HasValue(), providers.Unused},
		{"middlewares", len(c.ClientConfig.Middlewares) > 0, httpOnly(row)},
	} {
		if s.set && s.use == providers.Unused {
			errs = append(errs, fmt.Errorf("%s: the type %s does not use it, remove it", s.key, row.Type))
		}
	}
	return errors.Join(errs...)
}

func httpOnly(row providers.Row) providers.Use {
	if row.Bus {
		return providers.Unused
	}
	return providers.Optional
}
