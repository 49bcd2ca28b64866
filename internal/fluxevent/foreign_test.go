package fluxevent

import (
	"encoding/json"
	"math"
	"math/rand"
	"strings"
	"testing"
	"testing/quick"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

type attributes map[string]any

// foreign makes a record that the receiver did not make.
func foreign(tb testing.TB, resource, record attributes) plog.Logs {
	tb.Helper()
	logs := plog.NewLogs()
	resourceLogs := logs.ResourceLogs().AppendEmpty()
	require.NoError(tb, resourceLogs.Resource().Attributes().FromRaw(resource))
	r := resourceLogs.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	require.NoError(tb, r.Attributes().FromRaw(record))
	return logs
}

// The form in which the collector's k8s_events receiver, and k8sobjects with a
// usual transformation, report a Kubernetes event.
func TestKubernetesEvent(t *testing.T) {
	t.Parallel()
	logs := foreign(t, attributes{
		"k8s.node.name":               "node-1",
		"k8s.object.kind":             "Pod",
		"k8s.object.name":             "webapp-5d9",
		"k8s.object.uid":              "059f3edc",
		"k8s.object.fieldpath":        "spec.containers{web}",
		"k8s.object.api_version":      "v1",
		"k8s.object.resource_version": "38275",
	}, attributes{
		"k8s.event.reason":     "BackOff",
		"k8s.event.action":     "Pulling",
		"k8s.event.start_time": "2026-03-21 20:20:20 +0000 UTC",
		"k8s.event.name":       "webapp-5d9.17",
		"k8s.event.uid":        "289686f9",
		"k8s.event.count":      3,
		"k8s.namespace.name":   "apps",
	})
	_, record := only(logs)
	record.SetSeverityText("Warning")
	record.SetSeverityNumber(plog.SeverityNumberWarn)
	record.Body().SetStr("Back-off pulling image")
	record.SetTimestamp(1700000000_999000000)
	record.SetObservedTimestamp(pcommon.NewTimestampFromTime(arrival))

	want := Event{
		InvolvedObject: Object{
			Kind: "Pod", Namespace: "apps", Name: "webapp-5d9", UID: "059f3edc", APIVersion: "v1",
			ResourceVersion: "38275", FieldPath: "spec.containers{web}",
		},
		Severity: "info", Timestamp: NewTime(pcommon.Timestamp(1700000000_999000000).AsTime()), Observed: arrival,
		Message: "Back-off pulling image", Reason: "BackOff", Action: "Pulling",
	}
	assert.Equal(t, want, fromRecord(t, logs, plog.SeverityNumberError))
	want.Severity = "error"
	assert.Equal(t, want, fromRecord(t, logs, plog.SeverityNumberWarn))
}

func TestForeignObjects(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		resource, record attributes
		want             Object
	}{
		"nothing":            {want: Object{Kind: "Log", Name: "unknown_service", APIVersion: "v1"}},
		"a service":          {resource: attributes{"service.name": "checkout"}, want: Object{Kind: "Log", Name: "checkout", APIVersion: "v1"}},
		"an empty service":   {resource: attributes{"service.name": ""}, want: Object{Kind: "Log", Name: "unknown_service", APIVersion: "v1"}},
		"the record's wins":  {resource: attributes{"service.name": "a"}, record: attributes{"service.name": "b"}, want: Object{Kind: "Log", Name: "b", APIVersion: "v1"}},
		"a number as a name": {resource: attributes{"service.name": 7}, want: Object{Kind: "Log", Name: "7", APIVersion: "v1"}},
		"a deployment before its pod": {
			resource: attributes{
				"service.name": "checkout", "k8s.pod.name": "checkout-1", "k8s.pod.uid": "p", "k8s.replicaset.name": "checkout-5",
				"k8s.deployment.name": "checkout", "k8s.deployment.uid": "d", "k8s.namespace.name": "shop", "k8s.node.name": "n1",
			},
			want: Object{Kind: "Deployment", Namespace: "shop", Name: "checkout", UID: "d", APIVersion: "v1"},
		},
		"a cron job before its job": {
			resource: attributes{"k8s.job.name": "backup-1", "k8s.cronjob.name": "backup", "k8s.pod.name": "backup-1-x"},
			want:     Object{Kind: "CronJob", Name: "backup", APIVersion: "v1"},
		},
		"the record's deployment": {
			resource: attributes{"k8s.deployment.name": "a"}, record: attributes{"k8s.deployment.name": "b"},
			want: Object{Kind: "Deployment", Name: "b", APIVersion: "v1"},
		},
		"a workload on the record": {
			resource: attributes{"k8s.namespace.name": "shop"}, record: attributes{"k8s.statefulset.name": "db"},
			want: Object{Kind: "StatefulSet", Namespace: "shop", Name: "db", APIVersion: "v1"},
		},
		"an object before a workload": {
			resource: attributes{"k8s.deployment.name": "checkout", "k8s.deployment.uid": "d", "k8s.object.kind": "HelmRelease", "k8s.object.name": "shop"},
			want:     Object{Kind: "HelmRelease", Name: "shop", APIVersion: "v1"},
		},
		"an object on the record before a workload": {
			resource: attributes{"k8s.deployment.name": "checkout"}, record: attributes{"k8s.object.kind": "HelmRelease", "k8s.object.name": "shop"},
			want: Object{Kind: "HelmRelease", Name: "shop", APIVersion: "v1"},
		},
		"a kind alone":         {resource: attributes{"k8s.object.kind": "Cluster"}, want: Object{Kind: "Cluster", Name: "unknown_service", APIVersion: "v1"}},
		"a name alone":         {resource: attributes{"k8s.object.name": "eu-1"}, want: Object{Kind: "Log", Name: "eu-1", APIVersion: "v1"}},
		"a known API version":  {resource: attributes{"k8s.object.api_version": "apps/v1"}, want: Object{Kind: "Log", Name: "unknown_service", APIVersion: "apps/v1"}},
		"a uid without a name": {resource: attributes{"k8s.pod.uid": "p"}, want: Object{Kind: "Log", Name: "unknown_service", APIVersion: "v1"}},
		"no workload":          {resource: attributes{"k8s.cluster.name": "eu", "k8s.deployment.replicas": "3", "k8s.pod": "x"}, want: Object{Kind: "Log", Name: "unknown_service", APIVersion: "v1"}},
		"the object's namespace": {
			resource: attributes{"k8s.namespace.name": "a"}, record: attributes{"k8s.namespace.name": "b"},
			want: Object{Kind: "Log", Namespace: "b", Name: "unknown_service", APIVersion: "v1"},
		},
	}
	for _, w := range workloadKinds {
		test := tests["nothing"]
		test.resource = attributes{"k8s." + w.attribute + ".name": "x", "k8s." + w.attribute + ".uid": "u"}
		test.want = Object{Kind: w.kind, Name: "x", UID: "u", APIVersion: "v1"}
		tests[w.kind] = test
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := fromRecord(t, foreign(t, test.resource, test.record), plog.SeverityNumberError)
			assert.Equal(t, test.want, got.InvolvedObject)
		})
	}
}

