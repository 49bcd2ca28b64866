// Package alert decides, as a Flux Alert does, which events are to be told, and
// combines the metadata that goes with them.
package alert

import (
	"errors"
	"fmt"
	"path"
	"regexp"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
)

// Config is one alert as users write it.
type Config struct {
	Name      string `mapstructure:"name"`
	Namespace string `mapstructure:"namespace"`
	// UID is the alert's identity. Default: derived from namespace and name.
	UID string `mapstructure:"uid"`
	// EventSeverity is error, or info for everything. Default: info.
	EventSeverity string `mapstructure:"event_severity"`
	// EventSources are the objects whose events are wanted. Default: all.
	EventSources []SourceConfig `mapstructure:"event_sources"`
	// InclusionList are expressions one of which a message must match.
	InclusionList []string `mapstructure:"inclusion_list"`
	// ExclusionList are expressions none of which a message may match.
	ExclusionList []string `mapstructure:"exclusion_list"`
	// EventMetadata is added to the metadata of every notification.
	EventMetadata map[string]string `mapstructure:"event_metadata"`
	// Summary is the old way to set the metadata key summary.
	Summary string `mapstructure:"summary"`
	Suspend bool   `mapstructure:"suspend"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// SourceConfig selects objects. A * stands for any run of characters.
type SourceConfig struct {
	Kind string `mapstructure:"kind"`
	// Name of the object. Default: *.
	Name string `mapstructure:"name"`
	// Namespace of the object. Default: the alert's, and without one any.
	Namespace string `mapstructure:"namespace"`
	// Cluster of the object. Default: every cluster, and an unknown one.
	Cluster string `mapstructure:"cluster"`
	// MatchLabels must all be found among the object's labels.
	MatchLabels map[string]string `mapstructure:"match_labels"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// Check checks what can be checked without an event. Each error begins with the path of
// its key. It is not called Validate, because the collector would add the name of a Go
// field to the path.
func (c *Config) Check() []error {
	var errs []error
	switch c.EventSeverity {
	case "", fluxevent.SeverityInfo, fluxevent.SeverityError:
	default:
		errs = append(errs, fmt.Errorf("event_severity: %q is not one of info (every event), error", c.EventSeverity))
	}
	_, bad := compile("inclusion_list", c.InclusionList)
	errs = append(errs, bad...)
	_, bad = compile("exclusion_list", c.ExclusionList)
	errs = append(errs, bad...)
	for i := range c.EventSources {
		for _, err := range c.EventSources[i].check() {
			errs = append(errs, fmt.Errorf("event_sources::%d::%w", i, err))
		}
	}
	return errs
}

// check checks the patterns of a source.
func (c *SourceConfig) check() []error {
	var errs []error
	if c.Kind == "" {
		errs = append(errs, errors.New("kind: must be set, for example Kustomization, or '*' for every kind"))
	}
	for _, p := range []struct{ key, pattern string }{{"kind", c.Kind}, {"name", c.Name}, {"namespace", c.Namespace}, {"cluster", c.Cluster}} {
		if _, err := path.Match(p.pattern, ""); err != nil {
			errs = append(errs, fmt.Errorf("%s: %q is not a name, nor a pattern such as 'team-*'", p.key, p.pattern))
		}
	}
	return errs
}

func compile(key string, expressions []string) ([]*regexp.Regexp, []error) {
	var errs []error
	compiled := make([]*regexp.Regexp, 0, len(expressions))
	for i, expression := range expressions {
		re, err := regexp.Compile(expression)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s::%d: %w (the syntax is that of https://pkg.go.dev/regexp/syntax)", key, i, err))
			continue
		}
		compiled = append(compiled, re)
	}
	return compiled, errs
}
