package fluxtraceconnector

import (
	"errors"
	"time"

	"go.opentelemetry.io/collector/component"
)

// Config is the flux_trace connector.
type Config struct {
	// Identity tells these traces from those of other clusters. Default: what
	// the record's resource says of its cluster, else the connector's own ID.
	Identity string `mapstructure:"identity"`
	// Memory says which earlier events are known.
	Memory MemoryConfig `mapstructure:"memory"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// MemoryConfig bounds what is remembered.
type MemoryConfig struct {
	// Interval is for how long after an event the next one of the same object
	// and revision continues it, and so has a duration.
	Interval time.Duration `mapstructure:"interval"`
	// MaxEntries bounds the memory, in pairs of an object and a revision; the
	// least recent are forgotten first.
	MaxEntries int `mapstructure:"max_entries"`

	// prevent unkeyed literal initialization
	_ struct{}
}

var _ component.Config = (*Config)(nil)

func createDefaultConfig() component.Config {
	// Flux's longest timeouts are about an hour; ten thousand pairs are some
	// megabytes.
	return &Config{Memory: MemoryConfig{Interval: time.Hour, MaxEntries: 10_000}}
}

// Validate implements confmap's validation of nested configurations.
func (c *MemoryConfig) Validate() error {
	var errs []error
	if c.Interval <= 0 {
		errs = append(errs, errors.New("interval: must be positive, for example 1h"))
	}
	if c.MaxEntries <= 0 {
		errs = append(errs, errors.New("max_entries: must be positive, for example 10000"))
	}
	return errors.Join(errs...)
}
