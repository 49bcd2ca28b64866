package main

import (
	"context"
	"net/http"
	"time"
)

// scenario is one row of the table: one thing that goes wrong.
type scenario struct {
	name string
	play func(context.Context, *stage) error
	// compare reports that it can also be played with what posts and forgets.
	compare bool
	may     allowance
}

// allowance is what may happen to events of a row, beside that they come late.
// No row may lose any.
type allowance struct {
	// repeat: something dies, or breaks connections, when an endpoint has taken an
	// event and the collector has not noted it. It delivers again then.
	repeat bool
	// overtake: events of one object change their order. See throughKafka.
	overtake bool
}

var (
	nothing = allowance{}
	repeat  = allowance{repeat: true}
)

// scenarios are the rows, in the order of the table.
var scenarios = []scenario{
	{"killed ten times, queue on disk", killed, true, repeat},
	{"SIGTERM under load, queue on disk", stopped(true), false, nothing},
	{"SIGTERM under load, queue in memory", stopped(false), true, nothing},
	{"endpoint down", away, true, repeat},
	{"endpoint never answers", moody(func(*stage) mood { return silent }, yamlMap{"timeout": "2s"}), true, repeat},
	{"endpoint answers 500", moody(func(*stage) mood { return answering(http.StatusInternalServerError, "") }, nil), true, nothing},
	{"endpoint answers 503, Retry-After", moody(func(*stage) mood { return answering(http.StatusServiceUnavailable, "1") }, nil), true, nothing},
	{"endpoint answers 429", moody(func(*stage) mood { return answering(http.StatusTooManyRequests, "1") }, nil), true, nothing},
	{"endpoint answers by half", moody(func(*stage) mood { return half }, nil), true, repeat},
	{"endpoint answers garbage", moody(func(s *stage) mood { return garbage(s.random) }, nil), true, repeat},
	{"endpoint closes one of three", moody(func(*stage) mood { return closing }, nil), true, repeat},
	{"endpoint takes 2 s for each", slow, true, nothing},
	{"queue full", overflow, false, repeat},
	{"disk full", diskFull, false, repeat},
	{"one of two endpoints silent", pair, false, nothing},
	{"healthy object, 10,000 others wait", crowd, false, nothing},
	{"clock set back an hour, killed", clockBack, false, repeat},
	{"killed between alerts of an event", several, false, nothing},
	{"storage unusable at startup", unusable, false, repeat},
	{"secret removed and put back", secret, false, nothing},
	{"certificate expired and replaced", certificate, false, repeat},
	{"name stops resolving", nameLost, false, nothing},
	{"two collectors, second killed", chain, false, repeat},
	{"through Kafka, each part killed", throughKafka(nil), false, kafka},
	{"through Kafka, no queue behind it", throughKafka([]string{"exporters::flux_notify::sending_queue: {enabled: false}"}), false, kafka},
}

// consumers is how many deliveries an exporter has at once by default.
const consumers = 10

// heapUp lets the endpoint be slow, half as quick as events come, until there are
// more on their way than can be in delivery: some wait in a queue.
func (s *stage) heapUp(ctx context.Context, longest time.Duration) error {
	s.sink.feel(after(400 * time.Millisecond))
	s.await(ctx, func() bool { return s.ledger.missing() > consumers })
	pause(ctx, s.moment(longest))
	return bit(s.ledger.missing() > consumers, "nothing waited in a queue")
}

// killed kills the collector at random moments, in the middle of its work and
// with more of it in the queue.
func killed(ctx context.Context, s *stage) error {
	s.sink.feel(uneven)
	c, err := s.start(ctx, s.persistent())
	if err != nil {
		return err
	}
	times := 10
	if !s.full {
		times = 4
	}
	return s.flow(ctx, c.address, func() error {
		for range times {
			if err := s.heapUp(ctx, s.pick(3*time.Second, time.Second)); err != nil {
				return err
			}
			c.kill()
			s.sink.feel(uneven)
			if err := c.start(ctx); err != nil {
				return err
			}
			pause(ctx, s.moment(s.pick(3*time.Second, time.Second)))
		}
		return nil
	})
}

// stopped ends the collector as Kubernetes does, with work in its queue. An
// in-memory queue has to be empty by then.
func stopped(onDisk bool) func(context.Context, *stage) error {
	return func(ctx context.Context, s *stage) error {
		given := settings{}
		if onDisk {
			given = s.persistent()
		}
		c, err := s.start(ctx, given)
		if err != nil {
			return err
		}
		times := 5
		if !s.full {
			times = 2
		}
		return s.flow(ctx, c.address, func() error {
			longest := time.Duration(0)
			for range times {
				took, err := s.stopBusy(ctx, c)
				if err != nil {
					return err
				}
				longest = max(longest, took)
			}
			s.note("stops took %.1f s at most", longest.Seconds())
			return nil
		})
	}
}

// stopBusy lets a queue grow, stops the collector and starts it again.
func (s *stage) stopBusy(ctx context.Context, c *process) (took time.Duration, err error) {
	if err := s.heapUp(ctx, s.pick(5*time.Second, 2*time.Second)); err != nil {
		return 0, err
	}
	took, err = c.stop(stopLimit)
	s.sink.feel(fine)
	if err != nil {
		return took, err
	}
	err = c.start(ctx)
	pause(ctx, s.moment(s.pick(3*time.Second, time.Second))) // what has heaped up in the meantime is sent
	return took, err
}
