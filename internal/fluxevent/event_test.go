package fluxevent

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const minimal = `{"involvedObject":{"kind":"Kustomization","name":"webapp"}}`

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	const badTime = "not an event: timestamp is not a time in RFC 3339 between 1970 and 2262, such as 2026-03-02T01:07:13Z"
	// with is an event with one field more, so that nothing else is wrong.
	with := func(field string) string { return strings.TrimSuffix(minimal, "}") + "," + field + "}" }
	tests := map[string]struct{ body, reason string }{
		"empty":              {"", "the body is empty, expected one event as a JSON object"},
		"white space":        {" \r\n\t ", "the body is empty, expected one event as a JSON object"},
		"not JSON":           {"hello", "not JSON: invalid character looking for beginning of value (at byte 1)"},
		"a quote":            {`'hello'`, "not JSON: invalid character looking for beginning of value (at byte 1)"},
		"a space in a word":  {`{"involvedObject":tr ue}`, "not JSON: invalid character in literal true (expecting 'u') (at byte 21)"},
		"line break in text": {"{\"message\":\"a\nb\"}", "not JSON: invalid character in string literal (at byte 14)"},
		"cut off":            {`{"involvedObject":{"kind":"Kustom`, "not JSON: unexpected end of JSON input (at byte 33)"},
		"two events":         {minimal + minimal, "not JSON: invalid character after top-level value (at byte 60)"},
		"array":              {"[" + minimal + "]", "not an event: expected one JSON object, got an array"},
		"number":             {"1234567", "not an event: expected one JSON object, got a number"},
		"string":             {`"s3cr3t"`, "not an event: expected one JSON object, got a string"},
		"true":               {"true", "not an event: expected one JSON object, got true or false"},
		"null":               {"null", "not an event: involvedObject.kind is missing"},
		"no object":          {"{}", "not an event: involvedObject.kind is missing"},
		"null object":        {`{"involvedObject":null}`, "not an event: involvedObject.kind is missing"},
		"no kind":            {`{"involvedObject":{"name":"webapp"}}`, "not an event: involvedObject.kind is missing"},
		"no name":            {`{"involvedObject":{"kind":"Kustomization"}}`, "not an event: involvedObject.name is missing"},
		"empty name":         {`{"involvedObject":{"kind":"Kustomization","name":""}}`, "not an event: involvedObject.name is missing"},
		"kind a number":      {`{"involvedObject":{"kind":1234567,"name":"a"}}`, "not an event: involvedObject.kind is a number, expected a string"},
		"object a string":    {`{"involvedObject":"s3cr3t"}`, "not an event: involvedObject is a string, expected an object"},
		"object a list":      {`{"involvedObject":[]}`, "not an event: involvedObject is an array, expected an object"},
		"related a string":   {with(`"relatedObject":"s3cr3t"`), "not an event: relatedObject is a string, expected an object"},
		"message an object":  {with(`"message":{"s3cr3t":1}`), "not an event: message is an object, expected a string"},
		"severity true":      {with(`"severity":true`), "not an event: severity is true or false, expected a string"},
		"metadata a list":    {with(`"metadata":["s3cr3t"]`), "not an event: metadata is an array, expected an object"},
		"metadata a string":  {with(`"metadata":"s3cr3t"`), "not an event: metadata is a string, expected an object"},
		"metadata number":    {with(`"metadata":{"s3cr3t":1234567}`), "not an event: a value of metadata is a number, expected a string"},
		"metadata nested":    {with(`"metadata":{"s3cr3t":{"s3cr3t":"s3cr3t"}}`), "not an event: a value of metadata is an object, expected a string"},
		"timestamp word":     {with(`"timestamp":"s3cr3t"`), badTime},
		"timestamp empty":    {with(`"timestamp":""`), badTime},
		"timestamp number":   {with(`"timestamp":1234567`), badTime},
		"timestamp object":   {with(`"timestamp":{"s3cr3t":1}`), badTime},
		"timestamp no zone":  {with(`"timestamp":"2026-03-02T01:07:13"`), badTime},
		"timestamp 1970":     {with(`"timestamp":"1970-01-01T00:00:00Z"`), badTime},
		"timestamp before":   {with(`"timestamp":"1969-12-31T23:59:59Z"`), badTime},
		"timestamp 2262":     {with(`"timestamp":"2262-01-01T00:00:01Z"`), badTime},
		"timestamp 9999":     {with(`"timestamp":"9999-12-31T23:59:59Z"`), badTime},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			event, err := Parse([]byte(test.body))
			require.EqualError(t, err, test.reason)
			assert.Equal(t, Event{}, event)
			assert.NotContains(t, err.Error(), "\n")
			assert.NotContains(t, err.Error(), "s3cr3t")
			assert.NotContains(t, err.Error(), "1234567")
		})
	}
}

