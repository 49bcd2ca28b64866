package outbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/zap"
)

// Outbox holds the notifications of all targets of one exporter.
type Outbox struct {
	options Options
	journal *journal // nil: everything is in memory
	began   time.Time

	mu     sync.Mutex
	closed bool
	queues map[string]*Queue
	recent *recent
	// arriving are the records whose notifications are being stored.
	arriving    map[Digest]chan struct{}
	failed      []*entry // those that are kept, the oldest first
	failedBytes int      // of their content in memory
	lastErr     string
	waiting     int // in all queues

	epoch, count uint64
	free         []uint32 // slots, the last is used first
	slots        uint32   // those above were never used
	headSlots    uint32   // what the stored head says
	cached       int      // bytes of content in memory, of what is also stored
}

// Options are the settings of an outbox.
type Options struct {
	// Client is the storage. nil: notifications are kept in memory only.
	Client storage.Client
	// MaxFailed is how many failed notifications are kept, MaxFailedAge for how long.
	MaxFailed    int
	MaxFailedAge time.Duration
	Logger       *zap.Logger
	// MaxWaiting bounds the notifications of all targets that wait in memory. 0: no
	// bound. With a storage it does not apply.
	MaxWaiting int

	cache int // maxCached, but in tests
}

const (
	// maxCached bounds the content in memory of what is also stored, in bytes. What is
	// delivered at once need not be read back.
	maxCached = 4 << 20
	// slotsStep is how many slots the head is ahead, so that it is written rarely.
	slotsStep = 1024
	// countBits is the part of a sequence number below the epoch.
	countBits = 40
	// readStep is how many slots are read in one transaction at startup.
	readStep = 512
)

// ErrClosed is the error of a notification that arrives after Close.
var ErrClosed = errors.New("the exporter has been shut down")

// Open reads what the storage holds.
func Open(ctx context.Context, options Options) (*Outbox, error) {
	o := &Outbox{
		options: options, began: time.Now(), queues: map[string]*Queue{},
		recent: newRecent(), arriving: map[Digest]chan struct{}{}, epoch: 1,
	}
	if options.Client == nil {
		return o, nil
	}
	if err := o.restore(ctx); err != nil {
		return nil, err
	}
	o.journal = newJournal(options.Client, options.Logger)
	return o, nil
}

// restore reads the entries of all slots.
func (o *Outbox) restore(ctx context.Context) error {
	stored, err := o.options.Client.Get(ctx, headKey)
	if err != nil {
		return fmt.Errorf("reading: %w", err)
	}
	if len(stored) == 0 {
		return nil
	}
	h, err := unmarshalHead(stored)
	if err != nil {
		return err
	}
	o.epoch = h.epoch + 1
	var restored []*entry
	for first := uint32(0); first < h.slots; first += readStep {
		ops := make([]*storage.Operation, 0, readStep)
		for slot := first; slot < min(first+readStep, h.slots); slot++ {
			ops = append(ops, storage.GetOperation(slotKey(slot)))
		}
		if err := o.options.Client.Batch(ctx, ops...); err != nil {
			return fmt.Errorf("reading: %w", err)
		}
		for i, op := range ops {
			if e := o.restoreSlot(first+uint32(i), op.Value); e != nil {
				restored = append(restored, e)
			}
		}
	}
	o.order(restored)
	return nil
}

// restoreSlot reads one slot; nil if nothing is in it.
func (o *Outbox) restoreSlot(slot uint32, value []byte) *entry {
	if len(value) == 0 {
		return nil
	}
	o.useSlots(slot)
	r, err := unmarshalRecord(value)
	if err != nil {
		o.options.Logger.Error("a stored notification cannot be read, it is left in the storage", zap.String("key", slotKey(slot)), zap.Error(err))
		o.slots = slot + 1
		return nil
	}
	o.slots = slot + 1
	q := o.queue(r.target)
	e := &entry{
		id: r.id, seq: r.seq, queue: q, lane: &lane{key: r.lane}, accepted: r.accepted.UnixNano(), err: o.intern(r.err),
		digest: r.digest, slot: slot, attempts: uint32(r.attempts), progress: uint32(r.progress),
	}
	if r.state == stateFailed {
		e.finished = r.finished.UnixNano()
		return e
	}
	o.cache(e, slices.Clone(r.content))
	return e
}

