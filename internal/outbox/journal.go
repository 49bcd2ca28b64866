package outbox

import (
	"context"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/zap"
)

// journal writes to the storage. It is one goroutine: whatever arrives while a
// transaction is under way goes into the next one, so concurrent senders share a
// transaction, and its disk sync.
type journal struct {
	client storage.Client
	logger *zap.Logger

	mu      sync.Mutex
	waiting []*ticket
	wake    chan struct{} // of capacity 1
	stop    chan struct{}
	ended   sync.WaitGroup

	// several reports that the last transaction had more than one ticket. Only the goroutine
	// uses it, and overdue.
	several bool
	// overdue are the changes that could not be written yet, at most one a key.
	overdue []*storage.Operation
}

// ticket is a group of operations of one transaction.
type ticket struct {
	kind ticketKind
	ops  []*storage.Operation
	// settle is called with the result, in the order of the tickets. nil: none.
	settle func(error)
}

type ticketKind int

const (
	// kindAccept fails if it cannot be written.
	kindAccept ticketKind = iota
	// kindChange is written later if it cannot be written now.
	kindChange
	// kindRead fails only if it cannot be read.
	kindRead
)

const (
	// maxTickets is how many tickets one transaction holds.
	maxTickets = 512
	// gatherTime is how long the first ticket waits for others if there were several
	// the last time. A sender waits that much longer, and most of the CPU of a transaction
	// is saved.
	gatherTime = 400 * time.Microsecond
	// overdueInterval is how long overdue changes wait when nothing else is written.
	overdueInterval = time.Second
)

func newJournal(client storage.Client, logger *zap.Logger) *journal {
	j := &journal{client: client, logger: logger, wake: make(chan struct{}, 1), stop: make(chan struct{})}
	j.ended.Go(j.run)
	return j
}

// add appends a ticket. Tickets are written in the order of the calls.
func (j *journal) add(t *ticket) {
	j.mu.Lock()
	j.waiting = append(j.waiting, t)
	j.mu.Unlock()
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// close writes what is left, and closes the client.
func (j *journal) close(ctx context.Context) error {
	close(j.stop)
	j.ended.Wait()
	for j.commitNext() {
	}
	if len(j.overdue) > 0 {
		if err := j.client.Batch(ctx, j.overdue...); err != nil {
			j.logger.Warn("the storage cannot be written: notifications that were delivered will be delivered again after the restart", zap.Error(err))
		}
	}
	return j.client.Close(ctx)
}

func (j *journal) run() {
	timer := time.NewTimer(overdueInterval)
	defer timer.Stop()
	for {
		select {
		case <-j.wake:
			for more := true; more; {
				j.gather()
				more = j.commitNext()
			}
		case <-timer.C:
			if len(j.overdue) > 0 {
				j.commit(nil)
			}
			timer.Reset(overdueInterval)
		case <-j.stop:
			return
		}
	}
}

// gather lets concurrent senders share the next transaction.
func (j *journal) gather() {
	if j.several {
		time.Sleep(gatherTime)
	}
}

// commitNext writes the tickets that are waiting. It reports false if there are none.
func (j *journal) commitNext() bool {
	j.mu.Lock()
	n := min(len(j.waiting), maxTickets)
	tickets := j.waiting[:n:n]
	j.waiting = j.waiting[n:]
	if len(j.waiting) == 0 {
		j.waiting = nil
	}
	j.mu.Unlock()
	if n == 0 {
		return false
	}
	j.several = n > 1
	j.commit(tickets)
	return true
}

// commit writes tickets in one transaction. If that fails, perhaps because the
// storage is full, what was to be accepted is refused. The changes are tried on
// their own, since deletions make room, and the reads too.
func (j *journal) commit(tickets []*ticket) {
	err := j.batch(append(slices.Clip(j.overdue), operations(tickets, kindAccept, kindChange, kindRead)...))
	if err == nil {
		j.written()
		settle(tickets, nil)
		return
	}
	changes := append(slices.Clip(j.overdue), operations(tickets, kindChange)...)
	changes = append(changes, undo(tickets)...)
	reads := operations(tickets, kindRead)
	readErr := j.batch(append(slices.Clip(changes), reads...))
	if readErr == nil {
		j.written()
	} else {
		j.postpone(changes, readErr)
		readErr = j.batch(reads)
	}
	for _, t := range tickets {
		switch t.kind {
		case kindAccept:
			t.settle(err)
		case kindRead:
			t.settle(readErr)
		case kindChange:
			if t.settle != nil {
				t.settle(err)
			}
		}
	}
}

func (j *journal) batch(ops []*storage.Operation) error {
	if len(ops) == 0 {
		return nil
	}
	return j.client.Batch(context.Background(), ops...)
}

// undo deletes the entries that could not be accepted: not every storage writes all
// operations of a transaction or none.
func undo(tickets []*ticket) []*storage.Operation {
	var ops []*storage.Operation
	for _, op := range operations(tickets, kindAccept) {
		if op.Key != headKey {
			ops = append(ops, storage.DeleteOperation(op.Key))
		}
	}
	return ops
}

// postpone keeps changes for later, the last one of each key.
func (j *journal) postpone(changes []*storage.Operation, err error) {
	if len(j.overdue) == 0 && len(changes) > 0 {
		j.logger.Warn("the storage cannot be written: new notifications are refused, and those delivered now are delivered again if the collector ends before it can be written", zap.Error(err))
	}
	last := make(map[string]int, len(changes))
	for i, op := range changes {
		last[op.Key] = i
	}
	kept := make([]*storage.Operation, 0, len(last))
	for i, op := range changes {
		if last[op.Key] == i {
			kept = append(kept, op)
		}
	}
	j.overdue = kept
}

func (j *journal) written() {
	if len(j.overdue) > 0 {
		j.logger.Info("the storage can be written again")
		j.overdue = nil
	}
}

func operations(tickets []*ticket, kinds ...ticketKind) []*storage.Operation {
	var ops []*storage.Operation
	for _, t := range tickets {
		if slices.Contains(kinds, t.kind) {
			ops = append(ops, t.ops...)
		}
	}
	return ops
}

func settle(tickets []*ticket, err error) {
	for _, t := range tickets {
		if t.settle != nil {
			t.settle(err)
		}
	}
}
