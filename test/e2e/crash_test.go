package e2e

import (
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	eventv1 "github.com/fluxcd/pkg/apis/event/v1"
	"github.com/stretchr/testify/assert"
)

// persistent is an exporter whose queue is on disk, and which is quick to try
// again.
func persistent(t *testing.T, address string) spec {
	t.Helper()
	return spec{
		level:      "info",
		extensions: `file_storage: {directory: "` + t.TempDir() + `"}`,
		exporters: `
flux_notify:
  type: generic
  address: ` + address + `
  sending_queue: {storage: file_storage}
  retry_on_failure: {initial_interval: 50ms, max_interval: 200ms}
`,
	}
}

// acceptAtOnce posts from several goroutines, as many controllers would.
func (c *collector) acceptAtOnce(events []eventv1.Event) {
	c.t.Helper()
	var wg sync.WaitGroup
	const controllers = 8
	for i := range controllers {
		wg.Go(func() {
			for j := i; j < len(events); j += controllers {
				c.Accept(events[j])
			}
		})
	}
	wg.Wait()
}

// assertAll says which messages are missing from what arrived.
func assertAll(t *testing.T, events []eventv1.Event, arrived []request) {
	t.Helper()
	counts := messages(t, arrived)
	for _, e := range events {
		assert.Positive(t, counts[e.Message], "lost: %s", e.Message)
	}
	assert.Len(t, counts, len(events))
}

func (s *sink) waitForAll(events []eventv1.Event) {
	s.t.Helper()
	s.WaitUntil(func() bool { return len(messages(s.t, s.Accepted())) >= len(events) })
}

func TestKilledWithTheEndpointDown(t *testing.T) {
	t.Parallel()
	c, port := newCollector(t), freePort(t)
	c.Start(persistent(t, "http://"+loopback(port)+c.Secret("path of a webhook", "/hook/s3cr3t-down")))
	events := numbered(200)
	c.acceptAtOnce(events)
	c.Kill()

	c.Again()
	s := newSink(t, nil, onPort(t, port))
	s.waitForAll(events)
	c.Stop()
	assertAll(t, events, s.Accepted())
	// What was delivered is not delivered again by the next start.
	before := len(s.Accepted())
	c.Again()
	c.Stop()
	assert.Len(t, s.Accepted(), before)
}

func TestKilledInMidDelivery(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	var killed atomic.Bool
	s := newSink(t, func(r request) answer {
		switch {
		case r.n%7 == 0:
			return answer{status: http.StatusServiceUnavailable}
		case r.n > 80 && !killed.Load():
			return answer{after: patience} // it is killed before the answer
		}
		return answer{}
	})
	c.Start(persistent(t, s.URL+c.Secret("path of a webhook", "/hook/s3cr3t-mid")))
	events := numbered(200)
	c.acceptAtOnce(events)
	s.WaitUntil(func() bool { return len(s.Requests()) > 80 })
	c.Kill()
	killed.Store(true)
	arrived := len(messages(t, s.Accepted()))
	assert.Positive(t, arrived, "nothing had been delivered")
	assert.Less(t, arrived, len(events), "nothing was left to lose")

	c.Again()
	s.waitForAll(events)
	c.Stop()
	assertAll(t, events, s.Accepted())
}

// events of three objects in turn.
func inTurn(n int) []eventv1.Event {
	events := make([]eventv1.Event, n)
	for i := range events {
		events[i] = newEvent("app-"+strconv.Itoa(i%3), "message "+strconv.Itoa(i))
	}
	return events
}

// What is kept for the next start must not be reported as lost.
func TestStoppedWithTheEndpointDown(t *testing.T) {
	t.Parallel()
	c, port := newCollector(t), freePort(t)
	c.Start(persistent(t, "http://"+loopback(port)))
	events := inTurn(30)
	c.Accept(events...)
	c.Stop()
	assert.Empty(t, c.Lines("Dropping data"), "the log says that data was lost")
	assert.Empty(t, c.Lines("not sent"), "the log says that notifications failed")

	c.Again()
	s := newSink(t, nil, onPort(t, port))
	s.Wait(len(events))
	c.Stop()
	assertAll(t, events, s.Accepted())
	assert.Len(t, s.Accepted(), len(events), "nothing had been sent, so nothing is to be sent twice")
}

func TestOrderOverAStop(t *testing.T) {
	t.Parallel()
	c, port := newCollector(t), freePort(t)
	c.Start(persistent(t, "http://"+loopback(port)))
	events := inTurn(30)
	c.Accept(events...)
	c.Stop()
	c.Again()
	s := newSink(t, nil, onPort(t, port))
	s.Wait(len(events))
	c.Stop()
	assertOrder(t, events, s.Accepted())
}

// assertOrder says which events of an object arrived after a later one.
func assertOrder(t *testing.T, posted []eventv1.Event, arrived []request) {
	t.Helper()
	want, got := map[string][]string{}, map[string][]string{}
	for _, e := range posted {
		want[e.InvolvedObject.Name] = append(want[e.InvolvedObject.Name], e.Message)
	}
	for _, r := range arrived {
		e := r.event(t)
		got[e.InvolvedObject.Name] = append(got[e.InvolvedObject.Name], e.Message)
	}
	for name := range want {
		assert.Equal(t, want[name], got[name], "the order of %s", name)
	}
}
