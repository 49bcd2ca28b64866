package main

import (
	"context"
	"errors"
	"path/filepath"
	"time"
)

// chain forwards from one collector to another, signed, and kills the second.
func chain(ctx context.Context, s *stage) error {
	const key = "chain-key-for-loopback-only"
	s.sink.feel(uneven)
	second, err := s.start(ctx, settings{
		name: "second", storage: filepath.Join(s.dir, "second"),
		receiver: yamlMap{"signature": yamlMap{"keys": []string{key}}},
	})
	if err != nil {
		return err
	}
	first, err := s.start(ctx, settings{
		name: "first", storage: filepath.Join(s.dir, "first"),
		exporter: yamlMap{"type": "generic-hmac", "address": "http://" + second.address + "/", "token": key},
	})
	if err != nil {
		return err
	}
	times := 6
	if !s.full {
		times = 3
	}
	return s.flow(ctx, first.address, func() error {
		for range times {
			pause(ctx, s.moment(s.pick(5*time.Second, time.Second)))
			if err := s.heapUp(ctx, s.pick(3*time.Second, time.Second)); err != nil {
				return err
			}
			second.kill()
			felt := s.await(ctx, s.grows())
			pause(ctx, s.moment(s.pick(3*time.Second, 500*time.Millisecond)))
			s.sink.feel(uneven)
			if err := errors.Join(bit(felt, "the first did not have to wait for the second"), second.start(ctx)); err != nil {
				return err
			}
		}
		return nil
	})
}
