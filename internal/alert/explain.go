package alert

import (
	"fmt"
	"regexp"
	"strconv"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// Ref names the alert.
func (a *Alert) Ref() notify.Alert { return a.ref }

// Explain says for people why this alert filters an event by a rule, which is
// the one that Filters has given.
func (a *Alert) Explain(e *fluxevent.Event, rule string) string {
	switch rule {
	case RuleSuspend:
		return "the alert is suspended"
	case RuleEventSources:
		return a.explainSources(e)
	case RuleEventSeverity:
		return fmt.Sprintf("it wants errors, and the event's severity is %q", e.Severity)
	case RuleExclusionList:
		return fmt.Sprintf("the message matches %q", firstMatch(a.exclude, e.Message))
	case RuleInclusionList:
		return "the message matches none of its expressions"
	}
	return ""
}

func (a *Alert) explainSources(e *fluxevent.Event) string {
	o := &e.InvolvedObject
	text := fmt.Sprintf("none of its sources matches %s %s/%s", o.Kind, o.Namespace, o.Name)
	for i := range a.sources {
		if a.sources[i].names(o) && a.sources[i].cluster.matches(e.Cluster) {
			return text + ": one would, but for its labels, which the event does not carry"
		}
	}
	for i := range a.sources {
		if a.sources[i].names(o) {
			return fmt.Sprintf("%s: one would in cluster %q, but the event's cluster is %s", text, a.sources[i].cluster.text, clusterOf(e))
		}
	}
	return text
}

func clusterOf(e *fluxevent.Event) string {
	if e.Cluster == "" {
		return "unknown"
	}
	return strconv.Quote(e.Cluster)
}

func firstMatch(expressions []*regexp.Regexp, message string) string {
	for _, re := range expressions {
		if re.MatchString(message) {
			return re.String()
		}
	}
	return ""
}
