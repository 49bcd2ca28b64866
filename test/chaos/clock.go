package main

import (
	"context"
	"fmt"
	"os/exec"
	"time"
)

// errNoClock skips the row whose programs need a wrong clock.
var errNoClock = fmt.Errorf("%w: the clock of a process cannot be set on this machine (it needs linux/amd64 and ptrace)", errSkipped)

// clockBack restarts the collector with its wall clock an hour behind, while
// notifications wait, and later with the right one again. The times of acceptance, and
// the ObservedTimestamp of records, step with it.
func clockBack(ctx context.Context, s *stage) error {
	var ahead time.Duration
	given := s.persistent()
	given.launch = func(cmd *exec.Cmd) error { return startAhead(cmd, ahead) }
	c, err := s.start(ctx, given)
	if err != nil {
		return err
	}
	rounds := 2
	if !s.full {
		rounds = 1
	}
	return s.flow(ctx, c.address, func() error {
		for range rounds {
			for _, ahead = range []time.Duration{-time.Hour, 0} {
				if err := s.heapUp(ctx, s.pick(3*time.Second, time.Second)); err != nil {
					return err
				}
				c.kill()
				if err := c.start(ctx); err != nil {
					return err
				}
				// Events of both clocks wait for a while.
				pause(ctx, s.moment(s.pick(3*time.Second, time.Second)))
				s.sink.feel(fine)
				pause(ctx, s.moment(s.pick(2*time.Second, time.Second)))
			}
		}
		return nil
	})
}
