package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// pair has two exporters. The endpoint of one is silent for a while, several times.
// Its queue is small, so that it refuses events, and senders repeat them. The other
// endpoint must get each event once, and without a delay.
func pair(ctx context.Context, s *stage) error {
	second, err := newSink(newLedger(), nil) // its ledger knows no event, so it counts none
	if err != nil {
		return err
	}
	s.closeAtEnd(second.down)
	var arrived tally
	second.feel(arrived.counting(fine))
	c, err := s.start(ctx, settings{exporters: map[string]yamlMap{
		"flux_notify/healthy": s.webhook(nil),
		"flux_notify/silent": s.webhook(yamlMap{
			"address": second.url(), "timeout": "2s", "sending_queue": yamlMap{"queue_size": 2 * consumers},
		}),
	}})
	if err != nil {
		return err
	}
	rounds := 4
	if !s.full {
		rounds = 2
	}
	err = s.flow(ctx, c.address, func() error {
		for range rounds {
			second.feel(silent)
			before := s.ledger.answered(http.StatusServiceUnavailable)
			refused := s.await(ctx, func() bool { return s.ledger.answered(http.StatusServiceUnavailable) > before+objects })
			// Now each sender has an event that is refused.
			pause(ctx, s.moment(s.pick(5*time.Second, time.Second)))
			late := s.ledger.count()
			if err := errors.Join(bit(refused, "the silent exporter refused nothing"), s.prompt(ctx, late.sent)); err != nil {
				return err
			}
			second.feel(arrived.counting(fine))
			pause(ctx, s.moment(s.pick(3*time.Second, time.Second)))
		}
		return nil
	})
	if !s.await(ctx, func() bool { return arrived.different() >= s.ledger.count().sent }) {
		err = errors.Join(err, fmt.Errorf("%d of %d events arrived at the endpoint that was silent", arrived.different(), s.ledger.count().sent))
	}
	if twice := arrived.repeated(); twice > 0 {
		err = errors.Join(err, fmt.Errorf("%d events arrived twice at the endpoint that was silent", twice))
	}
	s.note("%d refusals", s.ledger.answered(http.StatusServiceUnavailable))
	return err
}

// prompt checks that every event that was sent so far arrives within a second, whether
// its sender is refused or not.
func (s *stage) prompt(ctx context.Context, sent int) error {
	deadline := time.Now().Add(time.Second)
	for s.ledger.count().arrived < sent {
		if time.Now().After(deadline) || ctx.Err() != nil {
			return fmt.Errorf("the healthy endpoint has %d of %d events while the other is silent", s.ledger.count().arrived, sent)
		}
		pause(ctx, 20*time.Millisecond)
	}
	return nil
}

// tally counts how often each event arrived, by its number and what else tells
// notifications of it apart.
type tally struct {
	mu    sync.Mutex
	times map[string]int
}

func (t *tally) add(key string) (times int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.times == nil {
		t.times = map[string]int{}
	}
	t.times[key]++
	return t.times[key]
}

// counting counts the events that another mood accepts.
func (t *tally) counting(m mood) mood {
	return func(w http.ResponseWriter, r *http.Request, n int64) bool {
		text, err := io.ReadAll(r.Body)
		if err != nil || !m(w, r, n) {
			return false
		}
		if number, ok := numberAfter(text, marker); ok {
			t.add(fmt.Sprint(number))
		}
		return true
	}
}

func (t *tally) different() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.times)
}

func (t *tally) repeated() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, times := range t.times {
		if times > 1 {
			n++
		}
	}
	return n
}
