package main

import (
	"context"
	"errors"
	"time"
)

// away is an endpoint that refuses connections.
func away(ctx context.Context, s *stage) error {
	c, err := s.start(ctx, settings{})
	if err != nil {
		return err
	}
	return s.flow(ctx, c.address, func() error {
		s.sink.down()
		pause(ctx, s.pick(time.Minute, 3*time.Second))
		return errors.Join(bit(s.ledger.missing() > consumers, "nothing waited for the endpoint"), s.sink.up())
	})
}

// moody is an endpoint whose answers are bad for a while.
func moody(bad func(*stage) mood, more yamlMap) func(context.Context, *stage) error {
	return func(ctx context.Context, s *stage) error {
		c, err := s.start(ctx, settings{exporter: more})
		if err != nil {
			return err
		}
		return s.flow(ctx, c.address, func() error {
			s.sink.feel(bad(s))
			pause(ctx, s.pick(20*time.Second, 3*time.Second))
			s.sink.feel(fine)
			return bit(s.sink.bad.Load() > 0, "the endpoint refused nothing")
		})
	}
}

// slow is an endpoint that takes two seconds for each, of which there are
// enough at once.
func slow(ctx context.Context, s *stage) error {
	s.sink.feel(after(2 * time.Second))
	c, err := s.start(ctx, settings{exporter: yamlMap{"sending_queue": yamlMap{"num_consumers": 4 * s.rate}}})
	if err != nil {
		return err
	}
	return s.flow(ctx, c.address, func() error {
		pause(ctx, s.pick(20*time.Second, 3*time.Second))
		// Of each second's events, those of two are there.
		return bit(s.ledger.missing() > s.rate, "the endpoint was not slow")
	})
}
