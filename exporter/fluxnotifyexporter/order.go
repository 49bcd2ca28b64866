package fluxnotifyexporter

import (
	"context"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// order keeps the events of one object in the order in which they were
// accepted, while those of other objects overtake them.
//
// The queue hands its items out in order, but to several consumers at once, so
// the order is noted before the queue (admit), found again behind it (enter)
// and kept until an event is dealt with (leave). Events that a persistent queue
// brings over a restart were not admitted here: they take the place of their
// arrival, before all that was.
type order struct {
	mu    sync.Mutex
	lanes map[uint64]*lane
}

// lane holds the places of one object's events, the oldest first.
type lane struct {
	places []*place
	// kept marks that an event went back to storage at the stop: what follows
	// it must not be delivered before it either.
	kept bool
}

// place is that of one event.
type place struct {
	lane    uint64
	stamp   pcommon.Timestamp
	arrived bool
	first   chan struct{} // made by who waits, closed when no place is before this one
}

// laneKey finds an event again: its object, and when it was observed.
type laneKey struct {
	object uint64
	stamp  pcommon.Timestamp
}

// strayAfter is how long an event waits for one before it that was admitted and
// does not come. Between the queue and here an event spends microseconds; one
// that a queue lost must not hold up its object for ever.
const strayAfter = time.Second

func newOrder() *order { return &order{lanes: map[uint64]*lane{}} }

// admit notes events that are about to enter the queue.
func (o *order) admit(keys []laneKey) []*place {
	places := make([]*place, len(keys))
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, key := range keys {
		l := o.lane(key.object)
		places[i] = newPlace(key)
		l.places = append(l.places, places[i])
	}
	return places
}

// withdraw takes back what the queue has refused.
func (o *order) withdraw(places []*place) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range places {
		o.remove(p)
	}
}

// enter finds the place of an event that came out of the queue.
func (o *order) enter(key laneKey) *place {
	o.mu.Lock()
	defer o.mu.Unlock()
	l := o.lane(key.object)
	arrived := 0 // places before the first that is still to come
	for i, p := range l.places {
		if p.arrived {
			arrived = i + 1
			continue
		}
		if p.stamp == key.stamp {
			p.arrived = true
			return p
		}
	}
	p := newPlace(key)
	p.arrived = true
	l.places = slices.Insert(l.places, arrived, p)
	l.announce()
	return p
}

// wait returns when every earlier event of the object is dealt with. kept tells
// that one of them went back to storage.
func (o *order) wait(ctx context.Context, p *place) (kept bool, err error) {
	for {
		first, kept := o.look(p)
		if first == nil {
			return kept, nil
		}
		timer := time.NewTimer(strayAfter)
		select {
		case <-first:
		case <-timer.C:
			o.dropStrays(p)
		case <-ctx.Done():
			timer.Stop()
			return false, ctx.Err()
		}
		timer.Stop()
	}
}

// look gives what to wait for, nil where p is first.
func (o *order) look(p *place) (first chan struct{}, kept bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	l := o.lane(p.lane)
	if l.places[0] == p {
		return nil, l.kept
	}
	if p.first == nil {
		p.first = make(chan struct{})
	}
	return p.first, false
}

// leave ends an event's place.
func (o *order) leave(p *place, kept bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if kept {
		o.lane(p.lane).kept = true
	}
	o.remove(p)
}

// dropStrays gives up the places before p whose events never came.
func (o *order) dropStrays(p *place) {
	o.mu.Lock()
	defer o.mu.Unlock()
	l := o.lane(p.lane)
	here := slices.Index(l.places, p)
	l.places = slices.Concat(slices.DeleteFunc(slices.Clone(l.places[:here]), func(q *place) bool { return !q.arrived }), l.places[here:])
	l.announce()
}

func (o *order) lane(object uint64) *lane {
	l := o.lanes[object]
	if l == nil {
		l = &lane{}
		o.lanes[object] = l
	}
	return l
}

func (o *order) remove(p *place) {
	l := o.lanes[p.lane]
	if l == nil {
		return
	}
	if i := slices.Index(l.places, p); i >= 0 {
		l.places = slices.Delete(l.places, i, i+1)
	}
	if len(l.places) == 0 && !l.kept {
		delete(o.lanes, p.lane)
		return
	}
	l.announce()
}

// announce tells the first place that it is, if it waits for that.
func (l *lane) announce() {
	if len(l.places) > 0 && l.places[0].first != nil {
		close(l.places[0].first)
		l.places[0].first = nil
	}
}

func newPlace(key laneKey) *place {
	return &place{lane: key.object, stamp: key.stamp}
}
