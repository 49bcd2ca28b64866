package fluxevent

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/collector/pdata/plog"
)

func uidAt(e Event, observed time.Time) string { return uidIn(ToLogsWithUID(&e, observed, 0)) }

func TestRecordUID(t *testing.T) {
	t.Parallel()
	assert.Empty(t, RecordUID(plog.NewLogRecord()))
	assert.Empty(t, uidIn(ToLogs(&Event{}, arrival)))
	record := plog.NewLogRecord()
	record.Attributes().PutStr("log.record.uid", "01ARZ3NDEKTSV4RRFFQ69G5FAV")
	assert.Equal(t, "01ARZ3NDEKTSV4RRFFQ69G5FAV", RecordUID(record))
	assert.Regexp(t, "^[0-9a-f]{32}$", uidAt(Event{}, arrival))
}

// A sender's repetition is recognized after a restart too, by any collector.
func TestUIDIsStable(t *testing.T) {
	t.Parallel()
	e := Event{
		InvolvedObject: Object{Kind: "Kustomization", Name: "webapp", Namespace: "apps"}, Severity: "error", Message: "failed",
		Timestamp: NewTime(time.Unix(1_700_000_000, 0)), Cluster: "prod-eu", Metadata: map[string]string{},
	}
	for i := range 50 {
		e.Metadata[fmt.Sprint("k", i)] = "v"
	}
	for i := range 20 {
		assert.Equal(t, "f322d1ccb9ed0a386a1158d5c0f91750", uidAt(e, arrival.Add(time.Duration(i))), "whatever the arrival and the order of maps")
	}
}

func TestUIDIsOfTheWholeEvent(t *testing.T) {
	t.Parallel()
	at := NewTime(arrival.Add(-time.Hour))
	base := func() Event {
		return Event{Timestamp: at, Metadata: map[string]string{"a": "b"}, RelatedObject: &Object{Kind: "K"}}
	}
	uids := map[string]string{uidAt(base(), arrival): "the event itself"}
	differs := func(name string, e Event, observed time.Time) {
		t.Helper()
		uid := uidAt(e, observed)
		assert.Empty(t, uids[uid], name)
		uids[uid] = name
	}
	for name, change := range map[string]func(*Event){
		"cluster":                   func(e *Event) { e.Cluster = "x" },
		"kind":                      func(e *Event) { e.InvolvedObject.Kind = "x" },
		"namespace":                 func(e *Event) { e.InvolvedObject.Namespace = "x" },
		"name":                      func(e *Event) { e.InvolvedObject.Name = "x" },
		"uid":                       func(e *Event) { e.InvolvedObject.UID = "x" },
		"API version":               func(e *Event) { e.InvolvedObject.APIVersion = "x" },
		"resource version":          func(e *Event) { e.InvolvedObject.ResourceVersion = "x" },
		"field path":                func(e *Event) { e.InvolvedObject.FieldPath = "x" },
		"severity":                  func(e *Event) { e.Severity = "x" },
		"message":                   func(e *Event) { e.Message = "x" },
		"reason":                    func(e *Event) { e.Reason = "x" },
		"action":                    func(e *Event) { e.Action = "x" },
		"controller":                func(e *Event) { e.ReportingController = "x" },
		"instance":                  func(e *Event) { e.ReportingInstance = "x" },
		"a second":                  func(e *Event) { e.Timestamp = NewTime(at.Add(time.Second)) },
		"a nanosecond":              func(e *Event) { e.Timestamp = NewTime(at.Add(1)) },
		"no time":                   func(e *Event) { e.Timestamp = Time{} },
		"no related object":         func(e *Event) { e.RelatedObject = nil },
		"another related object":    func(e *Event) { e.RelatedObject.Name = "x" },
		"no metadata":               func(e *Event) { e.Metadata = nil },
		"another key":               func(e *Event) { e.Metadata["c"] = "d" },
		"another value":             func(e *Event) { e.Metadata["a"] = "c" },
		"key and value in one":      func(e *Event) { e.Metadata = map[string]string{"ab": ""} },
		"key and value, shifted":    func(e *Event) { e.Metadata = map[string]string{"": "ab"} },
		"metadata in the instance":  func(e *Event) { e.Metadata, e.ReportingInstance = nil, "\x01a\x01b" },
		"two keys":                  func(e *Event) { e.Metadata = map[string]string{"a": "", "b": ""} },
		"severity and message, x y": func(e *Event) { e.Severity, e.Message = "x", "y" },
		"severity and message, xy":  func(e *Event) { e.Severity, e.Message = "xy", "" },
	} {
		e := base()
		change(&e)
		differs(name, e, arrival)
	}
	e := base()
	e.Timestamp = Time{}
	differs("no time, at another moment", e, arrival.Add(1))
	differs("no time, but the arrival's", e, at.Time)
}

// A relapse may carry the same time as the event that it repeats.
func TestARelapseHasAUIDOfItsOwn(t *testing.T) {
	t.Parallel()
	e := Event{InvolvedObject: Object{Kind: "Kustomization", Name: "webapp"}, Message: "failed"}
	first, again := uidIn(ToLogsWithUID(&e, time.Unix(1, 0), 0)), uidIn(ToLogsWithUID(&e, time.Unix(1, 0), 2))
	assert.NotEqual(t, first, again)
	assert.Equal(t, again, uidIn(ToLogsWithUID(&e, time.Unix(1, 0), 2)))
}
