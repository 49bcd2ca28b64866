package alert

import (
	"errors"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// The rules by which an alert filters an event, named after its settings.
const (
	RuleSuspend       = "suspend"
	RuleEventSources  = "event_sources"
	RuleEventSeverity = "event_severity"
	RuleExclusionList = "exclusion_list"
	RuleInclusionList = "inclusion_list"
)

// progress is the order in which an alert applies its rules.
var progress = []string{RuleSuspend, RuleEventSources, RuleEventSeverity, RuleExclusionList, RuleInclusionList}

// Nearer is, of two rules by which alerts filtered the same event, that of the
// alert which came nearer to wanting it.
func Nearer(a, b string) string {
	if slices.Index(progress, b) > slices.Index(progress, a) {
		return b
	}
	return a
}

// Alert is a configured alert, its expressions compiled.
type Alert struct {
	ref        notify.Alert
	suspend    bool
	errorsOnly bool
	sources    []source
	include    []*regexp.Regexp
	exclude    []*regexp.Regexp
	metadata   map[string]string
	summary    string

	logger *zap.Logger
	mu     sync.Mutex
	warned map[string]bool // metadata keys whose conflict was logged
}

type source struct {
	kind, name, namespace, cluster pattern
	labels                         map[string]string
}

// pattern is a name, or one with * in it. Kubernetes' names hold none of the
// other characters that mean something to path.Match. The names of clusters and
// services may hold a slash, at which its * would stop.
type pattern struct {
	text      string
	any, glob bool
}

func newPattern(text string) pattern {
	return pattern{text: text, any: text == "*" || text == "", glob: strings.Contains(text, "*")}
}

func (p *pattern) matches(s string) bool {
	if p.any || p.text == s {
		return true
	}
	if !p.glob {
		return false
	}
	ok, _ := path.Match(withoutSlashes(p.text), withoutSlashes(s))
	return ok
}

func withoutSlashes(s string) string { return strings.ReplaceAll(s, "/", "\x00") }

// New makes an alert of a valid configuration.
func New(c *Config, logger *zap.Logger) (*Alert, error) {
	include, bad := compile("inclusion_list", c.InclusionList)
	exclude, alsoBad := compile("exclusion_list", c.ExclusionList)
	if err := errors.Join(append(bad, alsoBad...)...); err != nil {
		return nil, err
	}
	a := &Alert{
		ref:        notify.Alert{Name: c.Name, Namespace: c.Namespace, UID: c.UID},
		suspend:    c.Suspend,
		errorsOnly: c.EventSeverity == fluxevent.SeverityError,
		include:    include,
		exclude:    exclude,
		metadata:   c.EventMetadata,
		summary:    c.Summary,
		logger:     logger,
		warned:     map[string]bool{},
	}
	if a.ref.UID == "" {
		a.ref.UID = DeriveUID("alert", c.Namespace, c.Name)
	}
	for i := range c.EventSources {
		s := &c.EventSources[i]
		namespace := s.Namespace
		if namespace == "" {
			namespace = c.Namespace
		}
		a.sources = append(a.sources, source{
			kind:      newPattern(s.Kind),
			name:      newPattern(s.Name),
			namespace: newPattern(namespace),
			cluster:   newPattern(s.Cluster),
			labels:    s.MatchLabels,
		})
	}
	return a, nil
}

// DeriveUID makes an identity that stays the same over restarts out of names
// that do: a UUID version 5, so that it looks like the ones of Kubernetes.
func DeriveUID(parts ...string) string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte("fluxnotify:"+strings.Join(parts, "/"))).String()
}

// Filters tells whether this alert leaves the event out, and by which rule.
func (a *Alert) Filters(e *fluxevent.Event) (rule string, filtered bool) {
	switch {
	case a.suspend:
		return RuleSuspend, true
	case !a.wantsObject(e):
		return RuleEventSources, true
	case a.errorsOnly && !e.IsError():
		return RuleEventSeverity, true
	case matchesAny(a.exclude, e.Message):
		return RuleExclusionList, true
	case len(a.include) > 0 && !matchesAny(a.include, e.Message):
		return RuleInclusionList, true
	}
	return "", false
}

func (a *Alert) wantsObject(e *fluxevent.Event) bool {
	if len(a.sources) == 0 {
		return true
	}
	for i := range a.sources {
		if a.sources[i].matches(e) {
			return true
		}
	}
	return false
}

func (s *source) matches(e *fluxevent.Event) bool {
	if !s.names(&e.InvolvedObject) || !s.cluster.matches(e.Cluster) {
		return false
	}
	for key, value := range s.labels {
		if have, ok := e.Labels[key]; !ok || have != value {
			return false
		}
	}
	return true
}

// names reports whether the source is of an object, whatever its cluster and
// labels.
func (s *source) names(o *fluxevent.Object) bool {
	return s.kind.matches(o.Kind) && s.name.matches(o.Name) && s.namespace.matches(o.Namespace)
}

func matchesAny(expressions []*regexp.Regexp, message string) bool {
	for _, re := range expressions {
		if re.MatchString(message) {
			return true
		}
	}
	return false
}