type severityTest struct {
	number   plog.SeverityNumber
	text     string
	at17     string
	at13     string
	describe string
}

// spellings are those of common loggers; warn is an error when asked for.
var spellings = map[string]string{
	"TRACE2": "trace", "DEBUG4": "trace", "dbg": "trace", "Verbose": "trace", "FINEST": "trace", "FINE": "trace", "trce": "trace", "D": "trace",
	"INFO3": "info", "notice": "info", "INF": "info", "Information": "info", "informational": "info", "LOG": "info", "I": "info", "50": "info",
	"warn3": "warn", "WRN": "warn", "W": "warn", "[WARNING]": "warn",
	"ERROR": "error", "ERROR2": "error", "err": "error", "ERR": "error", "E": "error", "SEVERE": "error", "fail": "error", "error\n": "error", "<error>:": "error",
	"FATAL4": "error", "F": "error", "crit": "error", "CRITICAL": "error", "emerg": "error", "Emergency": "error", "ALERT": "error", "panic": "error",
	"dpanic": "error", "FTL": "error",
}

func TestForeignSeverities(t *testing.T) {
	t.Parallel()
	tests := []severityTest{
		{1, "", "trace", "trace", "trace"},
		{8, "", "trace", "trace", "the last of debug"},
		{9, "", "info", "info", "info"},
		{12, "", "info", "info", "the last of info"},
		{13, "", "info", "error", "warn"},
		{16, "", "info", "error", "the last of warn"},
		{17, "", "error", "error", "error"},
		{24, "", "error", "error", "the last of fatal"},
		{9, "ERROR", "info", "info", "the number counts, not the text"},
		{17, "info", "error", "error", "the number counts, not the text"},
		{0, "", "info", "info", "neither"},
		{0, "whatever", "info", "info", "a text of nobody's"},
		{0, "Normal", "info", "info", "text only"},
		{0, "DEBUG", "trace", "trace", "text only"},
		{0, "trace", "trace", "trace", "text only"},
		{0, "Warning", "info", "error", "text only"},
		{0, "warn", "info", "error", "text only"},
		{0, "Error", "error", "error", "text only"},
		{0, "FATAL", "error", "error", "text only"},
		{0, "critical", "error", "error", "text only"},
	}
	for text, want := range spellings {
		tests = append(tests, severityTest{0, text, strings.Replace(want, "warn", "info", 1), strings.Replace(want, "warn", "error", 1), "a spelling"})
	}
	for _, test := range tests {
		logs := foreign(t, nil, nil)
		_, record := only(logs)
		record.SetSeverityNumber(test.number)
		record.SetSeverityText(test.text)
		assert.Equal(t, test.at17, fromRecord(t, logs, plog.SeverityNumberError).Severity, "%s: %d %q", test.describe, test.number, test.text)
		assert.Equal(t, test.at13, fromRecord(t, logs, plog.SeverityNumberWarn).Severity, "%s: %d %q with warn", test.describe, test.number, test.text)
	}
}

