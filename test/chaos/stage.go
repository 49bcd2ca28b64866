package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// options are those of the command.
type options struct {
	collector string // the built collector
	configs   string // the folder with configurations ready to run
	self      string // this program, for the processes that it plays itself
	seed      uint64
	full      bool
	keep      string // where what the processes print is kept; empty: nowhere
}

// stage is where one scenario plays: a ledger, an endpoint, and the processes
// between the driver and it.
type stage struct {
	options
	dir    string
	rate   int // events in a second
	random *rand.Rand
	ledger *ledger
	sink   *sink
	forget bool // play it with what posts and forgets instead of the collector
	may    allowance

	mu        sync.Mutex
	processes []*process
	notes     []string
	closers   []func()
}

// patience is how long to wait for what has no reason to be late.
const patience = 3 * time.Minute

// stopLimit is how long the collector may take to end: Kubernetes' default.
const stopLimit = 30 * time.Second

func newStage(o options, name string) (*stage, error) {
	dir, err := os.MkdirTemp(o.keep, "chaos-")
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	s := &stage{options: o, dir: dir, rate: 50, ledger: newLedger(), random: randomOf(o.seed, name)}
	if o.keep == "" {
		s.closeAtEnd(func() { _ = os.RemoveAll(dir) })
	}
	return s, s.endpoint(nil)
}

// randomOf gives every scenario numbers of its own, so that the seed repeats it
// whatever plays beside it.
func randomOf(seed uint64, name string) *rand.Rand {
	second := uint64(0)
	for _, b := range []byte(name) {
		second = second*31 + uint64(b)
	}
	return rand.New(rand.NewPCG(seed, second))
}

func (s *stage) closeAtEnd(f func()) { s.closers = append(s.closers, f) }

func (s *stage) close() {
	for _, p := range s.processes {
		p.kill()
	}
	if s.sink != nil {
		s.sink.down()
	}
	for i := len(s.closers) - 1; i >= 0; i-- {
		s.closers[i]()
	}
}

// pick chooses between the full form and the short one.
func (s *stage) pick(full, short time.Duration) time.Duration {
	if s.full {
		return full
	}
	return short
}

func (s *stage) note(format string, arguments ...any) {
	s.notes = append(s.notes, fmt.Sprintf(format, arguments...))
}

// moment is a random one between a tenth of d and d.
func (s *stage) moment(d time.Duration) time.Duration {
	return d/10 + time.Duration(s.random.Int64N(int64(d-d/10)))
}

// add takes a process that is to be watched and ended.
func (s *stage) add(ctx context.Context, p *process) (*process, error) {
	p.output = filepath.Join(s.dir, p.name+".log")
	s.mu.Lock()
	s.processes = append(s.processes, p)
	s.mu.Unlock()
	return p, p.start(ctx)
}

// own is a process that this program plays itself.
func (s *stage) own(command string, arguments ...string) *exec.Cmd {
	return exec.Command(s.self, append([]string{command}, arguments...)...)
}

// flow posts at a steady rate while something goes wrong and a while after
// that, and waits until everything has arrived.
func (s *stage) flow(ctx context.Context, address string, fault func() error) error {
	posting, endPosting := context.WithCancel(ctx)
	defer endPosting()
	sending, endSending := context.WithCancel(ctx)
	defer endSending()
	done := make(chan struct{})
	go func() {
		newDriver(address, s.rate, s.ledger).run(sending, posting)
		close(done)
	}()
	defer s.watch(ctx)()

	pause(ctx, s.pick(3*time.Second, 500*time.Millisecond))
	err := fault()
	pause(ctx, s.pick(3*time.Second, 500*time.Millisecond))
	endPosting()
	select {
	case <-done:
	case <-time.After(patience):
		err = errors.Join(err, errors.New("events are still refused"))
		endSending()
		<-done
	}
	s.drain(ctx)
	return errors.Join(err, s.verdict())
}

// drain waits until nothing is missing. What posts and forgets gets little time:
// what has not come by then does not come.
func (s *stage) drain(ctx context.Context) {
	limit := patience
	if s.forget {
		limit = s.pick(20*time.Second, 2*time.Second)
	}
	deadline := time.Now().Add(limit)
	for s.ledger.missing() > 0 && time.Now().Before(deadline) && ctx.Err() == nil && s.failure() == nil {
		pause(ctx, 50*time.Millisecond)
	}
}

// watch measures the memory of all processes until it is told to end.
func (s *stage) watch(ctx context.Context) (end func()) {
	watching, end := context.WithCancel(ctx)
	go func() {
		for watching.Err() == nil {
			s.mu.Lock()
			processes := s.processes
			s.mu.Unlock()
			for _, p := range processes {
				p.measure()
			}
			pause(watching, 200*time.Millisecond)
		}
	}()
	return end
}

func (s *stage) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	errs := make([]error, 0, len(s.processes))
	for _, p := range s.processes {
		errs = append(errs, p.failure())
	}
	return errors.Join(errs...)
}

// verdict is what may not be, whatever goes wrong. What posts and forgets is
// shown and not judged.
func (s *stage) verdict() error {
	if s.forget {
		return nil
	}
	return errors.Join(s.failure(), s.ledger.count().judge(s.may))
}

// judge holds a line of the table against what may be.
func (c count) judge(may allowance) error {
	var errs []error
	if c.lost > 0 {
		errs = append(errs, fmt.Errorf("%d events were accepted and lost", c.lost))
	}
	if c.never > 0 {
		errs = append(errs, fmt.Errorf("%d events were never accepted", c.never))
	}
	if c.rude > 0 {
		errs = append(errs, fmt.Errorf("%d answers 503 had no Retry-After", c.rude))
	}
	if c.twice > 0 && !may.repeat {
		errs = append(errs, fmt.Errorf("%d events arrived twice, and nothing was killed", c.twice))
	}
	if c.passed > 0 && !may.overtake {
		errs = append(errs, fmt.Errorf("%d events were overtaken by a later one of their object", c.passed))
	}
	return errors.Join(errs...)
}

// bit makes sure that what was to go wrong did.
func bit(did bool, what string) error {
	if did {
		return nil
	}
	return errors.New("the fault was not felt, so this shows nothing: " + what)
}
