package outbox

import (
	"container/heap"
	"errors"
	"fmt"
	"time"
)

// Queue holds the notifications of one target.
type Queue struct {
	outbox  *Outbox
	target  string
	options QueueOptions

	lanes   map[uint64]*lane
	fresh   *entry // the first of those that wait for their first attempt
	last    *entry
	retries retries
	turn    bool // whether a retry is next, if both wait
	waiting int  // those being delivered too
	room    chan struct{}
}

// QueueOptions are the settings of a queue.
type QueueOptions struct {
	// Limit is how many notifications may wait. 0: any number.
	Limit int
	// Overflow is what happens to a notification for which there is no room.
	Overflow Overflow
	// Wake is called when Next may have something. It must not block.
	Wake func()
	// Full is called with the content of a notification that is kept as failed because
	// there was no room. It must not block.
	Full func(content []byte)
}

// Overflow is what happens to a notification for which there is no room.
type Overflow int

const (
	// Refuse returns ErrFull to the caller of Accept.
	Refuse Overflow = iota
	// Block lets the caller of Accept wait for room.
	Block
	// FailNew accepts the notification, and keeps it as failed.
	FailNew
)

// ErrFull is the error of a notification for which there is no room.
var ErrFull = errors.New("queue full")

// push appends an entry to its lane. A lane is in the map as long as something waits
// in it.
func (q *Queue) push(e *entry) {
	l := q.lanes[e.lane.key]
	if l == nil {
		l = e.lane
		l.first, l.last = e, e
		q.lanes[l.key] = l
		q.schedule(e)
		return
	}
	e.lane = l
	l.last.next = e
	l.last = e
}

// add counts what waits.
func (q *Queue) add(n int) {
	q.waiting += n
	q.outbox.waiting += n
}

// full reports that there is no room for more.
func (q *Queue) full(more int) bool {
	o := q.outbox
	return q.options.Limit > 0 && q.waiting+more > q.options.Limit ||
		o.journal == nil && o.options.MaxWaiting > 0 && o.waiting+more > o.options.MaxWaiting
}

// schedule makes the first entry of a lane due: now, or at its time if it was
// attempted before.
func (q *Queue) schedule(e *entry) {
	if e.attempts > 0 {
		heap.Push(&q.retries, e)
		return
	}
	if q.fresh == nil {
		q.fresh = e
	} else {
		q.last.ready = e
	}
	q.last = e
}

// leave takes the first entry out of its lane, and makes the next one due.
func (q *Queue) leave(e *entry) {
	l := e.lane
	l.first = e.next
	e.next = nil
	q.add(-1)
	if q.room != nil {
		close(q.room)
		q.room = nil
	}
	if l.first == nil {
		l.last = nil
		delete(q.lanes, l.key)
		e.lane = &lane{key: l.key}
		return
	}
	q.schedule(l.first)
}

// Next returns the notification that is due, if any. First attempts and due retries
// are returned in turn, so that neither keeps the other waiting; retries are left out
// unless they are wanted. Without an item, wait is how long until one is due; 0: until
// Wake is called.
func (q *Queue) Next(retriesToo bool) (item *Item, wait time.Duration) {
	q.outbox.mu.Lock()
	defer q.outbox.mu.Unlock()
	now := q.outbox.now()
	switch due := retriesToo && q.retryDue(now); {
	case due && (q.turn || q.fresh == nil):
		q.turn = false
		return q.item(heap.Pop(&q.retries).(*entry), now), 0
	case q.fresh != nil:
		q.turn = true
		e := q.fresh
		q.fresh, e.ready = e.ready, nil
		return q.item(e, now), 0
	case len(q.retries) > 0 && retriesToo:
		return nil, q.retries[0].due - now
	}
	return nil, 0
}

func (q *Queue) retryDue(now time.Duration) bool {
	return len(q.retries) > 0 && q.retries[0].due <= now
}

func (q *Queue) item(e *entry, now time.Duration) *Item {
	return &Item{
		Accepted: time.Unix(0, e.accepted), Attempts: int(e.attempts), Progress: int(e.progress),
		Content: e.content, More: q.fresh != nil || q.retryDue(now), entry: e,
	}
}

