package fluxnotifyexporter

import (
	"fmt"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.uber.org/zap"

	"github.com/fluxnotify/otelcol-flux/internal/alert"
	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers"
)

// decider says who is to be told of which event. The exporter and its preview
// share it.
type decider struct {
	suspend   bool
	row       providers.Row
	alerts    []*alert.Alert
	errorFrom plog.SeverityNumber
}

// verdict is what one alert makes of an event: a notification, or the rule by
// which it leaves the event out. An exporter without alerts has one that is of
// no alert.
type verdict struct {
	alert        *alert.Alert
	rule         string
	notification *notify.Notification
}

func newDecider(config *Config, logger *zap.Logger) (decider, error) {
	d := decider{suspend: config.Suspend}
	var known bool
	if d.row, known = providers.Find(config.Type); !known {
		return d, fmt.Errorf("type: %q is not known", config.Type)
	}
	var err error
	if d.errorFrom, err = config.errorFrom(); err != nil {
		return d, err
	}
	for i := range config.Alerts {
		a, err := alert.New(&config.Alerts[i], logger)
		if err != nil {
			return d, fmt.Errorf("alerts::%d: %w", i, err)
		}
		d.alerts = append(d.alerts, a)
	}
	return d, nil
}

// verdicts gives that of every alert, or else the rule by which the event is
// left out before any alert is asked.
func (d *decider) verdicts(event *fluxevent.Event) (_ []verdict, rule string) {
	if d.suspend {
		return nil, ruleSuspend
	}
	if rule, filtered := d.row.Filters(event); filtered {
		return nil, rule
	}
	if len(d.alerts) == 0 {
		return []verdict{{notification: alert.Everything(event)}}, ""
	}
	all := make([]verdict, len(d.alerts))
	for i, a := range d.alerts {
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