// useSlots notes that the slots up to this one are free.
func (o *Outbox) useSlots(slot uint32) {
	for ; o.slots < slot; o.slots++ {
		o.free = append(o.free, o.slots)
	}
}

// order puts restored entries into their lanes, in the order of acceptance.
func (o *Outbox) order(restored []*entry) {
	slices.SortFunc(restored, func(a, b *entry) int { return cmp.Compare(a.seq, b.seq) })
	for _, e := range restored {
		o.recent.add(e.digest)
		if e.finished != 0 {
			o.failed = append(o.failed, e)
			continue
		}
		e.queue.add(1)
		e.queue.push(e)
	}
	slices.SortStableFunc(o.failed, func(a, b *entry) int { return cmp.Compare(a.finished, b.finished) })
}

// now is the time of the schedule, which no step of the wall clock changes.
func (o *Outbox) now() time.Duration { return time.Since(o.began) }

// queue returns the queue of a target, with or without options.
func (o *Outbox) queue(target string) *Queue {
	q := o.queues[target]
	if q == nil {
		q = &Queue{outbox: o, target: target, lanes: map[uint64]*lane{}}
		o.queues[target] = q
	}
	return q
}

// Queue returns the queue of a target, with what a former start has left in it.
func (o *Outbox) Queue(target string, options QueueOptions) *Queue {
	o.mu.Lock()
	q := o.queue(target)
	q.options = options
	o.mu.Unlock()
	q.wake()
	return q
}

// Targets are the names of the targets for which something waits.
func (o *Outbox) Targets() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var names []string
	for name, q := range o.queues {
		if q.waiting > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Forget removes the queue of a target for which nothing waits.
func (o *Outbox) Forget(target string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if q := o.queues[target]; q != nil && q.waiting == 0 {
		delete(o.queues, target)
	}
}

// intern returns one copy of equal texts in a row: when an endpoint is down, all
// errors are equal.
func (o *Outbox) intern(text string) string {
	if text != o.lastErr {
		o.lastErr = text
	}
	return o.lastErr
}

// cache keeps the content of an entry in memory: if there is no storage, or if there
// is room.
func (o *Outbox) cache(e *entry, content []byte) {
	if o.options.Client != nil {
		if o.cached+len(content) > cmp.Or(o.options.cache, maxCached) {
			return
		}
		o.cached += len(content)
	}
	if cap(content)-len(content) > len(content)/8 { // it may stay for hours
		content = slices.Clone(content)
	}
	e.content = content
}

// forget removes an entry from the storage. gone is closed when that is written, or
// cannot be; nil: nothing is stored.
func (o *Outbox) forget(e *entry) (gone chan struct{}) {
	if o.journal == nil {
		return nil
	}
	o.release(e)
	gone = make(chan struct{})
	o.journal.add(&ticket{
		kind: kindChange, ops: []*storage.Operation{storage.DeleteOperation(slotKey(e.slot))},
		settle: func(error) { close(gone) },
	})
	o.free = append(o.free, e.slot)
	return gone
}

// release drops the content of an entry from memory, if it is also stored.
func (o *Outbox) release(e *entry) {
	if o.journal != nil {
		o.cached -= len(e.content)
		e.content = nil
	}
}

// rewrite stores what has changed of an entry.
func (o *Outbox) rewrite(e *entry, content []byte, s state) {
	if o.journal == nil || content == nil {
		return
	}
	value := e.record(content, s).marshal()
	o.journal.add(&ticket{kind: kindChange, ops: []*storage.Operation{storage.SetOperation(slotKey(e.slot), value)}})
}

// read reads the content of a slot.
func (o *Outbox) read(slot uint32) ([]byte, error) {
	op := storage.GetOperation(slotKey(slot))
	done := make(chan error, 1)
	o.journal.add(&ticket{kind: kindRead, ops: []*storage.Operation{op}, settle: func(err error) { done <- err }})
	if err := <-done; err != nil {
		return nil, fmt.Errorf("reading a stored notification: %w", err)
	}
	r, err := unmarshalRecord(op.Value)
	if err != nil {
		return nil, fmt.Errorf("reading a stored notification: %w", err)
	}
	return r.content, nil
}

// Close writes what is left to write, and closes the storage.
func (o *Outbox) Close(ctx context.Context) error {
	o.mu.Lock()
	closed := o.closed
	o.closed = true
	o.mu.Unlock()
	if closed || o.journal == nil {
		return nil
	}
	return o.journal.close(ctx)
}
