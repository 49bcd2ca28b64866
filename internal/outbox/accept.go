package outbox

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/extension/xextension/storage"
)

// Draft is a notification to accept.
type Draft struct {
	Queue *Queue
	// Lane orders: notifications of one lane of a queue are delivered one after the
	// other.
	Lane    uint64
	Content []byte
	// Caller waits for the outcome. nil: none.
	Caller *Caller
}

// Record is what one log record wants sent. Its notifications are accepted together,
// or none of them is.
type Record struct {
	// Digest recognises a sender's repetition. Zero: every record is new.
	Digest Digest
	Drafts []Draft
}

// batch is one call of Accept on its way into the storage.
type batch struct {
	entries []*entry
	records []int // those that the entries are of
	digests []Digest
	ops     []*storage.Operation
	full    []*Draft // those for which there was no room
	head    uint32   // the slots of the head that is written with it; 0: none is
	done    chan struct{}
	err     error
}

// Accept stores the notifications of records, and returns an error for each, nil where
// it is stored. A record that was accepted within the last ten minutes is accepted
// again, and nothing is stored.
func (o *Outbox) Accept(ctx context.Context, records []Record) []error {
	errs := make([]error, len(records))
	var batches []*batch
	current := &batch{}
	submit := func() {
		if len(current.entries) > 0 {
			o.submit(current)
			batches = append(batches, current)
			current = &batch{}
		}
	}
	for i, record := range records {
		for {
			blocked, err := o.admit(current, i, &record)
			if blocked == nil {
				errs[i] = err
				break
			}
			submit() // what this call has may be what it waits for
			select {
			case <-blocked:
				continue
			case <-ctx.Done():
				errs[i] = ctx.Err()
			}
			break
		}
	}
	submit()
	for _, b := range batches {
		if err := b.wait(ctx); err != nil {
			for _, i := range b.records {
				errs[i] = err
			}
		}
	}
	return errs
}

// wait returns once the batch is stored. Without a storage it always is.
func (b *batch) wait(ctx context.Context) error {
	if b.done == nil {
		return nil
	}
	select {
	case <-b.done:
		return b.err
	case <-ctx.Done():
		return ctx.Err() // if it is stored yet, a repetition is recognised
	}
}

// admit adds a record to a batch. blocked is what to wait for before trying again.
func (o *Outbox) admit(b *batch, index int, r *Record) (blocked chan struct{}, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return nil, ErrClosed
	}
	if len(r.Drafts) == 0 {
		return nil, nil
	}
	if r.Digest != (Digest{}) {
		if o.recent.has(r.Digest) {
			return nil, nil
		}
		if done, twin := o.arriving[r.Digest]; twin {
			return done, nil
		}
	}
	if blocked, err := o.reserve(r); blocked != nil || err != nil {
		return blocked, err
	}
	for i := range r.Drafts {
		b.entries = append(b.entries, o.entry(b, r, &r.Drafts[i]))
	}
	b.records = append(b.records, index)
	if o.journal == nil {
		o.recent.add(r.Digest)
	} else if r.Digest != (Digest{}) {
		if b.done == nil {
			b.done = make(chan struct{})
		}
		o.arriving[r.Digest] = b.done
		b.digests = append(b.digests, r.Digest)
	}
	return nil, nil
}

// reserve takes room for all notifications of a record, or for none.
func (o *Outbox) reserve(r *Record) (blocked chan struct{}, err error) {
	for i := range r.Drafts {
		q := r.Drafts[i].Queue
		wanted := 0
		for j := range r.Drafts {
			if r.Drafts[j].Queue == q {
				wanted++
			}
		}
		limit := q.options.Limit
		switch {
		case q.options.Overflow == FailNew, !q.full(wanted):
		case q.options.Overflow == Block && wanted <= limit:
			if q.room == nil {
				q.room = make(chan struct{})
			}
			return q.room, nil
		default:
			return nil, fmt.Errorf("%w: %d notifications wait, queue_size is %d", ErrFull, q.waiting, limit)
		}
	}
	return nil, nil
}

