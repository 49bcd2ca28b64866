package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"
)

// wanting are the alerts that want each event.
var wanting = []string{"first", "second", "third"}

// several has three alerts that want each event, so that it becomes three
// notifications, which are delivered one after the other. The collector is killed
// between two deliveries. After the restart, each notification arrives, and only the
// one that was being delivered may arrive twice.
func several(ctx context.Context, s *stage) error {
	arrivals := arrivals{times: map[int]map[string]int{}}
	s.sink.feel(arrivals.mood)
	alerts := make([]any, len(wanting))
	for i, name := range wanting {
		alerts[i] = yamlMap{
			"name": name, "event_metadata": yamlMap{"alert": name},
			"event_sources": []any{yamlMap{"kind": "Kustomization", "namespace": "*"}},
		}
	}
	given := s.persistent()
	given.exporter = yamlMap{"alerts": alerts, "sending_queue": yamlMap{"num_consumers": 1}}
	c, err := s.start(ctx, given)
	if err != nil {
		return err
	}
	defer s.watch(ctx)()
	d := newDriver(c.address, s.rate, s.ledger)
	defer d.client.CloseIdleConnections()
	rounds := 12
	if !s.full {
		rounds = 4
	}
	repeated := 0
	for round := range rounds {
		n := d.ledger.next()
		d.post(ctx, n, n)
		between := arrivals.await(ctx, n, 2)
		if round%3 > 0 { // else as soon as possible after the second delivery has begun
			pause(ctx, s.moment(deliveryTime))
		}
		c.kill()
		if err := errors.Join(bit(between, "there is no second delivery"), c.start(ctx)); err != nil {
			return err
		}
		if !s.await(ctx, func() bool { return arrivals.alerts(n) == len(wanting) }) {
			return fmt.Errorf("after a restart %d of %d notifications of an event arrived: %v", arrivals.alerts(n), len(wanting), arrivals.of(n))
		}
		pause(ctx, 3*deliveryTime) // a repetition would come by then
		twice := arrivals.count(n) - len(wanting)
		repeated += twice
		if twice > 1 {
			return fmt.Errorf("after a restart %d deliveries of an event were repetitions: %v", twice, arrivals.of(n))
		}
	}
	s.drain(ctx)
	s.note("%d events, killed between their notifications; %d of %d notifications twice", rounds, repeated, rounds*len(wanting))
	return s.verdict()
}

// deliveryTime is how long the endpoint takes for a delivery.
const deliveryTime = 200 * time.Millisecond

// arrivals counts notifications by event and alert.
type arrivals struct {
	mu    sync.Mutex
	times map[int]map[string]int
}

// mood counts a notification before it answers, slowly. The ledger gets an event once,
// when all of its notifications have arrived.
func (a *arrivals) mood(_ http.ResponseWriter, r *http.Request, _ int64) bool {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return false
	}
	n, _ := numberAfter(text, marker)
	complete := a.add(n, alertIn(string(text)))
	pause(r.Context(), deliveryTime)
	return complete
}

func (a *arrivals) add(n int, alert string) (complete bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.times[n] == nil {
		a.times[n] = map[string]int{}
	}
	a.times[n][alert]++
	return len(a.times[n]) == len(wanting) && a.times[n][alert] == 1
}

// count is how many notifications of an event have arrived, repetitions too.
func (a *arrivals) count(n int) int {
	sum := 0
	for _, times := range a.of(n) {
		sum += times
	}
	return sum
}

// await returns as soon as so many notifications of an event have arrived.
func (a *arrivals) await(ctx context.Context, n, times int) bool {
	deadline := time.Now().Add(patience)
	for a.count(n) < times {
		if time.Now().After(deadline) || ctx.Err() != nil {
			return false
		}
		time.Sleep(50 * time.Microsecond)
	}
	return true
}

// alerts is how many alerts have notified of an event.
func (a *arrivals) alerts(n int) int { return len(a.of(n)) }

func (a *arrivals) of(n int) map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.times[n])
}

// alertIn finds the alert's name in the metadata of a notification.
func alertIn(text string) string {
	_, rest, _ := strings.Cut(text, `"alert":"`)
	name, _, _ := strings.Cut(rest, `"`)
	return name
}
