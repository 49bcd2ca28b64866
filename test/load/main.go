// Command load measures the built collector end to end, beside a bare relay.
//
// N unique events go over keep-alive connections into the process under test,
// which posts each to a sink that counts. The process under test is the
// collector (receiver, queue, exporter of type generic), and then, with the same
// load and the same sink, a relay made of net/http and encoding/json alone:
// what the hardware and the standard library can do at best. Both run again
// with an endpoint behind TLS. It prints a table and the ratios.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"slices"
)

type options struct {
	collector string
	events    int
	conns     int
	long      int
	rounds    int
}

func main() {
	log.SetFlags(0)
	if len(os.Args) == 4 && os.Args[1] == relayCommand {
		log.Fatal(relay(os.Args[2], os.Args[3]))
	}
	var o options
	flag.StringVar(&o.collector, "collector", "_build/otelcol-flux", "the collector to measure")
	flag.IntVar(&o.events, "events", 50_000, "events in each run")
	flag.IntVar(&o.conns, "connections", 32, "connections that post events")
	flag.IntVar(&o.long, "long", 100_000, "events in the long run, whose memory is watched")
	flag.IntVar(&o.rounds, "rounds", 3, "how often the relay and the collector are compared")
	flag.Parse()
	if err := run(o); err != nil {
		log.Fatal(err)
	}
}

func run(o options) error {
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

	fmt.Printf("%-34s %9s %10s %9s %8s %6s %6s %6s\n", "", "events/s", "cpu µs/ev", "rss MiB", "conns", "sent", "lost", "twice")
	var failed []error
	measure := func(name string, s scenario) result {
		s.dir, s.ca, s.conns = dir, ca, o.conns
		if s.events == 0 {
			s.events = o.events
		}
		r, err := s.run(o)
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", name, err))
			return r
		}
		fmt.Printf("%-34s %9.0f %10.1f %9.1f %8d %6d %6d %6d\n", name, r.rate, r.cpu, r.rss, r.conns, r.sent, r.lost, r.twice)
		return r
	}

	for _, tls := range []bool{false, true} {
		kind := "plain"
		if tls {
			kind = "TLS"
		}
		// In turn, so that both meet the same weather; the median is quoted.
		var rates, costs []float64
		for range o.rounds {
			bare := measure("bare relay, "+kind, scenario{relay: true, tls: tls})
			ours := measure("collector, "+kind, scenario{tls: tls})
			rates = append(rates, ours.rate/bare.rate)
			costs = append(costs, ours.cpu/bare.cpu)
		}
		fmt.Printf("  ratio to the bare relay, %s: %.2f of its events/s (at least 0.6), %.2f of its CPU per event (at most 2.0)\n",
			kind, median(rates), median(costs))
	}
	one := measure("collector, 1 alert", scenario{alerts: 1})
	hundred := measure("collector, 100 alerts", scenario{alerts: 100})
	fmt.Printf("  100 alerts cost %.2f of the CPU of one (at most 1.10)\n", hundred.cpu/one.cpu)
	measure("collector, 1024 file descriptors", scenario{files: 1024})
	long := measure(fmt.Sprintf("collector, %d events", o.long), scenario{events: o.long})
	fmt.Printf("  RSS in MiB after each tenth: %.0f\n", long.samples)
	return errors.Join(failed...)
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
