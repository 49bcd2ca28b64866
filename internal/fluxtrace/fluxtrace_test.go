package fluxtrace_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/fluxnotify/otelcol-flux/internal/alert"
	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/fluxtrace"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

// TestIDs pins what must not change between releases: a span that comes again
// after an update is the same one.
func TestIDs(t *testing.T) {
	t.Parallel()
	trace := fluxtrace.TraceID("df905058-dd67-a409-fef8-1480e81e4736", "main@sha1:5394cb7f48332b2de7c17dd8b8384bbc84b7e738")
	assert.Equal(t, "819fc03ab70acc3a2e1f20ac2d90c24c", trace.String(), "as in Flux")
	assert.Equal(t, "c4696b576e41dd4c", fluxtrace.RootSpanID(trace).String())
	e := providertest.Event(t, "kustomization-failed")
	assert.Equal(t, "ceae4667bc6e3731", fluxtrace.SpanID(trace, alert.Everything(&e)).String())

	other := fluxtrace.TraceID("df905058-dd67-a409-fef8-1480e81e4736", "unknown")
	assert.NotEqual(t, fluxtrace.RootSpanID(trace), fluxtrace.RootSpanID(other))
	assert.NotEqual(t, fluxtrace.SpanID(trace, alert.Everything(&e)), fluxtrace.SpanID(other, alert.Everything(&e)))
}

func TestTimestamp(t *testing.T) {
	t.Parallel()
	happened, arrived := time.Unix(1_700_000_000, 0), time.Unix(1_700_000_060, 0)
	for name, c := range map[string]struct {
		event fluxevent.Event
		want  pcommon.Timestamp
	}{
		"both":    {fluxevent.Event{Timestamp: fluxevent.NewTime(happened), Observed: arrived}, pcommon.NewTimestampFromTime(happened)},
		"arrival": {fluxevent.Event{Observed: arrived}, pcommon.NewTimestampFromTime(arrived)},
		"future":  {fluxevent.Event{Timestamp: fluxevent.NewTime(arrived.Add(1)), Observed: arrived}, pcommon.NewTimestampFromTime(arrived)},
		"nanoseconds": {
			fluxevent.Event{Timestamp: fluxevent.NewTime(happened.Add(7)), Observed: arrived}, pcommon.NewTimestampFromTime(happened.Add(7)),
		},
		"neither": {fluxevent.Event{}, 0},
	} {
		assert.Equal(t, c.want, fluxtrace.Timestamp(&notify.Notification{Event: c.event}), name)
	}
}

// The same event is the same span, also when it arrives twice and its sender's
// clock is ahead.
func TestSpanIDIgnoresTheArrival(t *testing.T) {
	t.Parallel()
	id := func(happened, arrived int64) pcommon.SpanID {
		e := fluxevent.Event{Observed: time.Unix(arrived, 0)}
		if happened != 0 {
			e.Timestamp = fluxevent.NewTime(time.Unix(happened, 0))
		}
		return fluxtrace.SpanID(pcommon.TraceID{}, &notify.Notification{Event: e})
	}
	assert.Equal(t, id(1000, 1), id(1000, 2), "in the future")
	assert.Equal(t, id(1000, 2000), id(1000, 3000), "in the past")
	assert.NotEqual(t, id(1000, 1), id(1001, 1))
	assert.NotEqual(t, id(0, 1), id(0, 2), "without a time of its own")
}

func TestFill(t *testing.T) {
	t.Parallel()
	for severity, want := range map[string]struct {
		code    ptrace.StatusCode
		message string
	}{
		"error": {ptrace.StatusCodeError, "it \uFFFD"},
		"info":  {ptrace.StatusCodeOk, ""},
		"trace": {ptrace.StatusCodeOk, ""},
	} {
		span := ptrace.NewSpan()
		fluxtrace.Fill(span, notify.New(&fluxevent.Event{
			InvolvedObject: fluxevent.Object{Kind: "Bucket", Name: "b"}, Severity: severity, Message: "it \xff",
		}, []notify.Field{{Key: "z", Value: ""}, {Key: "a\xff", Value: "\xfe"}, {Key: "object.kind", Value: "Secret"}}, notify.Alert{}))
		assert.Equal(t, "Bucket: /b", span.Name())
		assert.Equal(t, want.code, span.Status().Code(), severity)
		assert.Equal(t, want.message, span.Status().Message(), severity)
		assert.Equal(t, map[string]any{
			"object.kind": "Bucket", "object.name": "b", "flux.event.message": "it \uFFFD", "a\uFFFD": "\uFFFD", "z": "",
		}, span.Attributes().AsRaw())
	}
}