func TestParseTimestamps(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		`"2026-03-21T20:20:20Z"`:           `"2026-03-21T20:20:20Z"`,
		`"2026-03-21T20:20:20.999999999Z"`: `"2026-03-21T20:20:20Z"`,
		`"2026-03-21T20:20:20+05:30"`:      `"2026-03-21T14:50:20Z"`,
		`"2026-03-21T20:20:20.5-08:00"`:    `"2026-03-22T04:20:20Z"`,
		`"1970-01-01T00:00:01Z"`:           `"1970-01-01T00:00:01Z"`,
		`"2262-01-01T00:00:00Z"`:           `"2262-01-01T00:00:00Z"`,
		`"0001-01-01T00:00:00Z"`:           `null`, // Go's way to say that a time is not known
		`null`:                             `null`,
	}
	for given, want := range tests {
		event, err := Parse([]byte(`{"involvedObject":{"kind":"K","name":"n"},"timestamp":` + given + `}`))
		require.NoError(t, err, given)
		got, err := json.Marshal(event.Timestamp)
		require.NoError(t, err, given)
		assert.Equal(t, want, string(got), given)
	}
}

func TestEventTime(t *testing.T) {
	t.Parallel()
	observed := time.Date(2026, time.March, 2, 3, 4, 5, 6, time.FixedZone("", 3600))
	e := Event{Observed: observed}
	assert.Equal(t, observed.UTC(), e.Time(), "the time of arrival stands in")
	e.Timestamp = NewTime(time.Unix(1700000000, 5))
	assert.Equal(t, time.Unix(1700000000, 5).UTC(), e.Time())
	e.Timestamp = NewTime(observed)
	assert.Equal(t, observed.UTC(), e.Time())
	e.Timestamp = NewTime(observed.Add(1))
	assert.Equal(t, observed.UTC(), e.Time(), "the future has not happened yet")
	assertMarshals(t, `{"involvedObject":{},"severity":"","timestamp":"2026-03-02T02:04:05Z","message":"","reason":"","reportingController":""}`, e)
	e.Observed = time.Time{}
	assert.Equal(t, observed.Add(1).UTC(), e.Time(), "the arrival is unknown")
}

func TestTimeKeepsNanoseconds(t *testing.T) {
	t.Parallel()
	e, err := Parse([]byte(`{"involvedObject":{"kind":"K","name":"n"},"timestamp":"2026-03-21T20:20:20.123456789+01:00"}`))
	require.NoError(t, err)
	assert.Equal(t, NewTime(time.Date(2026, time.March, 21, 19, 20, 20, 123456789, time.UTC)), e.Timestamp)
	assert.Equal(t, time.UTC, NewTime(time.Now()).Location())
	assert.NotContains(t, NewTime(time.Now()).String(), "m=", "a record holds no monotonic clock")
	assert.Equal(t, Time{}, NewTime(time.Time{}.In(time.FixedZone("", 3600))))
}

func metadataOf(keys int) string {
	var b strings.Builder
	for i := range keys {
		fmt.Fprintf(&b, `,"k%d":"v:{\""`, i)
	}
	return "{" + strings.TrimPrefix(b.String(), ",") + "}"
}

