package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	eventv1 "github.com/fluxcd/pkg/apis/event/v1"
	"github.com/stretchr/testify/assert"
)

func TestOrderOfEveryObject(t *testing.T) {
	t.Parallel()
	const objects, each = 10, 30
	c := newCollector(t)
	s := newSink(t, func(r request) answer {
		a := answer{after: time.Duration(1+rand.IntN(8)) * time.Millisecond}
		if r.n%5 == 0 {
			a.status = http.StatusServiceUnavailable
		}
		return a
	})
	c.Start(spec{level: "info", exporters: `
flux_notify:
  type: generic
  address: ` + s.URL + `
  retry_on_failure: {initial_interval: 50ms, max_interval: 50ms, randomization_factor: 0}
`})
	var posted []eventv1.Event
	var wg sync.WaitGroup
	for i := range objects {
		events := make([]eventv1.Event, each)
		for j := range events {
			events[j] = newEvent(fmt.Sprintf("app-%d", i), fmt.Sprintf("message %d of app-%d", j, i))
		}
		posted = append(posted, events...)
		wg.Go(func() { c.Accept(events...) })
	}
	wg.Wait()
	s.Wait(objects * each)
	c.Stop()
	assertOrder(t, posted, s.Accepted())
	s.mu.Lock()
	defer s.mu.Unlock()
	assert.Greater(t, s.maxInFlight, 1, "nothing went in parallel")
	assert.LessOrEqual(t, s.connections, 10, "connections are to be used again")
}
