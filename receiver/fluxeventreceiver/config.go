package fluxeventreceiver

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.uber.org/zap"
)

// Config is the flux_event receiver.
type Config struct {
	ServerConfig confighttp.ServerConfig `mapstructure:",squash"`
	// Path is where events are posted. When it ends in /{cluster}, the last
	// segment of a request's path is the cluster of the event.
	Path string `mapstructure:"path"`
	// HealthPath answers GET with 200.
	HealthPath string `mapstructure:"health_path"`
	// Cluster is the name of the cluster whose controllers post here. Default:
	// the one that the event's metadata names.
	Cluster string `mapstructure:"cluster"`
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
	// ClusterKeys are the keys of single clusters, by name. What is posted for
	// such a cluster must be signed with one of its keys; the other clusters use
	// Keys.
	ClusterKeys map[string][]configopaque.String `mapstructure:"cluster_keys"`
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
	parent, _ := c.clusterPath()
	for _, p := range []struct{ key, path, fixed string }{{"path", c.Path, parent}, {"health_path", c.HealthPath, c.HealthPath}} {
		switch {
		case !strings.HasPrefix(p.path, "/") || strings.ContainsAny(p.path, "?# "):
			errs = append(errs, fmt.Errorf("%s: %q is not a path such as /events", p.key, p.path))
		case strings.ContainsAny(p.fixed, "{}"):
			errs = append(errs, fmt.Errorf("%s: %q: the only placeholder is {cluster}, as the last segment of path: /events/{cluster}", p.key, p.path))
		}
	}
	if c.Cluster != "" && !validCluster(c.Cluster) {
		errs = append(errs, fmt.Errorf("cluster: %q is not a name of %s", c.Cluster, clusterName))
	}
	if c.Path == c.HealthPath {
		errs = append(errs, fmt.Errorf("health_path: must differ from path, both are %q", c.Path))
	}
	return errors.Join(errs...)
}

// clusterVariable is the segment of path that stands for the name of a cluster.
const clusterVariable = "{cluster}"

// clusterPath is path without {cluster}; found is false where path does not end
// in it.
func (c *Config) clusterPath() (parent string, found bool) {
	if !strings.HasSuffix(c.Path, "/"+clusterVariable) {
		return c.Path, false
	}
	return strings.TrimSuffix(c.Path, clusterVariable), true
}

const (
	maxClusterName = 253
	// clusterName describes a valid name of a cluster.
	clusterName = "1 to 253 of A-Za-z0-9._-"
)

func validCluster(name string) bool {
	return name != "" && len(name) <= maxClusterName && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '_' && r != '-'
	})
}

// Validate implements confmap's validation of nested configurations.
func (c *SignatureConfig) Validate() error {
	errs := []error{validateKeys("keys", c.Keys)}
	for _, cluster := range slices.Sorted(maps.Keys(c.ClusterKeys)) {
		path := "cluster_keys::" + cluster
		if !validCluster(cluster) {
			errs = append(errs, fmt.Errorf("%s: %q is not a name of a cluster, which is %s", path, cluster, clusterName))
		}
		if len(c.ClusterKeys[cluster]) == 0 {
			errs = append(errs, fmt.Errorf("%s: must have at least one key; remove it to verify this cluster with keys", path))
		}
		errs = append(errs, validateKeys(path, c.ClusterKeys[cluster]))
	}
	if c.Required != nil && *c.Required && len(c.Keys) == 0 && len(c.ClusterKeys) == 0 {
		errs = append(errs, errors.New("required: true needs keys to verify signatures with"))
	}
	return errors.Join(errs...)
}

func validateKeys(path string, keys []configopaque.String) error {
	for i, key := range keys {
		if key == "" {
			return fmt.Errorf("%s::%d: is empty, so anybody could sign; set it, or remove it", path, i)
		}
	}
	return nil
}

// summary describes the receiver for the log.
func (c *Config) summary(listening net.Addr) []zap.Field {
	fields := []zap.Field{
		zap.String("endpoint", listening.String()),
		zap.String("path", c.Path),
		zap.String("scheme", c.scheme()),
		zap.Bool("signature_required", c.Signature.required()),
		zap.Duration("deduplication_interval", c.Deduplication.Interval),
	}
	if clusters := slices.Sorted(maps.Keys(c.Signature.ClusterKeys)); len(clusters) > 0 {
		fields = append(fields, zap.Strings("signature_required_for_clusters", clusters))
	}
	if c.Cluster != "" {
		fields = append(fields, zap.String("cluster", c.Cluster))
	}
	return fields
}

func (c *Config) scheme() string {
	if c.ServerConfig.TLS.HasValue() {
		return "https"
	}
	return "http"
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
