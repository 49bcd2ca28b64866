package target

import (
	"fmt"

	"go.uber.org/zap"

	"github.com/fluxnotify/otelcol-flux/internal/alert"
	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers"
)

// RuleSuspend is the rule of a suspended provider. An alert's has the same name.
const RuleSuspend = alert.RuleSuspend

// Matcher decides which alerts want an event. The exporter and its preview share it.
type Matcher struct {
	suspend bool
	row     providers.Row
	alerts  []*alert.Alert
}

// verdict is the decision of one alert about an event: a notification, or the rule
// that filters the event. A configuration without alerts has one verdict, without
// an alert.
type verdict struct {
	alert        *alert.Alert
	rule         string
	notification *notify.Notification
}

// NewMatcher compiles the alerts of a configuration.
func NewMatcher(config *Config, logger *zap.Logger) (*Matcher, error) {
	d := &Matcher{suspend: config.Suspend}
	var known bool
	if d.row, known = providers.Find(config.Type); !known {
		return d, fmt.Errorf("type: %q is not known", config.Type)
	}
	for i := range config.Alerts {
		a, err := alert.New(&config.Alerts[i], logger)
		if err != nil {
			return nil, fmt.Errorf("alerts::%d: %w", i, err)
		}
		d.alerts = append(d.alerts, a)
	}
	return d, nil
}

// Match returns the notifications of an event, one for each alert that wants it. If
// none does, rule says why: that of the provider, or that of the alert which came
// nearest to wanting it.
func (m *Matcher) Match(event *fluxevent.Event) (wanted []*notify.Notification, rule string) {
	if rule, filtered := m.filters(event); filtered {
		return nil, rule
	}
	if len(m.alerts) == 0 {
		return []*notify.Notification{alert.Everything(event)}, ""
	}
	rule = alert.RuleSuspend
	for _, a := range m.alerts {
		if filteredBy, filtered := a.Filters(event); filtered {
			rule = alert.Nearer(rule, filteredBy)
			continue
		}
		wanted = append(wanted, a.Notify(event))
	}
	return wanted, rule
}

// filters reports whether the provider filters an event before its alerts, and by which
// rule.
func (m *Matcher) filters(event *fluxevent.Event) (rule string, filtered bool) {
	if m.suspend {
		return RuleSuspend, true
	}
	return m.row.Filters(event)
}

// verdicts returns the verdict of every alert, or else the rule that filters the
// event before the alerts.
func (m *Matcher) verdicts(event *fluxevent.Event) (_ []verdict, rule string) {
	if rule, filtered := m.filters(event); filtered {
		return nil, rule
	}
	if len(m.alerts) == 0 {
		return []verdict{{notification: alert.Everything(event)}}, ""
	}
	all := make([]verdict, len(m.alerts))
	for i, a := range m.alerts {
		all[i].alert = a
		rule, filtered := a.Filters(event)
		if filtered {
			all[i].rule = rule
			continue
		}
		all[i].notification = a.Notify(event)
	}
	return all, ""
}
