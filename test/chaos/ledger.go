package main

import (
	"net/http"
	"sync"
	"time"
)

// ledger notes what became of every event, by its number. Drivers and sinks
// write it, whatever stands between them.
type ledger struct {
	mu      sync.Mutex
	notes   []note
	answers map[int]int // by status code; noAnswer where the connection failed
	newest  map[int]int // the latest number that arrived of an object
	rude    int         // refusals that did not say when to come again
	open    int         // accepted, and not arrived
	taken   int         // accepted
	arrived int
	twice   int
	passed  int // arrived after a later event of its object
}

// note is one event's. A time that is zero has not come yet.
type note struct {
	accepted, arrived time.Time
	repeated          bool
}

// noAnswer stands for a connection that was refused or broke.
const noAnswer = 0

func newLedger() *ledger {
	return &ledger{answers: map[int]int{}, newest: map[int]int{}}
}

// next gives a number to an event that is about to be sent.
func (l *ledger) next() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.notes = append(l.notes, note{})
	return len(l.notes) - 1
}

// answer notes what a sender was told. One that is told that its event is known
// may rely on it as on an acceptance.
func (l *ledger) answer(n, status int, retryAfter string) (accepted bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answers[status]++
	if status == http.StatusServiceUnavailable && retryAfter == "" {
		l.rude++
	}
	if status != http.StatusAccepted && status != http.StatusTooManyRequests {
		return false
	}
	l.notes[n].accepted = time.Now()
	l.taken++
	if l.notes[n].arrived.IsZero() {
		l.open++
	}
	return true
}

// arrival notes that an endpoint has taken an event.
func (l *ledger) arrival(n, object int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n < 0 || n >= len(l.notes) {
		return // not of this run
	}
	e := &l.notes[n]
	if !e.arrived.IsZero() {
		if !e.repeated {
			e.repeated = true
			l.twice++
		}
		return
	}
	e.arrived = time.Now()
	l.arrived++
	if !e.accepted.IsZero() {
		l.open--
	}
	if newest, seen := l.newest[object]; seen && newest > n {
		l.passed++
	}
	l.newest[object] = max(l.newest[object], n)
}

// missing is how many were accepted and have not arrived so far.
func (l *ledger) missing() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open
}

// answered is how often a status code was the answer.
func (l *ledger) answered(status int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.answers[status]
}

// count is one line of the table.
type count struct {
	sent, accepted, known, refused, unanswered int
	arrived, twice, passed, lost               int
	never                                      int // sent, and never accepted
	rude                                       int
	delay                                      time.Duration
}

func (l *ledger) count() count {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := count{
		sent:       len(l.notes),
		accepted:   l.answers[http.StatusAccepted],
		known:      l.answers[http.StatusTooManyRequests],
		refused:    l.answers[http.StatusServiceUnavailable],
		unanswered: l.answers[noAnswer],
		arrived:    l.arrived,
		twice:      l.twice,
		passed:     l.passed,
		lost:       l.open,
		never:      len(l.notes) - l.taken,
		rude:       l.rude,
	}
	for _, e := range l.notes {
		if !e.accepted.IsZero() && !e.arrived.IsZero() {
			c.delay = max(c.delay, e.arrived.Sub(e.accepted))
		}
	}
	return c
}

// delays are those of the events that arrived since the number from, as far as
// it goes; next is where the following look begins.
func (l *ledger) delays(from int) (delays []time.Duration, next int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.notes[from:] {
		if !e.accepted.IsZero() && !e.arrived.IsZero() {
			delays = append(delays, max(0, e.arrived.Sub(e.accepted)))
		}
	}
	return delays, len(l.notes)
}