// NextOlder returns a notification that was accepted before a moment, and is first in its
// lane, whether it is due or not.
func (q *Queue) NextOlder(than time.Time) *Item {
	q.outbox.mu.Lock()
	defer q.outbox.mu.Unlock()
	now := q.outbox.now()
	for i, e := range q.retries {
		if e.accepted < than.UnixNano() {
			heap.Remove(&q.retries, i)
			return q.item(e, now)
		}
	}
	var before *entry
	for e := q.fresh; e != nil; before, e = e, e.ready {
		if e.accepted >= than.UnixNano() {
			continue
		}
		if before == nil {
			q.fresh = e.ready
		} else {
			before.ready = e.ready
		}
		if q.last == e {
			q.last = before
		}
		e.ready = nil
		return q.item(e, now)
	}
	return nil
}

// Waiting is how many notifications wait, those being delivered too.
func (q *Queue) Waiting() int {
	q.outbox.mu.Lock()
	defer q.outbox.mu.Unlock()
	return q.waiting
}

// Oldest is when the oldest waiting notification was accepted. The zero time: none
// waits.
func (q *Queue) Oldest() time.Time {
	q.outbox.mu.Lock()
	defer q.outbox.mu.Unlock()
	var oldest int64
	for _, l := range q.lanes {
		if oldest == 0 || l.first.accepted < oldest {
			oldest = l.first.accepted
		}
	}
	if oldest == 0 {
		return time.Time{}
	}
	return time.Unix(0, oldest)
}

// Hurry makes everything that waits for a retry due now.
func (q *Queue) Hurry() {
	q.outbox.mu.Lock()
	now := q.outbox.now()
	for _, e := range q.retries {
		e.due = min(e.due, now)
	}
	heap.Init(&q.retries)
	q.outbox.mu.Unlock()
	q.wake()
}

// CallersLeft makes due what waits for callers that wait no longer.
func (q *Queue) CallersLeft() {
	q.outbox.mu.Lock()
	for _, e := range q.retries {
		if e.caller != nil && e.caller.Context.Err() != nil {
			e.due = 0
		}
	}
	heap.Init(&q.retries)
	q.outbox.mu.Unlock()
	q.wake()
}

// wake must not be called under the outbox's lock.
func (q *Queue) wake() {
	if q.options.Wake != nil {
		q.options.Wake()
	}
}

// Caller is the one that waits for the outcome. nil: none.
func (i *Item) Caller() *Caller { return i.entry.caller }

// ID identifies the notification as long as it is in the outbox, over restarts too.
func (i *Item) ID() string { return formatID(i.entry.id) }

// Load reads the content, if it is not in memory.
func (i *Item) Load() error {
	o := i.entry.queue.outbox
	if i.Content != nil || o.journal == nil {
		return nil
	}
	content, err := o.read(i.entry.slot)
	i.Content = content
	return err
}

// Done removes a notification that was delivered. It returns when that is durable, so
// that after a kill no more is delivered again than there are callers. If the storage
// cannot be written, it returns all the same.
func (i *Item) Done() {
	e := i.entry
	q := e.queue
	q.outbox.mu.Lock()
	q.leave(e)
	gone := q.outbox.forget(e)
	q.outbox.mu.Unlock()
	if gone != nil {
		<-gone
	}
	if e.caller != nil {
		e.caller.Done(nil)
	}
	q.wake()
}

// Again makes a notification due after a delay, and notes why. progress is for the
// next Item.
func (i *Item) Again(delay time.Duration, why string, progress int) {
	e := i.entry
	q := e.queue
	q.outbox.mu.Lock()
	e.attempts++
	e.progress = uint32(progress)
	e.err = q.outbox.intern(why)
	e.due = q.outbox.now() + max(delay, 0)
	if e.caller != nil && e.caller.Context.Err() != nil {
		e.due = 0
	}
	q.outbox.rewrite(e, i.Content, stateWaiting)
	q.schedule(e)
	q.outbox.mu.Unlock()
	q.wake()
}

// Release returns a notification that was not attempted.
func (i *Item) Release() {
	e := i.entry
	q := e.queue
	q.outbox.mu.Lock()
	if e.attempts > 0 {
		heap.Push(&q.retries, e)
	} else {
		e.ready, q.fresh = q.fresh, e
		if q.last == nil || e.ready == nil {
			q.last = e
		}
	}
	q.outbox.mu.Unlock()
}

// Fail keeps a notification as failed, or returns the error to the caller who waits.
func (i *Item) Fail(reason error) {
	e := i.entry
	q := e.queue
	q.outbox.mu.Lock()
	q.leave(e)
	if e.caller == nil {
		q.outbox.keepFailed(e, i.Content, reason.Error())
	} else {
		q.outbox.forget(e)
	}
	q.outbox.mu.Unlock()
	if e.caller != nil {
		e.caller.Done(reason)
	}
	q.wake()
}

func formatID(id uint64) string { return fmt.Sprintf("%x", id) }
