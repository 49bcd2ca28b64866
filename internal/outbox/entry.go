package outbox

import (
	"context"
	"time"
)

// entry is a notification in the outbox. While it waits it is all that is in memory
// of it, if there is a storage: less than 200 bytes.
type entry struct {
	id       uint64
	seq      uint64 // the place in the order of acceptance
	queue    *Queue
	lane     *lane
	next     *entry // in its lane
	ready    *entry // in the list of those that wait for their first attempt
	due      time.Duration
	accepted int64 // nanoseconds since 1970
	finished int64 // likewise, of a failed one
	content  []byte
	err      string
	caller   *Caller
	digest   Digest
	slot     uint32
	attempts uint32
	progress uint32
	heap     int32 // its place among those that wait for a retry
}

// Caller waits for the outcome of a notification. Such a notification is not kept
// when it fails: the caller still has it.
type Caller struct {
	// Context ends when the caller waits no longer.
	Context context.Context
	// Done is called once, with nil or with the error of Fail.
	Done func(error)
}

// Item is a notification that is due. The caller of Next calls exactly one of
// Done, Again and Fail.
type Item struct {
	// Accepted is when it was accepted.
	Accepted time.Time
	// Attempts is how often it was attempted before, Progress what Again was given.
	Attempts, Progress int
	// Content is set by Load.
	Content []byte
	// More reports that another one was due at the same time.
	More bool

	entry *entry
}

// record is the stored form of the entry.
func (e *entry) record(content []byte, s state) *record {
	r := &record{
		id: e.id, seq: e.seq, state: s, target: e.queue.target, lane: e.lane.key,
		accepted: time.Unix(0, e.accepted), attempts: uint64(e.attempts), progress: uint64(e.progress),
		err: e.err, digest: e.digest, content: content,
	}
	if e.finished != 0 {
		r.finished = time.Unix(0, e.finished)
	}
	return r
}

// lane holds the notifications that must be delivered in order, the oldest first.
type lane struct {
	key         uint64
	first, last *entry
}

// retries is a heap of the entries that wait for a retry, the earliest first.
type retries []*entry

func (h retries) Len() int { return len(h) }

func (h retries) Less(i, j int) bool {
	if h[i].due != h[j].due {
		return h[i].due < h[j].due
	}
	return h[i].seq < h[j].seq
}

func (h retries) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].heap, h[j].heap = int32(i), int32(j)
}

// Push implements heap.Interface.
func (h *retries) Push(x any) {
	e := x.(*entry)
	e.heap = int32(len(*h))
	*h = append(*h, e)
}

// Pop implements heap.Interface.
func (h *retries) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return e
}