func TestForeignReason(t *testing.T) {
	t.Parallel()
	logs := foreign(t, nil, nil)
	resource, record := only(logs)
	reason := func() string { return fromRecord(t, logs, plog.SeverityNumberError).Reason }
	assert.Empty(t, reason())
	record.SetSeverityText("WARN")
	assert.Equal(t, "WARN", reason())
	record.SetEventName("device.crash")
	assert.Equal(t, "device.crash", reason())
	resource.Attributes().PutStr("k8s.event.reason", "OnResource")
	assert.Equal(t, "OnResource", reason())
	record.Attributes().PutStr("k8s.event.reason", "OnRecord")
	assert.Equal(t, "OnRecord", reason())
}

func TestForeignBodies(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		body any
		want string
	}{
		"none":    {nil, ""},
		"string":  {"plain\ntext", "plain\ntext"},
		"number":  {3, "3"},
		"boolean": {true, "true"},
		"map":     {map[string]any{"b": []any{1, "two"}, "a": map[string]any{"n": nil}}, `{"a":{"n":null},"b":[1,"two"]}`},
		"list":    {[]any{"a", 1.5}, `["a",1.5]`},
		"markup":  {[]any{"<b> & \u2028"}, `["<b> & \u2028"]`},

		"not a number": {math.NaN(), "NaN"},
		"infinities": {
			map[string]any{"a": math.Inf(1), "b": []any{math.Inf(-1), math.NaN(), 2.0}, "c": map[string]any{"d": math.NaN()}},
			`{"a":"Infinity","b":["-Infinity","NaN",2],"c":{"d":"NaN"}}`,
		},
		"an empty list":   {[]any{}, "[]"},
		"an empty map":    {map[string]any{}, "{}"},
		"text as bytes":   {[]byte("größer\n\tals"), "größer\n\tals"},
		"bytes":           {[]byte{0xff, 0}, "/wA="},
		"control bytes":   {[]byte("a\x00b"), "YQBi"},
		"no bytes":        {[]byte{}, ""},
		"bytes in a list": {[]any{[]byte("text"), []byte{0xff, 0}}, `["text","/wA="]`},
		"not UTF-8":       {[]any{"\xff"}, `["\ufffd"]`},
	}
	for name, test := range tests {
		logs := foreign(t, nil, nil)
		_, record := only(logs)
		require.NoError(t, record.Body().FromRaw(test.body))
		assert.Equal(t, test.want, fromRecord(t, logs, plog.SeverityNumberError).Message, name)
	}
}

