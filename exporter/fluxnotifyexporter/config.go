package fluxnotifyexporter

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configretry"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.uber.org/zap"

	"github.com/fluxnotify/otelcol-flux/internal/alert"
	"github.com/fluxnotify/otelcol-flux/internal/providers"
)

// Config is a Flux Provider with its Alerts, as a collector exporter.
type Config struct {
	// ClientConfig holds proxy_url, tls, timeout and the rest of an HTTP client.
	ClientConfig confighttp.ClientConfig `mapstructure:",squash"`
	// QueueConfig is the queue, persistent with storage.
	QueueConfig configoptional.Optional[exporterhelper.QueueBatchConfig] `mapstructure:"sending_queue"`
	// RetryConfig says how a failed notification is repeated.
	RetryConfig configretry.BackOffConfig `mapstructure:"retry_on_failure"`

	// Type is the provider type, one of the table in package providers.
	Type string `mapstructure:"type"`
	// Address is opaque because for many types it is all that is needed to post.
	Address  configopaque.String `mapstructure:"address"`
	Channel  string              `mapstructure:"channel"`
	Username string              `mapstructure:"username"`
	Password configopaque.String `mapstructure:"password"`
	Token    configopaque.String `mapstructure:"token"`
	// SecretDir is a mounted Kubernetes Secret whose keys override settings,
	// Secret the same in the configuration, for who makes configurations.
	SecretDir string                         `mapstructure:"secret_dir"`
	Secret    map[string]configopaque.String `mapstructure:"secret"`
	// CertSecretDir and CertSecret have the certificates alone.
	CertSecretDir string                         `mapstructure:"cert_secret_dir"`
	CertSecret    map[string]configopaque.String `mapstructure:"cert_secret"`
	// ProxySecretDir and ProxySecret have the proxy: address, username, password.
	ProxySecretDir string                         `mapstructure:"proxy_secret_dir"`
	ProxySecret    map[string]configopaque.String `mapstructure:"proxy_secret"`
	// Name and Namespace are the Provider's, for expressions. Default: the name of
	// the component, and none.
	Name      string `mapstructure:"name"`
	Namespace string `mapstructure:"namespace"`
	// UID is the provider's identity. Default: derived from the component's ID;
	// set to nothing, it is empty, as that of a Provider without one.
	UID *string `mapstructure:"uid"`
	// JetStream waits for a NATS stream's acknowledgement. Default: false.
	JetStream bool `mapstructure:"jetstream"`
	// Ordering keeps the order of an object's events in Google Pub/Sub. Default:
	// false.
	Ordering bool `mapstructure:"ordering"`
	// Suspend filters everything.
	Suspend bool `mapstructure:"suspend"`
	// CommitStatusExpr is the CEL expression of a commit status's identity.
	// Default: the object's kind and name with a part of the provider's UID.
	CommitStatusExpr string `mapstructure:"commit_status_expr"`
	// ErrorSeverity is from where on a record that is not Flux's is an error:
	// error or warn.
	ErrorSeverity string `mapstructure:"error_severity"`
	// Alerts say which events are told. None: all.
	Alerts []alert.Config `mapstructure:"alerts"`

	// prevent unkeyed literal initialization
	_ struct{}
}

var _ component.Config = (*Config)(nil)

// Defaults that differ from the libraries'.
const (
	// defaultTimeout bounds one notification, as in Flux.
	defaultTimeout = 15 * time.Second
	// defaultMaxElapsedTime is how long a notification is repeated. The
	// library's five minutes are shorter than the outages of chat services; it is
	// longer than the hour that an endpoint may ask for.
	defaultMaxElapsedTime = 2 * time.Hour
)

func createDefaultConfig() component.Config {
	client := confighttp.NewDefaultClientConfig()
	client.Timeout = defaultTimeout
	retry := configretry.NewDefaultBackOffConfig()
	retry.MaxElapsedTime = defaultMaxElapsedTime
	return &Config{
		ClientConfig:  client,
		QueueConfig:   configoptional.Some(exporterhelper.NewDefaultQueueConfig()),
		RetryConfig:   retry,
		ErrorSeverity: "error",
	}
}

// Validate checks everything that the start would: the settings, the secret
// folder, the alerts' expressions.
func (c *Config) Validate() error {
	if c.Type == "" {
		return errors.New("type: must be set to one of " + strings.Join(providers.Nearest(""), ", "))
	}
	row, known := providers.Find(c.Type)
	if !known {
		return fmt.Errorf("type: %q is not known, the types are %s", c.Type, strings.Join(providers.Nearest(c.Type), ", "))
	}
	errs := []error{c.validateSettings(), c.validateUse(row)}
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

// uid is the provider's identity, that of an exporter with the given ID.
func (c *Config) uid(id component.ID) string {
	if c.UID != nil {
		return *c.UID
	}
	return alert.DeriveUID("provider", id.String())
}

// providerName is what an expression knows the provider by; where it is not set,
// what stands after the slash of the exporter's ID, as a Provider's name stands
// after its kind.
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
		errs = append(errs, errors.New("endpoint: is called address here, as in Flux"))
	}
	if c.ClientConfig.Timeout <= 0 {
		errs = append(errs, errors.New("timeout: must be longer than 0s, it bounds every notification"))
	}
	if _, err := c.errorFrom(); err != nil {
		errs = append(errs, err)
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

func (c *Config) errorFrom() (plog.SeverityNumber, error) {
	switch c.ErrorSeverity {
	case "error", "":
		return plog.SeverityNumberError, nil
	case "warn":
		return plog.SeverityNumberWarn, nil
	}
	return 0, fmt.Errorf("error_severity: %q is not one of error, warn", c.ErrorSeverity)
}
