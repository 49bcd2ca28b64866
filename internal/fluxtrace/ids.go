// Package fluxtrace makes spans of events. Everything about a span is derived
// from its event, so that whoever makes it, however often and in whatever
// order, makes the same one.
package fluxtrace

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"hash"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// TraceID is that of a revision, as Flux derives it. The identity tells the
// traces of one observer (an alert, a cluster) from those of another.
func TraceID(identity, revision string) pcommon.TraceID {
	sum := sha256.Sum256([]byte(identity + ":" + revision))
	return pcommon.TraceID(sum[:16])
}

// RootSpanID is that of a trace's one root: children name their parent without
// having seen it.
func RootSpanID(trace pcommon.TraceID) pcommon.SpanID {
	h := sha256.New()
	write(h, "root")
	write(h, string(trace[:]))
	return spanID(h)
}

// SpanID is that of an event in a trace: a repetition of the event is the same
// span.
func SpanID(trace pcommon.TraceID, n *notify.Notification) pcommon.SpanID {
	h := sha256.New()
	write(h, "event")
	write(h, string(trace[:]))
	// An event is strings, a map of them, and a time that its own marshaller
	// writes: there is nothing in it that could not be written.
	body, _ := json.Marshal(&n.Event)
	write(h, string(body))
	_ = binary.Write(h, binary.BigEndian, uint64(identifying(n)))
	return spanID(h)
}

// identifying is the time that identifies an event: its own, also where that is
// in the future and Timestamp is the one of its arrival.
func identifying(n *notify.Notification) pcommon.Timestamp {
	if at := n.Event.Timestamp; !at.IsZero() {
		return pcommon.NewTimestampFromTime(at.Time)
	}
	return Timestamp(n)
}

// write puts a length before the part, so that no two lists of parts look the
// same.
func write(h hash.Hash, part string) {
	_ = binary.Write(h, binary.BigEndian, uint64(len(part)))
	_, _ = h.Write([]byte(part))
}

func spanID(h hash.Hash) pcommon.SpanID { return pcommon.SpanID(h.Sum(nil)[:8]) }