func TestForeignTimes(t *testing.T) {
	t.Parallel()
	happened := time.Date(2026, time.March, 21, 20, 20, 20, 123456789, time.UTC)
	at := pcommon.NewTimestampFromTime
	for name, c := range map[string]struct {
		timestamp, observed pcommon.Timestamp
		want                time.Time // of the event; zero: now
	}{
		"both":                    {at(happened), at(arrival), happened},
		"of arrival":              {0, at(arrival), arrival},
		"of the event":            {at(happened), 0, happened},
		"in the future":           {at(arrival.Add(time.Hour)), at(arrival), arrival},
		"out of range":            {1 << 63, at(arrival), arrival},
		"the last moment":         {1<<63 - 1, at(arrival), arrival},
		"far out of range":        {1<<64 - 1, at(arrival), arrival},
		"an arrival out of range": {at(happened), 1 << 63, happened},
		"neither":                 {0, 0, time.Time{}},
		"both out of range":       {1 << 63, 1<<64 - 1, time.Time{}},
	} {
		logs := foreign(t, nil, nil)
		_, record := only(logs)
		record.SetTimestamp(c.timestamp)
		record.SetObservedTimestamp(c.observed)
		before := time.Now()
		e := fromRecord(t, logs, plog.SeverityNumberError)
		if c.want.IsZero() {
			assert.WithinRange(t, e.Time(), before, time.Now(), name)
			assert.True(t, e.Timestamp.IsZero(), name)
			continue
		}
		assert.Equal(t, c.want, e.Time(), name)
		assert.Equal(t, asTime(c.observed), e.Observed, "%s: an arrival is made up only where nothing else is known", name)
	}
}

func TestCluster(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		resource, record attributes
		want             string
	}{
		"unknown":           {nil, nil, ""},
		"of the resource":   {attributes{"k8s.cluster.name": "eu"}, nil, "eu"},
		"of the record":     {nil, attributes{"k8s.cluster.name": "eu"}, "eu"},
		"the record's wins": {attributes{"k8s.cluster.name": "eu"}, attributes{"k8s.cluster.name": "us"}, "us"},
		"not in metadata":   {nil, attributes{"flux.event.metadata.cluster": "eu"}, ""},
	} {
		logs := foreign(t, c.resource, c.record)
		for _, eventName := range []string{"", EventName} {
			_, record := only(logs)
			record.SetEventName(eventName)
			assert.Equal(t, c.want, fromRecord(t, logs, plog.SeverityNumberError).Cluster, name)
		}
	}
}

func TestForeignMetadata(t *testing.T) {
	t.Parallel()
	logs := foreign(t,
		attributes{"flux.event.metadata.cluster": "eu", "flux.event.metadata.team": "resource", "http.method": "GET"},
		attributes{"flux.event.metadata.team": "record", "flux.event.metadata." + Group + "/owner": "me", "flux.event.metadata.n": 5})
	assert.Equal(t, map[string]string{Group + "/cluster": "eu", Group + "/team": "record", Group + "/owner": "me", Group + "/n": "5"},
		fromRecord(t, logs, plog.SeverityNumberError).Metadata, "keys without Flux's prefix are for whoever is notified")

	_, record := only(logs)
	record.SetEventName(EventName)
	assert.Equal(t, map[string]string{"cluster": "eu", "team": "record", Group + "/owner": "me", "n": "5"},
		fromRecord(t, logs, plog.SeverityNumberError).Metadata, "the receiver's keep their own")
}

func TestLabels(t *testing.T) {
	t.Parallel()
	logs := foreign(t,
		attributes{"k8s.object.label.team": "a", "k8s.object.label.app.kubernetes.io/name": "shop", "k8s.pod.label.team": "x"},
		attributes{"k8s.object.label.team": "b"})
	assert.Equal(t, map[string]string{"team": "b", "app.kubernetes.io/name": "shop"}, fromRecord(t, logs, plog.SeverityNumberError).Labels)
	assert.Nil(t, fromRecord(t, foreign(t, nil, nil), plog.SeverityNumberError).Labels)
}

func TestForeignRelatedObject(t *testing.T) {
	t.Parallel()
	got := fromRecord(t, foreign(t, nil, attributes{"flux.related_object.kind": "Node", "flux.related_object.name": "n1"}), plog.SeverityNumberError)
	assert.Equal(t, &Object{Kind: "Node", Name: "n1"}, got.RelatedObject)
}

// A processor may change what the receiver made; the record's own wins.
func TestRecordAttributesWin(t *testing.T) {
	t.Parallel()
	logs := ToLogs(&Event{InvolvedObject: Object{Kind: "K", Name: "n", Namespace: "a"}, Severity: "info"}, arrival)
	_, record := only(logs)
	record.Attributes().PutStr("k8s.namespace.name", "b")
	record.Attributes().PutStr("service.name", "other")
	got := fromRecord(t, logs, plog.SeverityNumberError)
	assert.Equal(t, Object{Kind: "K", Name: "n", Namespace: "b"}, got.InvolvedObject)
	assert.Equal(t, "other", got.ReportingController)
}

