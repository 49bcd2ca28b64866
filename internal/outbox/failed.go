package outbox

import (
	"errors"
	"slices"
	"time"
)

// Failed is a notification that was given up.
type Failed struct {
	ID     string
	Target string
	// Reason says why.
	Reason             string
	Accepted, Finished time.Time
	Attempts           int
	Content            []byte
}

// maxFailedBytes bounds the content of failed notifications in memory.
const maxFailedBytes = 64 << 20

// ErrUnknown is the error of an ID that no failed notification has.
var ErrUnknown = errors.New("there is no such failed notification")

// keepFailed stores an entry as failed.
func (o *Outbox) keepFailed(e *entry, content []byte, reason string) {
	e.finished = max(time.Now().UnixNano(), 1)
	e.err = reason
	e.attempts++
	if o.options.MaxFailed <= 0 {
		o.forget(e)
		return
	}
	o.rewrite(e, content, stateFailed)
	o.release(e)
	o.addFailed(e)
}

// addFailed keeps an entry that is stored as failed, and drops those that are too old
// or too many.
func (o *Outbox) addFailed(e *entry) {
	o.failed = append(o.failed, e)
	o.failedBytes += len(e.content)
	o.trimFailed()
}

func (o *Outbox) trimFailed() {
	oldest := time.Now().Add(-o.options.MaxFailedAge).UnixNano()
	drop := max(len(o.failed)-o.options.MaxFailed, 0)
	for drop < len(o.failed) && o.options.MaxFailedAge > 0 && o.failed[drop].finished < oldest {
		drop++
	}
	n := 0
	for ; n < len(o.failed) && (n < drop || o.failedBytes > maxFailedBytes); n++ {
		o.failedBytes -= len(o.failed[n].content)
		o.forget(o.failed[n])
	}
	o.failed = slices.Delete(o.failed, 0, n)
}

// FailedCount is how many failed notifications of a target are kept.
func (o *Outbox) FailedCount(target string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.trimFailed()
	n := 0
	for _, e := range o.failed {
		if e.queue.target == target {
			n++
		}
	}
	return n
}

// Failed lists the failed notifications that are kept, the latest first. Content that
// cannot be read is missing.
func (o *Outbox) Failed() []Failed {
	o.mu.Lock()
	o.trimFailed()
	kept := slices.Clone(o.failed)
	o.mu.Unlock()
	list := make([]Failed, 0, len(kept))
	for _, e := range slices.Backward(kept) {
		f := Failed{
			ID: formatID(e.id), Target: e.queue.target, Reason: e.err, Attempts: int(e.attempts),
			Accepted: time.Unix(0, e.accepted), Finished: time.Unix(0, e.finished), Content: e.content,
		}
		if f.Content == nil && o.journal != nil {
			f.Content, _ = o.read(e.slot)
		}
		list = append(list, f)
	}
	return list
}

// Retry makes a failed notification wait again, behind those of its lane.
func (o *Outbox) Retry(failedID string) error {
	o.mu.Lock()
	e := o.takeFailed(failedID)
	content := []byte(nil)
	if e != nil {
		content = e.content
	}
	o.mu.Unlock()
	if e == nil {
		return ErrUnknown
	}
	if content == nil && o.journal != nil {
		var err error
		if content, err = o.read(e.slot); err != nil {
			o.mu.Lock()
			o.addFailed(e)
			o.mu.Unlock()
			return err
		}
	}
	o.mu.Lock()
	o.count++
	e.seq = o.epoch<<countBits | o.count
	e.accepted, e.finished, e.attempts, e.progress, e.err = time.Now().UnixNano(), 0, 0, 0, ""
	e.queue.add(1)
	o.rewrite(e, content, stateWaiting)
	e.queue.push(e)
	o.mu.Unlock()
	e.queue.wake()
	return nil
}

// Discard removes a failed notification.
func (o *Outbox) Discard(failedID string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	e := o.takeFailed(failedID)
	if e == nil {
		return ErrUnknown
	}
	o.forget(e)
	return nil
}

// takeFailed takes an entry from the list; nil if it is not there.
func (o *Outbox) takeFailed(failedID string) *entry {
	i := slices.IndexFunc(o.failed, func(e *entry) bool { return formatID(e.id) == failedID })
	if i < 0 {
		return nil
	}
	e := o.failed[i]
	o.failedBytes -= len(e.content)
	o.failed = slices.Delete(o.failed, i, i+1)
	return e
}
