// Command chaos shows, with the built collector, that nothing accepted is lost:
// an event that was answered 202 arrives at least once, whatever goes wrong.
//
// A driver posts numbered events at a steady rate while one thing goes wrong,
// and comes again where it is refused. A ledger notes what was accepted and
// what arrived; a table of it, with a row for each thing that goes wrong, is
// what this prints. It fails if anything was lost, if events of one object changed
// their order, or if one arrived twice, where the row does not say that it may.
//
// With -soak it watches the collector under a load for a while instead.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

// roles are the processes that this program plays itself.
var roles = map[string]func(arguments []string) error{
	forgetCommand: forget,
	brokerCommand: broker,
}

// role plays one, where the arguments of the program say so.
func role(arguments []string) (played bool, err error) {
	if len(arguments) < 2 {
		return false, nil
	}
	play, ok := roles[arguments[1]]
	if !ok {
		return false, nil
	}
	return true, play(arguments[2:])
}

func main() {
	log.SetFlags(0)
	played, err := role(os.Args)
	if !played {
		err = command()
	}
	if err != nil {
		log.Fatal(err)
	}
}

// how is how the table is made.
type how struct {
	only     string
	parallel int
	compare  bool
}

func command() error {
	var o options
	var h how
	flag.StringVar(&o.collector, "collector", "../../_build/otelcol-flux", "the collector to try")
	flag.StringVar(&o.configs, "configs", "../../config", "the folder with configurations that are ready to run")
	flag.StringVar(&o.keep, "keep", "", "a folder in which to keep what the processes print")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "seed of the random moments")
	flag.StringVar(&h.only, "only", "", "an expression of the rows to play")
	flag.IntVar(&h.parallel, "parallel", 4, "how many rows to play at once")
	flag.BoolVar(&h.compare, "compare", false, "play the rows that it can with what posts and forgets, too")
	short := flag.Bool("short", false, "each row in seconds")
	minutes := flag.Int("soak", 0, "watch the collector under a load for so many minutes, instead of the table")
	flag.Parse()
	o.full = !*short
	if err := o.absolute(); err != nil {
		return err
	}
	fmt.Printf("seed %d\n", o.seed)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *minutes > 0 {
		flat, err := soak(ctx, o, watch{length: time.Duration(*minutes) * time.Minute, every: time.Minute, rate: soakRate, burst: burstSize})
		if !flat {
			err = errors.Join(err, errNotFlat)
		}
		return err
	}
	return h.table(ctx, o)
}

func (h how) table(ctx context.Context, o options) error {
	rows, err := regexp.Compile(h.only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	results := perform(ctx, o, chosen(rows), h.parallel, false)
	printTable(os.Stdout, results)
	if h.compare {
		fmt.Println("\nThe same with what posts and forgets: 202 at once, then one attempt from a goroutine with a new client.")
		printTable(os.Stdout, perform(ctx, o, compared(chosen(rows)), h.parallel, true))
	}
	return failures(results)
}

// absolute makes paths that hold wherever a process runs.
func (o *options) absolute() error {
	for _, path := range []*string{&o.collector, &o.configs} {
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return err
		}
		if _, err := os.Stat(absolute); err != nil {
			return fmt.Errorf("%w: run make build first", err)
		}
		*path = absolute
	}
	self, err := os.Executable()
	o.self = self
	return err
}
