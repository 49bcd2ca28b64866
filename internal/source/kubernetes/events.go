package kubernetes

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fluxnotify/otelcol-flux/internal/source"
)

const (
	// The reasons of Events are those of notification-controller.
	reasonFaulty = "ValidationFailed"
	reasonMended = "Initialized"

	messageMended = "All faults are resolved."
	// reporter is the component in the Events.
	reporter = "fluxnotify"

	// eventGrace is how long a fault lasts before there is an Event about it. A Secret is
	// often created after its Provider.
	eventGrace        = 5 * time.Second
	eventsPerSecond   = 5
	eventBurst        = 50
	eventsPerObject   = 10 // at once, and then one per eventPause
	eventPause        = time.Minute
	eventQueue        = 1000
	eventTries        = 3
	maxEventMessage   = 1024
	maxEventName      = 200
	forbiddenInterval = 10 * time.Minute
)

var eventResource = schema.GroupVersionResource{Version: "v1", Resource: "events"}

// subject is the object that an Event is about.
type subject struct {
	kind string
	name types.NamespacedName
}

// event is an Event to be written.
type event struct {
	about           subject
	apiVersion, uid string
	warning         bool
	reason, message string
	time            time.Time
}

// events writes Events about the faults of objects: one when a fault appears, and one
// when the last fault of an object is gone.
type events struct {
	clients *clients
	log     *zap.Logger
	queue   chan event

	objects map[subject]map[string]any
	faults  map[subject]faultTimes
	limits  map[subject]*rate.Limiter

	limiter   *rate.Limiter
	forbidden time.Time
	logged    bool
}

func newEvents(c *clients, log *zap.Logger) *events {
	return &events{
		clients: c, log: log, queue: make(chan event, eventQueue),
		faults: map[subject]faultTimes{}, limits: map[subject]*rate.Limiter{},
		limiter: rate.NewLimiter(eventsPerSecond, eventBurst),
	}
}

// observe compares the faults of a set with those before.
func (e *events) observe(set source.Set, objects map[subject]map[string]any, now time.Time) {
	faults := faultsOf(set)
	e.objects = objects
	for about := range e.faults {
		switch {
		case objects[about] == nil:
			delete(e.faults, about)
			delete(e.limits, about)
		case len(faults[about]) == 0:
			if e.faults[about].reported() {
				e.add(about, event{reason: reasonMended, message: messageMended})
			}
			delete(e.faults, about)
		}
	}
	for about, messages := range faults {
		if objects[about] == nil {
			continue
		}
		before, present := e.faults[about], faultTimes{}
		for message := range messages {
			present[message] = now
			if since, ok := before[message]; ok {
				present[message] = since
			}
		}
		e.faults[about] = present
	}
}

// report writes an Event about each fault that has lasted for a while. It returns when it
// must be called again, 0 if only after observe.
func (e *events) report(now time.Time) time.Duration {
	var again time.Duration
	for about, faults := range e.faults {
		for _, message := range slices.Sorted(maps.Keys(faults)) {
			since := faults[message]
			switch wait := since.Add(eventGrace).Sub(now); {
			case since.IsZero():
			case wait > 0:
				again = max(again, wait)
			default:
				faults[message] = time.Time{}
				e.add(about, event{warning: true, reason: reasonFaulty, message: message})
			}
		}
	}
	return again
}

// faultTimes are the faults of one object with the time when each was seen first, zero if
// there is an Event about it.
type faultTimes map[string]time.Time

func (f faultTimes) reported() bool {
	for _, since := range f {
		if since.IsZero() {
			return true
		}
	}
	return false
}

// faultsOf are the messages for each Provider and Alert. A fault of a Secret is
// reported on the Provider that names it.
func faultsOf(set source.Set) map[subject]map[string]bool {
	faults := map[subject]map[string]bool{}
	add := func(about subject, message string) {
		if faults[about] == nil {
			faults[about] = map[string]bool{}
		}
		faults[about][message] = true
	}
	for _, target := range set.Targets {
		for _, fault := range target.Faults {
			about, message := subjectOf(fault)
			if about.kind == "" {
				about = subject{kind: kindProvider, name: types.NamespacedName{Namespace: target.Namespace, Name: target.Name}}
			}
			add(about, message)
		}
	}
	for _, fault := range set.Faults {
		if about, message := subjectOf(fault); about.kind != "" {
			add(about, message)
		}
	}
	return faults
}

