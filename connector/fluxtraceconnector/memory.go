package fluxtraceconnector

import (
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
)

// memory knows the latest events, as many as it has room for. It has no clock:
// what belongs together is decided by the times of the events, so that old
// events, read again, make the same spans.
type memory struct {
	interval time.Duration

	mu     sync.Mutex
	latest *simplelru.LRU[key, moment]
	first  *simplelru.LRU[pcommon.TraceID, pcommon.SpanID]
}

// key is an object at a revision. Names are as long as a sender likes, so they
// are not kept.
type key struct {
	trace  pcommon.TraceID
	object uint64
}

// moment is the latest event of an object at a revision.
type moment struct {
	span  pcommon.SpanID
	at    pcommon.Timestamp
	start pcommon.Timestamp // of its span
	// update marks what controllers repeat for commit statuses.
	update bool
	// silent marks what had no span.
	silent bool
}

var seed = maphash.MakeSeed()

func keyOf(trace pcommon.TraceID, o *fluxevent.Object) key {
	return key{trace, maphash.Comparable(seed, [...]string{o.Kind, o.Namespace, o.Name})}
}

func newMemory(config *MemoryConfig) (*memory, error) {
	m := &memory{interval: config.Interval}
	var err error
	if m.latest, err = simplelru.NewLRU[key, moment](config.MaxEntries, nil); err != nil {
		return nil, fmt.Errorf("memory::max_entries: %w", err)
	}
	if m.first, err = simplelru.NewLRU[pcommon.TraceID, pcommon.SpanID](config.MaxEntries, nil); err != nil {
		return nil, fmt.Errorf("memory::max_entries: %w", err)
	}
	return m, nil
}

// turn is what one request changes; it can be taken back.
type turn struct {
	*memory
	changes []func()
}

func (m *memory) turn() *turn { return &turn{memory: m} }

// undo takes back what nobody has changed since.
func (t *turn) undo() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, restore := range slices.Backward(t.changes) {
		restore()
	}
}

// continues tells when the span of an event starts: when the event before it
// was, if that is near enough, else when it happened itself. ok is false for
// what says nothing new: controllers repeat, at every reconciliation, that a
// revision is applied still.
func (t *turn) continues(k key, now moment) (start pcommon.Timestamp, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	last, known := t.latest.Get(k)
	now.start = now.at
	now.silent = known && last.update && now.update
	switch {
	case known && now.span == last.span: // a repetition is the same span
		return last.start, !last.silent
	case known && now.at < last.at: // it comes late, and continues nothing that is known
		return now.start, !now.silent
	case known && now.at-last.at <= pcommon.Timestamp(t.interval):
		now.start = last.at
	}
	remember(t, t.latest, k, now)
	return now.start, !now.silent
}

// roots tells whether an event is the root of its trace: the first of any
// source with that revision.
func (t *turn) roots(trace pcommon.TraceID, span pcommon.SpanID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if first, known := t.first.Get(trace); known {
		return first == span
	}
	remember(t, t.first, trace, span)
	return true
}

// remember changes an entry and notes how to take that back.
func remember[K, V comparable](t *turn, entries *simplelru.LRU[K, V], k K, now V) {
	before, known := entries.Peek(k)
	entries.Add(k, now)
	t.changes = append(t.changes, func() {
		switch current, kept := entries.Peek(k); {
		case !kept || current != now: // forgotten, or another's by now
		case known:
			entries.Add(k, before)
		default:
			entries.Remove(k)
		}
	})
}