// ObjectOf takes a short cut; it must lead to the same object.
func TestObjectOfAgreesWithFromRecord(t *testing.T) {
	t.Parallel()
	keys := []string{
		attrKind, attrName, attrUID, attrAPIVersion, attrResourceVersion, attrFieldPath, attrNamespace, attrController, attrInstance, attrReason,
		prefixRelated + "kind", prefixRelated + "name", prefixMetadata + "k8s.object.kind", prefixLabel + "team", "k8s.", "k8s.x.name", "k8s.pod.", "",
	}
	for _, w := range workloadKinds {
		keys = append(keys, "k8s."+w.attribute+".name", "k8s."+w.attribute+".uid")
	}
	values := []any{"", "a", "b", 1, true, nil, []any{"x"}}
	agrees := func(seed int64) bool {
		r := rand.New(rand.NewSource(seed))
		random := func() attributes {
			a := attributes{}
			for range r.Intn(8) {
				a[keys[r.Intn(len(keys))]] = values[r.Intn(len(values))]
			}
			return a
		}
		logs := foreign(t, random(), random())
		if _, record := only(logs); r.Intn(2) == 0 {
			record.SetEventName(EventName)
		}
		e := FromRecord(first(logs))
		return assert.Equal(t, e.InvolvedObject, objectOf(logs)) && e.InvolvedObject.Kind != "" && e.InvolvedObject.Name != ""
	}
	require.NoError(t, quick.Check(agrees, &quick.Config{MaxCount: 5000}))
}

func FuzzFromRecord(f *testing.F) {
	f.Add("k8s.deployment.name", "shop", "service.name", "x", "", "ERROR", int32(0), uint64(1))
	f.Add("k8s.object.kind", "Pod", "k8s.object.name", "p", EventName, "info", int32(9), uint64(0))
	f.Add("flux.event.metadata.", "", "k8s.object.label.", "\xff", "x", "\xff", int32(-5), uint64(1<<64-1))
	f.Fuzz(func(t *testing.T, key1, value1, key2, value2, eventName, text string, number int32, timestamp uint64) {
		logs := foreign(t, attributes{key1: value1}, attributes{key2: value2, key1 + key2: int64(number)})
		_, record := only(logs)
		record.SetEventName(eventName)
		record.SetSeverityText(text)
		record.SetSeverityNumber(plog.SeverityNumber(number))
		record.SetTimestamp(pcommon.Timestamp(timestamp))
		record.Body().SetEmptyMap().PutStr(key1, value2)
		e := fromRecord(t, logs, plog.SeverityNumberError)
		assert.NotEmpty(t, e.InvolvedObject.Kind)
		assert.NotEmpty(t, e.InvolvedObject.Name)
		assert.NotEmpty(t, e.Message)
		assert.GreaterOrEqual(t, e.Time().Year(), 1970)
		if eventName != EventName {
			assert.Contains(t, []string{SeverityTrace, SeverityInfo, SeverityError}, e.Severity)
			assert.NotEmpty(t, e.InvolvedObject.APIVersion)
		}
		_, err := json.Marshal(e)
		require.NoError(t, err)
	})
}

func FuzzParse(f *testing.F) {
	for _, body := range recordedEvents(f) {
		f.Add(body)
	}
	for _, body := range []string{"", "null", "[]", minimal, `{"involvedObject":{"kind":"K","name":"n"},"timestamp":"2026-03-21T20:20:20.5+05:30"}`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := Parse(body)
		if err != nil {
			assert.NotContains(t, err.Error(), "\n")
			assert.Less(t, len(err.Error()), 200)
			return
		}
		sent, err := json.Marshal(e)
		require.NoError(t, err)
		again, err := Parse(sent)
		require.NoError(t, err)
		whole := e
		whole.Timestamp = NewTime(e.Timestamp.Truncate(time.Second))
		assert.Equal(t, whole, again)
		assertLossless(t, e)
	})
}

// fromRecord holds every reading to what ObjectOf says of the same record.
func fromRecord(t *testing.T, logs plog.Logs, errorFrom plog.SeverityNumber) Event {
	t.Helper()
	resource, record := only(logs)
	e := *FromRecord(resource, record, errorFrom)
	assert.Equal(t, e.InvolvedObject, ObjectOf(resource, record))
	return e
}