// subjectOf returns no kind if the fault is about something else than a Provider or an
// Alert.
func subjectOf(fault source.Fault) (about subject, message string) {
	message = fault.Text
	if fault.Field != "" {
		message = fault.Field + ": " + message
	}
	if fault.Kind == kindProvider || fault.Kind == kindAlert {
		return subject{fault.Kind, types.NamespacedName{Namespace: fault.Namespace, Name: fault.Name}}, message
	}
	if fault.Kind != "" {
		message = fault.Object() + ": " + message
	}
	return subject{}, message
}

func (e *events) add(about subject, ev event) {
	limit := e.limits[about]
	if limit == nil {
		limit = rate.NewLimiter(rate.Every(eventPause), eventsPerObject)
		e.limits[about] = limit
	}
	if !limit.Allow() {
		return
	}
	ev.about, ev.apiVersion, ev.uid = about, text(e.objects[about], "apiVersion"), text(e.objects[about], "metadata", "uid")
	ev.time = time.Now()
	select {
	case e.queue <- ev:
	default: // the log and the metrics have the fault too
	}
}

// run writes Events until the context is done.
func (e *events) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case ev := <-e.queue:
			if time.Now().Before(e.forbidden) {
				continue
			}
			e.write(ctx, ev)
		}
	}
}

func (e *events) write(ctx context.Context, ev event) {
	for try := 1; ; try++ {
		if e.limiter.Wait(ctx) != nil {
			return
		}
		err := e.send(ctx, ev)
		switch {
		case err == nil, ctx.Err() != nil:
			return
		case apierrors.IsForbidden(err):
			e.forbidden = time.Now().Add(forbiddenInterval)
			if !e.logged {
				e.log.Warn("Kubernetes Events cannot be written: allow create and patch of events, or set events to false", zap.Error(err))
				e.logged = true
			}
			return
		case classify(err) != unavailable || try == eventTries:
			e.log.Debug("a Kubernetes Event could not be written", zap.Error(err))
			return
		}
	}
}

// send creates an Event. Its name depends on its content, so that an Event from before
// a restart is not written twice, but brought up to date.
func (e *events) send(ctx context.Context, ev event) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	events := e.clients.dynamic.Resource(eventResource).Namespace(ev.about.name.Namespace)
	object := ev.object()
	_, err := events.Create(ctx, object, metav1.CreateOptions{FieldManager: reporter})
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	patch, err := json.Marshal(map[string]any{"lastTimestamp": ev.time.UTC().Format(time.RFC3339)})
	if err != nil {
		return err
	}
	_, err = events.Patch(ctx, object.GetName(), types.MergePatchType, patch, metav1.PatchOptions{FieldManager: reporter})
	return err
}

func (ev *event) object() *unstructured.Unstructured {
	kind := "Normal"
	if ev.warning {
		kind = "Warning"
	}
	message := ev.message
	if len(message) > maxEventMessage {
		message = strings.ToValidUTF8(message[:maxEventMessage-3], "") + "..."
	}
	digest := sha256.Sum256([]byte(strings.Join([]string{ev.uid, kind, ev.reason, message}, "\x00")))
	name := ev.about.name.Name
	name = strings.TrimRight(name[:min(len(name), maxEventName)], "-.") + "." + hex.EncodeToString(digest[:8])
	now := ev.time.UTC().Format(time.RFC3339)
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Event",
		"metadata": map[string]any{"namespace": ev.about.name.Namespace, "name": name},
		"involvedObject": map[string]any{
			"apiVersion": ev.apiVersion, "kind": ev.about.kind, "namespace": ev.about.name.Namespace, "name": ev.about.name.Name, "uid": ev.uid,
		},
		"type": kind, "reason": ev.reason, "message": message,
		"source": map[string]any{"component": reporter}, "reportingComponent": reporter,
		"firstTimestamp": now, "lastTimestamp": now, "count": int64(1),
	}}
}
