package fluxeventreceiver

import (
	"context"
	"crypto/sha256"
	"strings"
	"sync"
	"time"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
)

// known remembers which events were accepted lately.
//
// Two events are the same if cluster, object, severity, reason, message, revisions and
// token are. A change of an object's severity forgets its earlier events: a
// relapse is news, while errors that alternate stay one of each.
//
// What is remembered holds no pointers. With a hundred thousand events that is
// a fifth of the receiver's CPU that the garbage collector need not spend.
type known struct {
	interval time.Duration
	max      int
	now      func() time.Time
	began    time.Time // what expiry counts from, so that a step of the wall clock does not move it

	mu       sync.Mutex
	objects  map[digest]object
	keys     map[digest]remembered
	oldest   ring                     // in order of acceptance
	deciding map[digest]chan struct{} // the events on their way into the pipeline
}

type digest [16]byte

// object is what an involved object was last, and how many places in the ring
// are its own.
type object struct {
	severity digest
	// era grows with every change of severity; what was remembered in an
	// earlier one is forgotten.
	era    uint32
	places uint32
}

type remembered struct {
	era   uint32
	place uint64 // of the ring: an earlier one of the same key is void
}

// entry is an event that is being decided on.
type entry struct {
	object, key, severity digest
	// relapse is not 0 for an event that is known from before a change of severity:
	// the object's era, which stays the same while its sender repeats it.
	relapse uint32
}

func newKnown(c *DeduplicationConfig) *known {
	return &known{
		interval: c.Interval,
		max:      c.MaxEntries,
		now:      time.Now,
		began:    time.Now(),
		objects:  map[digest]object{},
		keys:     map[digest]remembered{},
		deciding: map[digest]chan struct{}{},
	}
}

// enter takes an event that is not known; accept or forget must follow. Where
// the same event is just on its way into the pipeline, it waits for what
// becomes of it. Its entry is nil where nothing is to be remembered.
func (k *known) enter(ctx context.Context, e *fluxevent.Event) (_ *entry, duplicate bool, _ error) {
	if k.interval == 0 {
		return nil, false, nil
	}
	fresh := entryOf(e)
	for {
		twin, duplicate := k.tryEnter(fresh)
		switch {
		case duplicate:
			return nil, true, nil
		case twin == nil:
			return fresh, false, nil
		}
		select {
		case <-twin:
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
	}
}

// tryEnter enters an event, unless it is known or, in which case twin is not
// nil, the same is being decided on.
func (k *known) tryEnter(e *entry) (twin <-chan struct{}, duplicate bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.expire()
	if r, found := k.keys[e.key]; found {
		era := k.objects[e.object].era
		if r.era == era {
			return nil, true
		}
		e.relapse = era
	}
	if decided, found := k.deciding[e.key]; found {
		if decided == nil {
			decided = make(chan struct{})
			k.deciding[e.key] = decided
		}
		return decided, false
	}
	k.deciding[e.key] = nil // a channel is made only when somebody waits
	return nil, false
}

// accept remembers an event, from now on.
func (k *known) accept(e *entry) {
	if e == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.decide(e)
	o := k.objects[e.object]
	if o.severity != e.severity {
		o.severity = e.severity
		o.era++
	}
	o.places++
	k.objects[e.object] = o
	place := k.oldest.push(slot{object: e.object, key: e.key, expires: k.now().Add(k.interval).Sub(k.began)})
	k.keys[e.key] = remembered{era: o.era, place: place}
	for k.oldest.len() > k.max {
		k.drop()
	}
}

// forget lets an event that was refused come again.
func (k *known) forget(e *entry) {
	if e == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.decide(e)
}

// decide lets those go on that wait for what becomes of an event.
func (k *known) decide(e *entry) {
	if decided := k.deciding[e.key]; decided != nil {
		close(decided)
	}
	delete(k.deciding, e.key)
}

func (k *known) expire() {
	now := k.now().Sub(k.began)
	for k.oldest.len() > 0 && k.oldest.front().expires <= now {
		k.drop()
	}
}

// drop forgets the oldest event.
func (k *known) drop() {
	place, s := k.oldest.pop()
	if k.keys[s.key].place == place {
		delete(k.keys, s.key)
	}
	o := k.objects[s.object]
	o.places--
	if o.places == 0 {
		delete(k.objects, s.object)
		return
	}
	k.objects[s.object] = o
}

// slot is one remembered event in the order of acceptance.
type slot struct {
	object, key digest
	expires     time.Duration // since the memory began
}

// ring is a queue that grows as needed and whose places keep their numbers.
type ring struct {
	slots      []slot
	first, end uint64 // numbers of the oldest place and of the next one
}

func (r *ring) len() int { return int(r.end - r.first) }

func (r *ring) front() *slot { return r.at(r.first) }

func (r *ring) at(place uint64) *slot { return &r.slots[place%uint64(len(r.slots))] }

func (r *ring) push(s slot) (place uint64) {
	if r.len() == len(r.slots) {
		grown := make([]slot, max(64, 2*len(r.slots)))
		for p := r.first; p < r.end; p++ {
			grown[p%uint64(len(grown))] = *r.at(p)
		}
		r.slots = grown
	}
	place = r.end
	r.end++
	*r.at(place) = s
	return place
}

func (r *ring) pop() (place uint64, s slot) {
	place, s = r.first, *r.front()
	r.first++
	return place, s
}

// entryOf hashes what makes an object, and what makes an event of it. Every
// part is preceded by its length, so that no two lists of parts look the same.
func entryOf(e *fluxevent.Event) *entry {
	o := &e.InvolvedObject
	group := o.Group()
	buf := make([]byte, 0, 512)
	buf = fluxevent.AppendParts(buf, e.Cluster, o.UID, o.Kind, o.Namespace, o.Name, group)
	fresh := &entry{object: sum(buf), severity: sum([]byte(e.Severity))}
	buf = fluxevent.AppendParts(buf, e.Severity, e.Reason, e.Message,
		own(e, group, "originRevision"), own(e, group, "revision"), own(e, group, "token"))
	fresh.key = sum(buf)
	return fresh
}

// own is the value of a key of the object's group. Events that another
// controller has forwarded have lost that prefix.
func own(e *fluxevent.Event, group, name string) string {
	if group == "" {
		return e.Metadata[name]
	}
	for key, value := range e.Metadata {
		if len(key) == len(group)+1+len(name) && key[len(group)] == '/' && strings.HasPrefix(key, group) && strings.HasSuffix(key, name) {
			return value
		}
	}
	return e.Metadata[name]
}

func sum(b []byte) digest {
	s := sha256.Sum256(b)
	return digest(s[:16])
}
