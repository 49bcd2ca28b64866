package fluxtrace

import (
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// The attributes of a span. The metadata stands beside them under its own keys.
const (
	attrUID       = "object.uid"
	attrKind      = "object.kind"
	attrName      = "object.name"
	attrNamespace = "object.namespace"
	// attrMessage is Flux's message. A status has one of errors alone.
	attrMessage = "flux.event.message"
)

// The flags of a span
// (https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto).
const (
	// Sampled is the W3C flag of a trace that is kept.
	Sampled = 0x001
	// ParentKnown says that the next flag means something.
	ParentKnown = 0x100
	// ParentRemote says that the trace came from another process.
	ParentRemote = 0x200
)

// Traceable tells whether an event has a place in a trace. That of a
// HelmRepository has none: nothing is ever deployed from the revision of an
// index, so its span would be the only one.
func Traceable(e *fluxevent.Event) bool { return e.InvolvedObject.Kind != "HelmRepository" }

// Fill writes what an event says into a span, but for its IDs and flags. It
// starts and ends when the event happened.
func Fill(span ptrace.Span, n *notify.Notification) {
	o := &n.Event.InvolvedObject
	span.SetName(valid(o.Kind + ": " + o.Namespace + "/" + o.Name))
	span.SetKind(ptrace.SpanKindInternal)
	span.SetStartTimestamp(Timestamp(n))
	span.SetEndTimestamp(Timestamp(n))

	attributes := span.Attributes()
	attributes.EnsureCapacity(5 + len(n.Fields))
	for _, a := range [...]struct{ key, value string }{
		{attrUID, o.UID}, {attrKind, o.Kind}, {attrName, o.Name}, {attrNamespace, o.Namespace}, {attrMessage, n.Event.Message},
	} {
		if a.value != "" {
			attributes.PutStr(a.key, valid(a.value))
		}
	}
	for _, f := range n.Fields {
		// What the event itself says is not the metadata's to change.
		if key := valid(f.Key); !own(key) {
			attributes.PutStr(key, valid(f.Value))
		}
	}
	if n.Event.IsError() {
		span.Status().SetCode(ptrace.StatusCodeError)
		span.Status().SetMessage(valid(n.Event.Message))
		return
	}
	span.Status().SetCode(ptrace.StatusCodeOk)
}

func own(key string) bool {
	switch key {
	case attrUID, attrKind, attrName, attrNamespace, attrMessage:
		return true
	}
	return false
}

// Timestamp is when an event happened, or when it arrived if its own time is
// unknown or in the future; 0 when neither is known.
func Timestamp(n *notify.Notification) pcommon.Timestamp {
	t := n.Time()
	if t.IsZero() {
		return 0
	}
	return pcommon.NewTimestampFromTime(t)
}

// valid makes any text fit for protobuf, whose strings are UTF-8: a strict
// receiver refuses the whole request for one that is not.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