func TestMetadataIsLimited(t *testing.T) {
	t.Parallel()
	const refused = "not an event: metadata has more than 1000 keys"
	with := func(fields string) string { return strings.TrimSuffix(minimal, "}") + "," + fields + "}" }
	for name, c := range map[string]struct{ body, err string }{
		"as many as allowed": {with(`"metadata":` + metadataOf(1000)), ""},
		"one too many":       {with(`"metadata":` + metadataOf(1001)), refused},
		"far too many":       {with(`"metadata":` + metadataOf(100_000)), refused},
		"another case":       {with(`"MetaData":` + metadataOf(1001)), refused},
		"an escape":          {with(`"m\u0065tadata":` + metadataOf(1001)), refused},
		"in two parts":       {with(`"metadata":` + metadataOf(600) + `,"metadata":` + metadataOf(401)), refused},
		"in two small parts": {with(`"metadata":` + metadataOf(600) + `,"metadata":` + metadataOf(400)), ""},
		"without an object":  {`{"metadata":` + metadataOf(1001) + "}", refused},
		"and a bad field":    {with(`"message":1,"metadata":` + metadataOf(1001)), refused},
		"elsewhere":          {with(`"unknown":` + metadataOf(1001)), ""},
		"nested":             {with(`"metadata":{"k":` + metadataOf(1001) + `}`), "not an event: a value of metadata is an object, expected a string"},
		"a list":             {with(`"metadata":[` + metadataOf(1001) + `]`), "not an event: metadata is an array, expected an object"},
		"colons in a text":   {with(`"message":"` + strings.Repeat("a:", 5000) + `","metadata":{"k":"` + strings.Repeat(`\\\":`, 5000) + `"}`), ""},
		"not JSON":           {`{"metadata":` + metadataOf(1001), "not JSON: unexpected end of JSON input (at byte 14919)"},
	} {
		_, err := Parse([]byte(c.body))
		if c.err == "" {
			require.NoError(t, err, name)
			continue
		}
		require.EqualError(t, err, c.err, name)
	}
}

// Refusing an event with too many keys costs a few readings of its body. The
// work of what is accepted grows no faster than its size.
func TestMetadataIsRefusedCheaply(t *testing.T) {
	body := []byte(`{"involvedObject":{"kind":"K","name":"n"},"metadata":` + metadataOf(150_000) + `}`)
	allocs := testing.AllocsPerRun(3, func() {
		_, err := Parse(body)
		assert.ErrorIs(t, err, errTooMuchMetadata)
	})
	assert.Less(t, allocs, 50.0, "no key is decoded")
}

// Both generations of Flux's event API, as they come over the wire.
func TestParseForms(t *testing.T) {
	t.Parallel()
	want := Event{
		InvolvedObject: Object{
			Kind: "Kustomization", Namespace: "apps", Name: "webapp", UID: "7d0cdc51", APIVersion: "kustomize.toolkit.fluxcd.io/v1",
			ResourceVersion: "4711", FieldPath: "spec.path",
		},
		Severity:            "error",
		Timestamp:           NewTime(time.Date(2026, time.March, 21, 20, 20, 20, 0, time.UTC)),
		Message:             "validation error",
		Reason:              "ValidationFailed",
		Metadata:            map[string]string{"kustomize.toolkit.fluxcd.io/revision": "main@sha1:731f"},
		ReportingController: "kustomize-controller",
		ReportingInstance:   "kustomize-controller-7c7b47f5f-8bhrp",
	}
	const v1beta1 = `{"involvedObject":{"kind":"Kustomization","namespace":"apps","name":"webapp","uid":"7d0cdc51",` +
		`"apiVersion":"kustomize.toolkit.fluxcd.io/v1","resourceVersion":"4711","fieldPath":"spec.path"},` +
		`"severity":"error","timestamp":"2026-03-21T20:20:20Z","message":"validation error","reason":"ValidationFailed",` +
		`"metadata":{"kustomize.toolkit.fluxcd.io/revision":"main@sha1:731f"},` +
		`"reportingController":"kustomize-controller","reportingInstance":"kustomize-controller-7c7b47f5f-8bhrp"}`
	got, err := Parse([]byte(v1beta1))
	require.NoError(t, err)
	assert.Equal(t, want, got)
	assertMarshals(t, v1beta1, got)

	v1 := strings.Replace(v1beta1, `"severity"`, `"relatedObject":{"kind":"GitRepository","namespace":"flux-system","name":"webapp"},"severity"`, 1)
	v1 = strings.Replace(v1, `"metadata"`, `"action":"Reconciling","metadata"`, 1)
	want.RelatedObject = &Object{Kind: "GitRepository", Namespace: "flux-system", Name: "webapp"}
	want.Action = "Reconciling"
	got, err = Parse([]byte(v1))
	require.NoError(t, err)
	assert.Equal(t, want, got)
	assertMarshals(t, v1, got)
}

