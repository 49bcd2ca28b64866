package alert

import (
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// summaryKey is the metadata key that Flux's deprecated Alert.spec.summary sets.
const summaryKey = "summary"

// clusterKey is the metadata key of a known cluster.
const clusterKey = "cluster"

// Everything is what an exporter without alerts makes of an event.
func Everything(e *fluxevent.Event) *notify.Notification {
	c := newCombination(len(e.Metadata) + 1)
	c.addEvent(e)
	c.addObjectGroup(e)
	c.addCluster(e, "")
	return notify.New(e, c.fields, notify.Alert{})
}

// Notify makes the notification that this alert wants of an event that it does
// not filter. Its metadata comes, later ones winning, from the event's keys for
// whoever is notified, the alert's event_metadata, its summary, and the keys of
// the object's own API group. The key of a known cluster is the exception.
func (a *Alert) Notify(e *fluxevent.Event) *notify.Notification {
	c := newCombination(len(e.Metadata) + len(a.metadata) + 2)
	c.addEvent(e)
	for key, value := range a.metadata {
		c.set(notify.Field{Key: key, Value: value, Operator: true})
	}
	if a.summary != "" {
		c.set(notify.Field{Key: summaryKey, Value: a.summary, Operator: true})
	}
	c.addObjectGroup(e)
	c.addCluster(e, a.metadata[clusterKey])
	a.warn(c.conflicts, e)
	return notify.New(e, c.fields, a.ref)
}

// warn says once for every key that its value is hidden by another.
func (a *Alert) warn(conflicts []string, e *fluxevent.Event) {
	for _, key := range conflicts {
		if !a.firstTime(key) {
			continue
		}
		a.logger.Warn("a metadata key has several values, only one is sent: rename it in the alert or in the object's annotations",
			zap.String("alert", a.ref.Namespace+"/"+a.ref.Name), zap.String("key", key),
			zap.String("object", e.InvolvedObject.Kind+"/"+e.InvolvedObject.Namespace+"/"+e.InvolvedObject.Name))
	}
}

// maxWarned bounds what is remembered: senders of events choose their keys.
const maxWarned = 1000

func (a *Alert) firstTime(key string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.warned[key] || len(a.warned) >= maxWarned {
		return false
	}
	a.warned[key] = true
	return true
}

// combination collects fields, each key once. index is made only where there
// are so many that looking through them costs more.
type combination struct {
	fields    []notify.Field
	index     map[string]int
	conflicts []string
}

const few = 16

func newCombination(most int) *combination {
	c := &combination{fields: make([]notify.Field, 0, most)}
	if most > few {
		c.index = make(map[string]int, most)
	}
	return c
}

func (c *combination) find(key string) int {
	if c.index != nil {
		if i, ok := c.index[key]; ok {
			return i
		}
		return -1
	}
	return slices.IndexFunc(c.fields, func(f notify.Field) bool { return f.Key == key })
}

func (c *combination) set(f notify.Field) {
	i := c.find(f.Key)
	if i < 0 {
		if c.index != nil {
			c.index[f.Key] = len(c.fields)
		}
		c.fields = append(c.fields, f)
		return
	}
	if c.fields[i].Value != f.Value {
		c.conflicts = append(c.conflicts, f.Key)
	}
	c.fields[i] = f
}

func blank(s string) bool { return strings.TrimSpace(s) == "" }

// addCluster adds a known cluster: as the alert's author calls it, or else by
// its name, whatever the event's metadata says about it.
func (c *combination) addCluster(e *fluxevent.Event, operators string) {
	switch {
	case blank(e.Cluster):
	case blank(operators):
		c.set(notify.Field{Key: clusterKey, Value: e.Cluster})
	default:
		c.set(notify.Field{Key: clusterKey, Value: operators, Operator: true})
	}
}

// addEvent takes the keys that are meant for whoever is notified. An event that
// another controller or collector has forwarded has lost all prefixes: what is
// left of its metadata was chosen there already.
func (c *combination) addEvent(e *fluxevent.Event) {
	if !forwarded(e) {
		c.addGroup(e, fluxevent.Group)
		return
	}
	for key, value := range e.Metadata {
		c.set(notify.Field{Key: key, Value: value})
	}
}

func forwarded(e *fluxevent.Event) bool {
	for key := range e.Metadata {
		if strings.Contains(key, "/") {
			return false
		}
	}
	return true
}

// addGroup takes the keys of an API group, without their prefix.
func (c *combination) addGroup(e *fluxevent.Event, group string, except ...string) {
	for key, value := range e.Metadata {
		if len(key) <= len(group) || key[len(group)] != '/' || !strings.HasPrefix(key, group) {
			continue
		}
		name := key[len(group)+1:]
		if !slices.Contains(except, name) {
			c.set(notify.Field{Key: name, Value: value})
		}
	}
}

// addObjectGroup takes the keys of the object's group but those that are the
// controllers' own business. An object of no known group has none.
func (c *combination) addObjectGroup(e *fluxevent.Event) {
	group := e.InvolvedObject.Group()
	if group == "" || group == fluxevent.Group {
		return
	}
	c.addGroup(e, group, "checksum", "digest", "token")
}
