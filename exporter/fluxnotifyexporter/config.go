package fluxnotifyexporter

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configretry"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/fluxnotify/otelcol-flux/internal/target"
)

// Config is the flux_notify exporter: a Flux Provider with its Alerts, and how its
// notifications are stored and delivered.
type Config struct {
	// Target is the Provider with its Alerts, unless they come from elsewhere.
	Target target.Config `mapstructure:",squash"`
	// Manifests is a folder of Flux manifests, which is watched.
	Manifests *ManifestsConfig `mapstructure:"manifests"`
	// Kubernetes is the Kubernetes API, live.
	Kubernetes *KubernetesConfig `mapstructure:"kubernetes"`

	// QueueConfig is the outbox of notifications, durable with a storage.
	QueueConfig QueueConfig `mapstructure:"sending_queue"`
	// RetryConfig is the back-off of a notification whose delivery failed. Default:
	// enabled, from 5s to 30s, for 2h after acceptance.
	RetryConfig configretry.BackOffConfig `mapstructure:"retry_on_failure"`
	// RateLimit paces deliveries. Default: no limit.
	RateLimit RateLimitConfig `mapstructure:"rate_limit"`
	// Failed bounds the failed notifications that are kept.
	Failed FailedConfig `mapstructure:"failed_notifications"`
	// ErrorSeverity is the lowest severity at which a record that is not from the
	// flux_event receiver counts as an error: error or warn. Default: error.
	ErrorSeverity string `mapstructure:"error_severity"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// QueueConfig is the outbox. Its keys are those of the collector's sending_queue.
type QueueConfig struct {
	// Enabled stores notifications and answers at once. Without it the sender waits
	// for the delivery, and gets its error. Default: true.
	Enabled bool `mapstructure:"enabled"`
	// StorageID is the storage extension that keeps notifications over a restart.
	// Default: none, they are in memory only.
	StorageID *component.ID `mapstructure:"storage"`
	// QueueSize is how many notifications may wait. Default: 10000.
	QueueSize int `mapstructure:"queue_size"`
	// NumConsumers is how many deliveries there are at once. Default: 10.
	NumConsumers int `mapstructure:"num_consumers"`
	// BlockOnOverflow lets a sender wait when the queue is full, instead of refusing
	// its records. Default: false.
	BlockOnOverflow bool `mapstructure:"block_on_overflow"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// ManifestsConfig is a folder of Flux manifests.
type ManifestsConfig struct {
	// Path has the Providers, Alerts and Secrets: files, or folders with those below
	// them. They must exist at startup. Required.
	Path []string `mapstructure:"path"`
	// Secrets is a folder of mounted Secrets as <namespace>/<name>/. Secrets among the
	// manifests are then not used. Default: none.
	Secrets string `mapstructure:"secrets"`
	// NoCrossNamespaceRefs lets an Alert see its own namespace only, as Flux's flag does.
	// Default: false.
	NoCrossNamespaceRefs bool `mapstructure:"no_cross_namespace_refs"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// KubernetesConfig is the Kubernetes API.
type KubernetesConfig struct {
	// AuthType is serviceAccount, kubeConfig or none. Default: serviceAccount.
	AuthType string `mapstructure:"auth_type"`
	// Context is that of the kubeconfig. Default: the current one.
	Context string `mapstructure:"context"`
	// Namespaces are those whose Providers and Alerts are used. Default: all.
	Namespaces []string `mapstructure:"namespaces"`
	// NoCrossNamespaceRefs lets an Alert see its own namespace only, as Flux's flag does.
	// Default: false.
	NoCrossNamespaceRefs bool `mapstructure:"no_cross_namespace_refs"`
	// Events reports the faults of an object as Kubernetes Events on it. Default: true.
	Events *bool `mapstructure:"events"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// RateLimitConfig paces the deliveries of a target.
type RateLimitConfig struct {
	// Per is the time of one notification, in the long run. 0: no limit. Default: 0.
	Per time.Duration `mapstructure:"per"`
	// Burst is how many notifications may be sent at once after a quiet time.
	// Default: 1.
	Burst int `mapstructure:"burst"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// FailedConfig bounds the failed notifications that are kept for a second try.
type FailedConfig struct {
	// Max is how many are kept; 0: none. Default: 1000.
	Max int `mapstructure:"max"`
	// MaxAge is how long each is kept; 0: for ever. Default: 168h.
	MaxAge time.Duration `mapstructure:"max_age"`

	// prevent unkeyed literal initialization
	_ struct{}
}

var (
	_ component.Config    = (*Config)(nil)
	_ confmap.Unmarshaler = (*QueueConfig)(nil)
)

const (
	// defaultMaxElapsedTime is how long a notification is retried. The library's five
	// minutes are shorter than the outages of chat services. It is longer than the hour
	// that an endpoint may ask for.
	defaultMaxElapsedTime = 2 * time.Hour
	defaultQueueSize      = 10_000
	defaultNumConsumers   = 10
	defaultMaxFailed      = 1000
	defaultMaxFailedAge   = 7 * 24 * time.Hour
)

func createDefaultConfig() component.Config {
	retry := configretry.NewDefaultBackOffConfig()
	retry.MaxElapsedTime = defaultMaxElapsedTime
	return &Config{
		Target:        target.NewConfig(),
		QueueConfig:   QueueConfig{Enabled: true, QueueSize: defaultQueueSize, NumConsumers: defaultNumConsumers},
		RetryConfig:   retry,
		RateLimit:     RateLimitConfig{Burst: 1},
		Failed:        FailedConfig{Max: defaultMaxFailed, MaxAge: defaultMaxFailedAge},
		ErrorSeverity: "error",
	}
}

// Validate checks everything that the start would: the settings, the secret folder,
// the alerts' expressions.
func (c *Config) Validate() error {
	_, err := c.errorFrom()
	if !c.live() {
		return errors.Join(c.Target.Check(), err)
	}
	return errors.Join(c.checkLive(), err)
}

// live reports whether Providers come from a source.
func (c *Config) live() bool { return c.Manifests != nil || c.Kubernetes != nil }

// origin says where Providers come from.
func (c *Config) origin() string {
	switch {
	case c.Manifests != nil:
		return "manifests"
	case c.Kubernetes != nil:
		return "kubernetes"
	}
	return "configuration"
}

// checkLive refuses what contradicts a source.
func (c *Config) checkLive() error {
	var errs []error
	if c.Manifests != nil && c.Kubernetes != nil {
		errs = append(errs, errors.New("manifests, kubernetes: only one of them can be set"))
	}
	if c.Manifests != nil && len(c.Manifests.Path) == 0 {
		errs = append(errs, errors.New("manifests::path: must be set to a file or a folder of Flux manifests"))
	}
	if empty := target.NewConfig(); !reflect.DeepEqual(c.Target, empty) {
		errs = append(errs, fmt.Errorf("%s: the Providers have their own type, address, alerts and other settings: remove these keys from the exporter", c.origin()))
	}
	if c.Kubernetes != nil {
		if err := c.Kubernetes.options().Check(); err != nil {
			errs = append(errs, fmt.Errorf("kubernetes::%w", err))
		}
	}
	if c.Manifests != nil && len(c.Manifests.Path) > 0 && validating() {
		errs = append(errs, c.Manifests.checkManifests())
	}
	if !c.QueueConfig.Enabled {
		errs = append(errs, fmt.Errorf("sending_queue::enabled: must be true with %s", c.origin()))
	}
	return errors.Join(errs...)
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

// otherQueueKeys are keys of the collector's sending_queue that this exporter does not
// have, and what to do instead.
var otherQueueKeys = map[string]string{
	"batch":           "remove it: notifications are stored and delivered one by one, and concurrent ones share a write",
	"sizer":           "remove it: queue_size counts notifications",
	"wait_for_result": "set enabled: false, then the sender waits for the delivery",
	"flush_timeout":   "remove it: nothing waits for a batch to fill",
	"min_size":        "remove it: notifications are delivered one by one",
	"max_size":        "set queue_size, the number of notifications that may wait",
	"blocking":        "set block_on_overflow",
}

// Unmarshal implements confmap.Unmarshaler.
func (c *QueueConfig) Unmarshal(conf *confmap.Conf) error {
	var errs []error
	for key := range conf.ToStringMap() {
		if instead, other := otherQueueKeys[key]; other {
			errs = append(errs, fmt.Errorf("%s: %s", key, instead))
		}
	}
	if len(errs) > 0 {
		slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
		return errors.Join(errs...)
	}
	return conf.Unmarshal(c)
}

// Validate checks the sizes.
func (c *QueueConfig) Validate() error {
	var errs []error
	if c.QueueSize <= 0 {
		errs = append(errs, errors.New("queue_size: must be positive, it is the number of notifications that may wait"))
	}
	if c.NumConsumers <= 0 {
		errs = append(errs, errors.New("num_consumers: must be positive, it is the number of deliveries at once"))
	}
	return errors.Join(errs...)
}

// Validate checks the limit.
func (c *RateLimitConfig) Validate() error {
	switch {
	case c.Per < 0:
		return errors.New("per: must not be negative; 0s turns the limit off")
	case c.Per > 0 && c.Burst <= 0:
		return errors.New("burst: must be positive, 1 sends one notification at a time")
	}
	return nil
}

// Validate checks the bounds.
func (c *FailedConfig) Validate() error {
	if c.Max < 0 || c.MaxAge < 0 {
		return errors.New("max and max_age must not be negative; max: 0 keeps no failed notification, max_age: 0s keeps them for ever")
	}
	return nil
}
