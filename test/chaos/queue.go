package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// growth is how much memory a full queue may add, in MiB, however long senders
// insist.
const growth = 64

// overflow fills the queue: senders are refused, and succeed when they come
// again.
func overflow(ctx context.Context, s *stage) error {
	s.rate = 200
	c, err := s.start(ctx, settings{exporter: yamlMap{"sending_queue": yamlMap{"queue_size": 300}}})
	if err != nil {
		return err
	}
	return s.flow(ctx, c.address, func() error {
		s.sink.down()
		s.await(ctx, func() bool { return s.ledger.answered(http.StatusServiceUnavailable) > 0 })
		before := c.measure()
		pause(ctx, s.pick(30*time.Second, 3*time.Second))
		grown := c.measure() - before
		s.note("RSS %.0f MiB when the queue was full, %+.0f later", before, grown)
		if grown > growth {
			return fmt.Errorf("the memory grew by %.0f MiB while the queue was full", grown)
		}
		return errors.Join(s.sink.up(), bit(s.ledger.answered(http.StatusServiceUnavailable) > 0, "no sender was refused"))
	})
}

// await waits for a condition, as long as patience allows.
func (s *stage) await(ctx context.Context, condition func() bool) bool {
	deadline := time.Now().Add(patience)
	for !condition() {
		if time.Now().After(deadline) || ctx.Err() != nil {
			return false
		}
		pause(ctx, 20*time.Millisecond)
	}
	return true
}

// diskFull fills the disk of the queue and makes room again, several times: with
// an endpoint that is quick, slow, and away; the last time the collector is
// killed, started on the full disk, and killed again. What is accepted with the
// last room has to be taken out of the queue when there is none.
func diskFull(ctx context.Context, s *stage) error {
	disk := filepath.Join(s.dir, "disk")
	if err := os.Mkdir(disk, 0o700); err != nil {
		return err
	}
	r, err := newRoom(fmt.Sprintf("mount -t tmpfs -o size=2m tmpfs %q", disk))
	if err != nil {
		return err
	}
	s.closeAtEnd(r.close)
	s.rate = 100
	c, err := s.start(ctx, settings{
		storage: filepath.Join(disk, "storage"), inside: r,
		exporter: yamlMap{"sending_queue": yamlMap{"queue_size": 100_000, "num_consumers": 2}},
	})
	if err != nil {
		return err
	}
	filler := r.path(filepath.Join(disk, "filler"))
	rounds := 3
	if !s.full {
		rounds = 1
	}
	return s.flow(ctx, c.address, func() error {
		for range rounds {
			if err := s.fullDisks(ctx, c, filler); err != nil {
				return err
			}
		}
		return bit(s.ledger.answered(http.StatusServiceUnavailable) > 0, "the collector took everything on a full disk")
	})
}

func (s *stage) fullDisks(ctx context.Context, c *process, filler string) error {
	for _, m := range []mood{fine, after(100 * time.Millisecond)} {
		s.sink.feel(m)
		if err := s.fullFor(ctx, filler); err != nil {
			return err
		}
	}
	s.sink.down()
	s.sink.feel(fine)
	err := s.fullFor(ctx, filler, func() error { return s.restartOnFull(ctx, c) })
	return errors.Join(err, c.start(ctx))
}

// restartOnFull kills the collector, starts it where there is no room, and looks
// whether what it had accepted is delivered all the same; then it kills it again.
func (s *stage) restartOnFull(ctx context.Context, c *process) error {
	c.kill()
	before := s.ledger.count()
	if err := errors.Join(bit(before.lost > 0, "nothing waited on the full disk"), c.start(ctx), s.sink.up()); err != nil {
		return err
	}
	if !s.await(ctx, func() bool { return s.ledger.count().arrived >= before.arrived+before.lost }) {
		return errors.New("what had been accepted is not delivered on a full disk")
	}
	c.kill()
	return nil
}

// fullFor fills a disk for a while. A sender is refused sooner or later: what the
// queue has emptied of its file, it can fill again.
func (s *stage) fullFor(ctx context.Context, filler string, before ...func() error) error {
	pause(ctx, s.moment(s.pick(4*time.Second, time.Second)))
	if err := fill(filler); err != nil {
		return err
	}
	pause(ctx, s.moment(s.pick(8*time.Second, 3*time.Second)))
	for _, f := range before {
		if err := f(); err != nil {
			return err
		}
	}
	return os.Remove(filler)
}

// fill writes a file until there is no room.
func fill(file string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	block := make([]byte, 4096)
	for err == nil {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}
