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
// brings over a restart were not admitted here: they come before all that were,
// among themselves by when they were observed.
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
	begun   bool
	settled time.Time     // before, an older event may still come; zero: none can
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

// settleTime is how long an event from before a restart waits for older ones,
// which left the queue before it but may be slower by some microseconds.
const settleTime = 10 * time.Millisecond

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
		if !p.arrived { // else an event from before a restart has taken it, and will leave it
			o.remove(p)
		}
	}
}

// enter finds the place of an event that came out of the queue.
func (o *order) enter(key laneKey) *place {
	o.mu.Lock()
	defer o.mu.Unlock()
	l := o.lane(key.object)
	for _, p := range l.places {
		if !p.arrived && p.stamp == key.stamp {
			p.arrived = true
			return p
		}
	}
	p := newPlace(key)
	p.arrived = true
	p.settled = time.Now().Add(settleTime)
	here := 0
	for i, q := range l.places {
		if q.begun || (q.arrived && q.stamp <= p.stamp) {
			here = i + 1
		}
	}
	l.places = slices.Insert(l.places, here, p)
	return p
}

// wait returns when every earlier event of the object is dealt with. kept tells
// that one of them went back to storage.
func (o *order) wait(ctx context.Context, p *place) (kept bool, err error) {
	for {
		first, patience, kept := o.look(p)
		if first == nil {
			return kept, nil
		}
		timer := time.NewTimer(patience)
		select {
		case <-first:
		case <-timer.C:
			if patience == strayAfter {
				o.dropStrays(p)
			}
		case <-ctx.Done():
			timer.Stop()
			return false, ctx.Err()
		}
		timer.Stop()
	}
}

// look gives what to wait for and for how long, nil where it is p's turn.
func (o *order) look(p *place) (first chan struct{}, patience time.Duration, kept bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	l := o.lane(p.lane)
	patience = strayAfter
	if l.places[0] == p {
		unsettled := time.Duration(0)
		if !p.settled.IsZero() {
			unsettled = time.Until(p.settled)
		}
		if unsettled <= 0 {
			p.begun = true
			return nil, 0, l.kept
		}
		return make(chan struct{}), unsettled, false
	}
	if p.first == nil {
		p.first = make(chan struct{})
	}
	return p.first, patience, false
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
	if i := slices.Index(l.places, p); i == 0 {
		l.places[0] = nil
		l.places = l.places[1:]
	} else if i > 0 {
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