// What says nothing is left out, as Flux leaves it out.
func TestParseForgetsEmptyParts(t *testing.T) {
	t.Parallel()
	got, err := Parse([]byte(`{"involvedObject":{"kind":"K","name":"n"},"relatedObject":{},"metadata":{},"unknown":[1,2]}`))
	require.NoError(t, err)
	assert.Equal(t, Event{InvolvedObject: Object{Kind: "K", Name: "n"}}, got)
	assertMarshals(t, `{"involvedObject":{"kind":"K","name":"n"},"severity":"","timestamp":null,"message":"","reason":"","reportingController":""}`, got)
}

func TestMarshalEscapesAsGoDoes(t *testing.T) {
	t.Parallel()
	e := Event{InvolvedObject: Object{Kind: "K", Name: "n"}, Message: "<b>&amp;</b> \u2028\n"}
	assertMarshals(t, `{"involvedObject":{"kind":"K","name":"n"},"severity":"","timestamp":null,`+
		`"message":"\u003cb\u003e\u0026amp;\u003c/b\u003e \u2028\n","reason":"","reportingController":""}`, e)
}

func TestRecordedEvents(t *testing.T) {
	t.Parallel()
	for name, body := range recordedEvents(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			event, err := Parse(body)
			require.NoError(t, err)
			once, err := json.Marshal(event)
			require.NoError(t, err)
			assert.JSONEq(t, string(body), string(once), "nothing of the event is lost")
			again, err := Parse(once)
			require.NoError(t, err)
			assert.Equal(t, event, again)
			assertMarshals(t, string(once), again)
		})
	}
}

// This file has its fields in the order in which Flux sends them.
func TestMarshalGivesFluxsBytes(t *testing.T) {
	t.Parallel()
	indented, found := recordedEvents(t)["kustomization-v1.json"]
	require.True(t, found)
	event, err := Parse(indented)
	require.NoError(t, err)
	got, err := json.MarshalIndent(event, "", "  ")
	require.NoError(t, err)
	assert.Equal(t, strings.TrimSpace(string(indented)), string(got))
}

func TestIsError(t *testing.T) {
	t.Parallel()
	for severity, want := range map[string]bool{"error": true, "info": false, "trace": false, "": false, "Error": false, "warning": false} {
		assert.Equal(t, want, (&Event{Severity: severity}).IsError(), severity)
	}
}

func TestObjectGroup(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"": "", "v1": "", "/v1": "", "apps/v1": "apps", "kustomize.toolkit.fluxcd.io/v1": "kustomize.toolkit.fluxcd.io", "apps/": "apps",
	} {
		assert.Equal(t, want, Object{APIVersion: version}.Group(), version)
	}
}

func assertMarshals(t *testing.T, want string, e Event) {
	t.Helper()
	got, err := json.Marshal(e)
	require.NoError(t, err)
	assert.Equal(t, want, string(got))
}

// recordedEvents are the bodies that Flux controllers sent, by file name.
func recordedEvents(tb testing.TB) map[string][]byte {
	tb.Helper()
	files, err := filepath.Glob("../../testdata/events/*.json")
	require.NoError(tb, err)
	require.NotEmpty(tb, files)
	bodies := map[string][]byte{}
	for _, file := range files {
		body, err := os.ReadFile(file)
		require.NoError(tb, err)
		bodies[filepath.Base(file)] = body
	}
	return bodies
}
