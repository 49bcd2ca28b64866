package fluxevent

import (
	"maps"
	"math/rand"
	"reflect"
	"strings"
	"testing"
	"testing/quick"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

var arrival = time.Date(2026, time.March, 21, 20, 20, 21, 123456789, time.UTC)

func TestToLogs(t *testing.T) {
	t.Parallel()
	e := Event{
		InvolvedObject: Object{
			Kind: "Kustomization", Namespace: "apps", Name: "webapp", UID: "7d0cdc51", APIVersion: "kustomize.toolkit.fluxcd.io/v1",
			ResourceVersion: "4711", FieldPath: "spec.path",
		},
		RelatedObject: &Object{
			Kind: "GitRepository", Namespace: "flux-system", Name: "source", UID: "9e1f", APIVersion: "source.toolkit.fluxcd.io/v1",
			ResourceVersion: "12", FieldPath: "spec.url",
		},
		Severity: "error", Timestamp: NewTime(time.Unix(1700000000, 987654321)), Message: "failed", Reason: "ValidationFailed", Action: "Reconciling",
		Metadata:            map[string]string{"kustomize.toolkit.fluxcd.io/revision": "main@sha1:731f", "Key.Unchanged/Ünïcode": ""},
		ReportingController: "kustomize-controller", ReportingInstance: "kustomize-controller-8bhrp",
		Cluster: "prod-eu",
	}
	logs := ToLogs(&e, arrival)
	require.Equal(t, 1, logs.LogRecordCount())
	resource, record := only(logs)

	assert.Equal(t, map[string]any{
		"k8s.cluster.name":            "prod-eu",
		"k8s.object.kind":             "Kustomization",
		"k8s.object.name":             "webapp",
		"k8s.object.uid":              "7d0cdc51",
		"k8s.object.api_version":      "kustomize.toolkit.fluxcd.io/v1",
		"k8s.object.resource_version": "4711",
		"k8s.object.fieldpath":        "spec.path",
		"k8s.namespace.name":          "apps",
		"service.name":                "kustomize-controller",
		"service.instance.id":         "kustomize-controller-8bhrp",
	}, resource.Attributes().AsRaw())
	assert.Equal(t, map[string]any{
		"k8s.event.reason":                                         "ValidationFailed",
		"k8s.event.action":                                         "Reconciling",
		"flux.related_object.kind":                                 "GitRepository",
		"flux.related_object.namespace":                            "flux-system",
		"flux.related_object.name":                                 "source",
		"flux.related_object.uid":                                  "9e1f",
		"flux.related_object.api_version":                          "source.toolkit.fluxcd.io/v1",
		"flux.related_object.resource_version":                     "12",
		"flux.related_object.field_path":                           "spec.url",
		"flux.event.metadata.kustomize.toolkit.fluxcd.io/revision": "main@sha1:731f",
		"flux.event.metadata.Key.Unchanged/Ünïcode":                "",
	}, record.Attributes().AsRaw())
	assert.Equal(t, "flux.event", record.EventName())
	assert.Equal(t, pcommon.ValueTypeStr, record.Body().Type())
	assert.Equal(t, "failed", record.Body().Str())
	assert.Equal(t, "error", record.SeverityText())
	assert.Equal(t, plog.SeverityNumber(17), record.SeverityNumber())
	assert.Equal(t, pcommon.Timestamp(1700000000_987654321), record.Timestamp())
	assert.Equal(t, pcommon.NewTimestampFromTime(arrival), record.ObservedTimestamp())
}

func TestToLogsSeverities(t *testing.T) {
	t.Parallel()
	for severity, number := range map[string]int32{"trace": 1, "info": 9, "error": 17, "": 9, "custom": 9} {
		_, record := only(ToLogs(&Event{Severity: severity}, arrival))
		assert.Equal(t, plog.SeverityNumber(number), record.SeverityNumber(), severity)
		assert.Equal(t, severity, record.SeverityText())
	}
}

func TestToLogsLeavesAbsentFieldsOut(t *testing.T) {
	t.Parallel()
	resource, record := only(ToLogs(&Event{InvolvedObject: Object{Kind: "K", Name: "n"}}, arrival))
	assert.Equal(t, map[string]any{"k8s.object.kind": "K", "k8s.object.name": "n"}, resource.Attributes().AsRaw())
	assert.Empty(t, record.Attributes().AsRaw())
	assert.Zero(t, record.Timestamp(), "an unknown time is not 1970")
	assert.Equal(t, pcommon.ValueTypeStr, record.Body().Type())
}

func TestRecordedEventsAreLossless(t *testing.T) {
	t.Parallel()
	for name, body := range recordedEvents(t) {
		event, err := Parse(body)
		require.NoError(t, err, name)
		assertLossless(t, event)
	}
}

func TestEventsAreLossless(t *testing.T) {
	t.Parallel()
	lossless := func(e randomEvent) bool { return assertLossless(t, e.Event) }
	require.NoError(t, quick.Check(lossless, &quick.Config{MaxCount: 2000}))
}

func FuzzRecordRoundTrip(f *testing.F) {
	f.Add("Kustomization", "webapp", "apps", "kustomize.toolkit.fluxcd.io/v1", "error", "failed", "ValidationFailed", "k/revision", "main@sha1:7", "prod-eu", int64(1700000000_123456789))
	f.Add("K", "n", "", "", "", "", "", "", "", "", int64(0))
	f.Add("k8s.object.kind", "flux.event", "k8s.", "v1", "info", "{}", "null", "flux.event.metadata.", "event.toolkit.fluxcd.io/", "k8s.cluster.name", int64(-1))
	f.Fuzz(func(t *testing.T, kind, name, namespace, version, severity, message, reason, key, value, cluster string, nanoseconds int64) {
		if kind == "" || name == "" {
			t.Skip("not an event")
		}
		e := Event{
			InvolvedObject: Object{Kind: kind, Name: name, Namespace: namespace, APIVersion: version, UID: key, ResourceVersion: value, FieldPath: reason},
			Severity:       severity, Message: message, Reason: reason, Action: value, ReportingController: namespace, ReportingInstance: message,
			Metadata: map[string]string{key: value, value: key}, Cluster: cluster,
		}
		if related := (Object{Kind: value, Name: key, Namespace: message}); related != (Object{}) {
			e.RelatedObject = &related
		}
		if at := time.Unix(0, nanoseconds); !at.Before(earliest) && !at.After(latest) {
			e.Timestamp = NewTime(at)
		}
		assertLossless(t, e)
	})
}

// assertLossless sends an event through a record, and that through OTLP, with
// and without a UID.
func assertLossless(t *testing.T, e Event) bool {
	t.Helper()
	metadata := maps.Clone(e.Metadata)
	want := e
	want.Observed = arrival
	ok := true
	for name, logs := range map[string]plog.Logs{"plain": ToLogs(&e, arrival), "with a UID": ToLogsWithUID(&e, arrival, 0)} {
		ok = assert.Equal(t, &want, FromRecord(first(logs)), name) && ok
		ok = assert.Equal(t, e.InvolvedObject, objectOf(logs), name) && ok
		ok = assert.Equal(t, metadata, e.Metadata, "the event is left as it was") && ok

		bytes, err := (&plog.ProtoMarshaler{}).MarshalLogs(logs)
		require.NoError(t, err)
		arrived, err := (&plog.ProtoUnmarshaler{}).UnmarshalLogs(bytes)
		require.NoError(t, err)
		ok = assert.Equal(t, &want, FromRecord(first(arrived)), "%s, through OTLP", name) && ok
		ok = assert.Equal(t, uidIn(logs), uidIn(arrived)) && ok
	}
	return ok
}

func only(logs plog.Logs) (pcommon.Resource, plog.LogRecord) {
	resourceLogs := logs.ResourceLogs().At(0)
	return resourceLogs.Resource(), resourceLogs.ScopeLogs().At(0).LogRecords().At(0)
}

// first gives the arguments of FromRecord.
func first(logs plog.Logs) (pcommon.Resource, plog.LogRecord, plog.SeverityNumber) {
	resource, record := only(logs)
	return resource, record, plog.SeverityNumberError
}

func uidIn(logs plog.Logs) string {
	_, record := only(logs)
	return RecordUID(record)
}

func objectOf(logs plog.Logs) Object { return ObjectOf(only(logs)) }

// randomEvent is an event such as Parse gives: of a kind and a name, with no
// empty related object and no empty map.
type randomEvent struct{ Event }

// Generate implements quick.Generator.
func (randomEvent) Generate(r *rand.Rand, size int) reflect.Value {
	text := func() string {
		pool := []string{"", "a", "v1", "info", "error", "k8s.object.kind", "flux.event.metadata.x", Group + "/x", "multi\nline", "日本語 🚀", "{}", "\x00", "0"}
		if r.Intn(3) > 0 {
			return pool[r.Intn(len(pool))]
		}
		s, _ := quick.Value(reflect.TypeFor[string](), r)
		return strings.ToValidUTF8(s.String(), "")
	}
	object := func() Object {
		return Object{Kind: text(), Namespace: text(), Name: text(), UID: text(), APIVersion: text(), ResourceVersion: text(), FieldPath: text()}
	}
	e := Event{
		InvolvedObject: object(), Severity: text(), Message: text(), Reason: text(), Action: text(),
		ReportingController: text(), ReportingInstance: text(), Cluster: text(),
	}
	e.InvolvedObject.Kind += "K"
	e.InvolvedObject.Name += "n"
	if related := object(); r.Intn(2) == 0 && related != (Object{}) {
		e.RelatedObject = &related
	}
	if r.Intn(4) > 0 {
		e.Timestamp = NewTime(time.Unix(1+r.Int63n(latest.Unix()-1), r.Int63n(1e9)))
	}
	for range r.Intn(min(size, 8) + 1) {
		if e.Metadata == nil {
			e.Metadata = map[string]string{}
		}
		e.Metadata[text()] = text()
	}
	return reflect.ValueOf(randomEvent{e})
}
