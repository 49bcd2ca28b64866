package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// longestHealthy is how late a notification of a healthy object may be.
const longestHealthy = time.Second

// crowd lets many notifications wait for a retry, each of another object. Notifications
// of a healthy object must not wait behind them: neither while the endpoint refuses the
// retries of the others, nor while it does not answer them.
func crowd(ctx context.Context, s *stage) error {
	size := 10_000
	if !s.full {
		size = 2_000
	}
	var attempted atomic.Int64
	s.sink.feel(choosy(size, answering(http.StatusInternalServerError, ""), &attempted))
	c, err := s.start(ctx, settings{
		storage: s.path("storage"),
		exporter: yamlMap{
			"timeout": "5s", "sending_queue": yamlMap{"queue_size": 2 * size},
			"retry_on_failure": yamlMap{"initial_interval": "2s", "max_interval": "10s"},
		},
	})
	if err != nil {
		return err
	}
	defer s.watch(ctx)()
	d := newDriver(c.address, s.rate, s.ledger)
	defer d.client.CloseIdleConnections()
	d.each(ctx, size)
	if !s.await(ctx, func() bool { return attempted.Load() >= int64(size) }) {
		return fmt.Errorf("%d of %d notifications were attempted", attempted.Load(), size)
	}
	longest := map[string]time.Duration{}
	for _, way := range []struct {
		name string
		mood mood
	}{{"refused", answering(http.StatusInternalServerError, "")}, {"unanswered", silent}} {
		s.sink.feel(choosy(size, way.mood, &attempted))
		pause(ctx, s.pick(6*time.Second, 2*time.Second)) // retries are due by then
		if longest[way.name], err = s.healthy(ctx, d, size); err != nil {
			return err
		}
	}
	waiting := s.ledger.missing()
	s.sink.feel(fine)
	s.drain(ctx)
	s.note("%d waited; healthy object: %d ms while they are refused, %d ms while unanswered",
		waiting, longest["refused"].Milliseconds(), longest["unanswered"].Milliseconds())
	err = bit(waiting >= size, "the notifications did not wait")
	for way, delay := range longest {
		if delay > longestHealthy {
			err = fmt.Errorf("a notification of a healthy object took %s while others were %s", delay, way)
		}
	}
	if err != nil {
		return err
	}
	return s.verdict()
}

// healthy posts events of a healthy object one after the other, and returns the longest
// time from 202 to the arrival.
func (s *stage) healthy(ctx context.Context, d *driver, object int) (longest time.Duration, err error) {
	times := 20
	if !s.full {
		times = 5
	}
	_, from := s.ledger.delays(0)
	missing := s.ledger.missing()
	for range times {
		d.post(ctx, d.ledger.next(), object)
		if !s.await(ctx, func() bool { return s.ledger.missing() <= missing }) {
			return 0, fmt.Errorf("a notification of a healthy object does not arrive next to %d that wait", missing)
		}
		pause(ctx, s.moment(500*time.Millisecond))
	}
	delays, _ := s.ledger.delays(from)
	for _, delay := range delays {
		longest = max(longest, delay)
	}
	return longest, nil
}

// each posts one event of each object.
func (d *driver) each(ctx context.Context, objects int) {
	var wg sync.WaitGroup
	next := make(chan int)
	for range 50 {
		wg.Go(func() {
			for object := range next {
				d.post(ctx, d.ledger.next(), object)
			}
		})
	}
	for object := range objects {
		next <- object
	}
	close(next)
	wg.Wait()
}

// choosy accepts events of all objects but those below a number, which another mood
// answers.
func choosy(below int, others mood, attempted *atomic.Int64) mood {
	return func(w http.ResponseWriter, r *http.Request, n int64) bool {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			return false
		}
		if object, ok := numberAfter(text, " of object "); !ok || object >= below {
			return true
		}
		attempted.Add(1)
		return others(w, r, n)
	}
}
