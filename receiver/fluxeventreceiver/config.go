package fluxeventreceiver

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configopaque"
)

// Config is the flux_event receiver.
type Config struct {
	ServerConfig confighttp.ServerConfig `mapstructure:",squash"`
	// Path is where events are posted.
	Path string `mapstructure:"path"`
	// HealthPath answers GET with 200.
	HealthPath string `mapstructure:"health_path"`
	// Signature says whose events are taken.
	Signature SignatureConfig `mapstructure:"signature"`
	// Deduplication says for how long an event is known.
	Deduplication DeduplicationConfig `mapstructure:"deduplication"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// SignatureConfig holds the keys of X-Signature.
type SignatureConfig struct {
	// Keys are those any of which may have signed; two of them let a key be
	// replaced without a gap.
	Keys []configopaque.String `mapstructure:"keys"`
	// Required refuses what is not signed. Default: true with keys.
	Required *bool `mapstructure:"required"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// DeduplicationConfig bounds what is known.
type DeduplicationConfig struct {
	// Interval is for how long an event is known; 0 turns deduplication off.
	Interval time.Duration `mapstructure:"interval"`
	// MaxEntries bounds the memory; the oldest are forgotten first.
	MaxEntries int `mapstructure:"max_entries"`

	// prevent unkeyed literal initialization
	_ struct{}
}

var _ component.Config = (*Config)(nil)

const (
	defaultEndpoint           = "localhost:8787"
	defaultMaxRequestBodySize = 3 << 20
	defaultReadHeaderTimeout  = 10 * time.Second
	defaultReadTimeout        = 30 * time.Second
)

func createDefaultConfig() component.Config {
	server := confighttp.NewDefaultServerConfig()
	server.NetAddr.Endpoint = defaultEndpoint
	server.MaxRequestBodySize = defaultMaxRequestBodySize
	server.ReadHeaderTimeout = defaultReadHeaderTimeout
	server.ReadTimeout = defaultReadTimeout
	return &Config{
		ServerConfig:  server,
		Path:          "/",
		HealthPath:    "/healthz",
		Deduplication: DeduplicationConfig{Interval: 5 * time.Minute, MaxEntries: 100_000},
	}
}

// Validate implements component.Config.
func (c *Config) Validate() error {
	var errs []error
	if c.ServerConfig.NetAddr.Endpoint == "" {
		errs = append(errs, errors.New("endpoint: must be set, for example to "+defaultEndpoint))
	}
	for _, p := range []struct{ key, path string }{{"path", c.Path}, {"health_path", c.HealthPath}} {
		if !strings.HasPrefix(p.path, "/") || strings.ContainsAny(p.path, "?# ") {
			errs = append(errs, fmt.Errorf("%s: %q is not a path such as /events", p.key, p.path))
		}
	}
	if c.Path == c.HealthPath {
		errs = append(errs, fmt.Errorf("health_path: must differ from path, both are %q", c.Path))
	}
	return errors.Join(errs...)
}

// Validate implements confmap's validation of nested configurations.
func (c *SignatureConfig) Validate() error {
	for i, key := range c.Keys {
		if key == "" {
			return fmt.Errorf("keys::%d: is empty, so anybody could sign; set it, or remove it", i)
		}
	}
	if c.Required != nil && *c.Required && len(c.Keys) == 0 {
		return errors.New("required: true needs keys to verify signatures with")
	}
	return nil
}

func (c *SignatureConfig) required() bool {
	if c.Required == nil {
		return len(c.Keys) > 0
	}
	return *c.Required
}

// Validate implements confmap's validation of nested configurations.
func (c *DeduplicationConfig) Validate() error {
	if c.Interval < 0 {
		return errors.New("interval: must not be negative; 0s turns deduplication off")
	}
	if c.Interval > 0 && c.MaxEntries <= 0 {
		return errors.New("max_entries: must be positive; interval: 0s turns deduplication off")
	}
	return nil
}
