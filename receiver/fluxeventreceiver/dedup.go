package fluxeventreceiver

import (
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
)

// known remembers which events were accepted lately.
//
// Two events are the same if object, severity, reason, message, revisions and
// token are. A change of an object's severity forgets its earlier events: a
// relapse is news, while errors that alternate stay one of each.
type known struct {
	interval time.Duration
	max      int
	now      func() time.Time

	mu      sync.Mutex
	objects map[digest]*object
	oldest  *list.List // of *entry, in order of acceptance
}

type digest [16]byte

type object struct {
	severity string // of the event accepted last
	entries  map[digest]*entry
}

type entry struct {
	object, key digest
	severity    string
	expires     time.Time
	element     *list.Element // nil until accepted
	decided     chan struct{} // closed when accepted or forgotten
}

func newKnown(c *DeduplicationConfig) *known {
	return &known{
		interval: c.Interval,
		max:      c.MaxEntries,
		now:      time.Now,
		objects:  map[digest]*object{},
		oldest:   list.New(),
	}
}

// enter takes an event that is not known; accept or forget must follow. Where
// the same event is just on its way into the pipeline, it waits for what
// becomes of it. Its entry is nil where nothing is to be remembered.
func (k *known) enter(ctx context.Context, e *fluxevent.Event) (_ *entry, duplicate bool, _ error) {
	if k.interval == 0 {
		return nil, false, nil
	}
	objectKey, key := keysOf(e)
	for {
		twin := k.tryEnter(objectKey, key, e.Severity)
		switch {
		case twin.fresh:
			return twin.entry, false, nil
		case twin.entry.element != nil:
			return nil, true, nil
		}
		select {
		case <-twin.entry.decided:
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
	}
}

type entered struct {
	entry *entry
	fresh bool
}

func (k *known) tryEnter(objectKey, key digest, severity string) entered {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.expire()
	o := k.objects[objectKey]
	if o == nil {
		o = &object{entries: map[digest]*entry{}}
		k.objects[objectKey] = o
	}
	if found := o.entries[key]; found != nil {
		// A copy, since element is written under the lock only.
		return entered{entry: &entry{element: found.element, decided: found.decided}}
	}
	fresh := &entry{object: objectKey, key: key, severity: severity, decided: make(chan struct{})}
	o.entries[key] = fresh
	return entered{entry: fresh, fresh: true}
}

// accept remembers an event, from now on.
func (k *known) accept(e *entry) {
	if e == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	defer close(e.decided)
	o := k.objects[e.object]
	if o.severity != e.severity {
		for _, other := range o.entries {
			if other.element != nil {
				k.remove(other)
			}
		}
	}
	o.severity = e.severity
	e.expires = k.now().Add(k.interval)
	e.element = k.oldest.PushBack(e)
	for k.oldest.Len() > k.max {
		k.remove(k.oldest.Front().Value.(*entry))
	}
}

// forget lets an event that was refused come again.
func (k *known) forget(e *entry) {
	if e == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	defer close(e.decided)
	k.remove(e)
}

func (k *known) expire() {
	now := k.now()
	for front := k.oldest.Front(); front != nil; front = k.oldest.Front() {
		e := front.Value.(*entry)
		if e.expires.After(now) {
			return
		}
		k.remove(e)
	}
}

func (k *known) remove(e *entry) {
	if e.element != nil {
		k.oldest.Remove(e.element)
	}
	o := k.objects[e.object]
	delete(o.entries, e.key)
	if len(o.entries) == 0 {
		delete(k.objects, e.object)
	}
}

// keysOf hashes what makes an object, and what makes an event of it. Every part
// is preceded by its length, so that no two lists of parts look the same.
func keysOf(e *fluxevent.Event) (objectKey, key digest) {
	group := e.InvolvedObject.Group()
	buf := make([]byte, 0, 512)
	buf = appendParts(buf, e.InvolvedObject.Kind, e.InvolvedObject.Namespace, e.InvolvedObject.Name, group)
	objectSum := sha256.Sum256(buf)
	var own [3]string
	if group != "" {
		own = [3]string{e.Metadata[group+"/originRevision"], e.Metadata[group+"/revision"], e.Metadata[group+"/token"]}
	}
	buf = appendParts(buf, e.Severity, e.Reason, e.Message, own[0], own[1], own[2])
	keySum := sha256.Sum256(buf)
	return digest(objectSum[:16]), digest(keySum[:16])
}

func appendParts(buf []byte, parts ...string) []byte {
	for _, part := range parts {
		buf = binary.AppendUvarint(buf, uint64(len(part)))
		buf = append(buf, part...)
	}
	return buf
}