// entry makes the entry of a draft, and of a storage the operations that write it.
func (o *Outbox) entry(b *batch, r *Record, d *Draft) *entry {
	q := d.Queue
	o.count++
	e := &entry{
		id: o.epoch<<countBits | o.count, seq: o.epoch<<countBits | o.count, queue: q, lane: &lane{key: d.Lane},
		accepted: time.Now().UnixNano(), digest: r.Digest, caller: d.Caller,
	}
	s := stateWaiting
	if q.full(1) {
		s = stateFailed
		e.finished, e.err = e.accepted, o.intern(ErrFull.Error())
		b.full = append(b.full, d)
	} else {
		q.add(1)
	}
	if o.journal == nil {
		o.cache(e, d.Content)
		return e
	}
	o.takeSlot(e)
	o.cache(e, d.Content)
	b.ops = append(b.ops, storage.SetOperation(slotKey(e.slot), e.record(d.Content, s).marshal()))
	return e
}

// takeSlot gives an entry a slot.
func (o *Outbox) takeSlot(e *entry) {
	if n := len(o.free); n > 0 {
		e.slot = o.free[n-1]
		o.free = o.free[:n-1]
		return
	}
	e.slot = o.slots
	o.slots++
}

// writeHead adds the head to the transaction of a batch, unless what is stored includes
// all slots and is of this start. It is called in the order of the transactions, so the
// stored head never goes back.
func (o *Outbox) writeHead(b *batch) {
	if o.slots <= o.headSlots {
		return
	}
	b.head = (o.slots + slotsStep - 1) / slotsStep * slotsStep
	h := head{epoch: o.epoch, slots: b.head}
	b.ops = append(b.ops, storage.SetOperation(headKey, h.marshal()))
}

// submit hands a batch to the journal, or puts it into its lanes at once.
func (o *Outbox) submit(b *batch) {
	if o.journal == nil {
		o.mu.Lock()
		o.publish(b)
		o.mu.Unlock()
		b.wake()
		return
	}
	if b.done == nil {
		b.done = make(chan struct{})
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.writeHead(b)
	o.journal.add(&ticket{kind: kindAccept, ops: b.ops, settle: func(err error) { o.settle(b, err) }})
}

// settle is called when a batch is stored, or cannot be.
func (o *Outbox) settle(b *batch, err error) {
	o.mu.Lock()
	for _, digest := range b.digests {
		delete(o.arriving, digest)
		if err == nil {
			o.recent.add(digest)
		}
	}
	if err == nil {
		o.headSlots = max(o.headSlots, b.head)
		o.publish(b)
	} else {
		o.withdraw(b)
	}
	o.mu.Unlock()
	b.err = err
	close(b.done)
	b.wake()
}

// publish puts entries into their lanes.
func (o *Outbox) publish(b *batch) {
	for _, e := range b.entries {
		if e.finished != 0 {
			o.addFailed(e)
			continue
		}
		e.queue.push(e)
	}
}

// withdraw takes back what could not be stored.
func (o *Outbox) withdraw(b *batch) {
	for _, e := range b.entries {
		o.cached -= len(e.content)
		o.free = append(o.free, e.slot)
		if e.finished == 0 {
			e.queue.add(-1)
			if e.queue.room != nil {
				close(e.queue.room)
				e.queue.room = nil
			}
		}
	}
}

// wake wakes the queues of a batch.
func (b *batch) wake() {
	for _, d := range b.full {
		if d.Queue.options.Full != nil && b.err == nil {
			d.Queue.options.Full(d.Content)
		}
	}
	var last *Queue
	for _, e := range b.entries {
		if e.queue != last {
			e.queue.wake()
			last = e.queue
		}
	}
}

// Known reports whether a record was accepted, or remembered, within the last ten minutes.
func (o *Outbox) Known(d Digest) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return d != (Digest{}) && o.recent.has(d)
}

// Remember makes a record known.
func (o *Outbox) Remember(d Digest) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.recent.add(d)
}
