// Command load measures the built collector end to end.
//
// Each run posts different events over keep-alive connections to a process under test,
// which sends each to an endpoint that counts them. The process is the collector with
// the receiver, and exporters of type generic, or a bare relay: net/http and
// encoding/json only, which is what the machine and the standard library can do.
//
// Figures that are compared come from runs in turn. The ratio is taken for each round,
// and the table has the median of the ratios. A missed target is printed and does not
// change the exit code, since machines differ. An event that is lost, or that arrives
// twice, does.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"
)

type options struct {
	collector string
	events    int
	senders   int
	long      int
	waiting   int
	rounds    int
	limit     time.Duration
	only      *regexp.Regexp
}

func main() {
	log.SetFlags(0)
	if len(os.Args) == 4 && os.Args[1] == relayCommand {
		log.Fatal(relay(os.Args[2], os.Args[3]))
	}
	var o options
	flag.StringVar(&o.collector, "collector", "_build/otelcol-flux", "the collector to measure")
	flag.IntVar(&o.events, "events", 30_000, "events in each run")
	flag.IntVar(&o.senders, "connections", 32, "connections that post events")
	flag.IntVar(&o.long, "long", 100_000, "events in the long run")
	flag.IntVar(&o.waiting, "waiting", 100_000, "notifications that wait while the endpoint is down")
	flag.IntVar(&o.rounds, "rounds", 3, "number of rounds of the runs that are compared")
	flag.DurationVar(&o.limit, "limit", 20*time.Minute, "longest time of all runs")
	only := flag.String("only", "", "regular expression of the rows to measure; rows that they are compared with are measured too")
	flag.Parse()
	if err := o.run(*only); err != nil {
		log.Fatal(err)
	}
}

func (o options) run(only string) error {
	rows, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	o.only = rows
	if _, err := os.Stat(o.collector); err != nil {
		return fmt.Errorf("no %s: run make build first", o.collector)
	}
	dir, err := os.MkdirTemp("", "load-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ca, err := newAuthority(dir)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, o.limit)
	defer cancel()

	var failed []error
	var measured []*row
	for _, g := range groups(o) {
		g = g.chosen(o.only)
		failed = append(failed, g.measure(ctx, &bench{options: o, dir: dir, ca: ca}))
		measured = append(measured, g...)
	}
	printTable(os.Stdout, measured)
	return errors.Join(failed...)
}
