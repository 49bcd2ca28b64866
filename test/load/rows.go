package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// row is one line of the table.
type row struct {
	name     string
	scenario scenario
	rounds   int // 0: as many as -rounds says
	targets  []target
	// note adds text about the results to the line.
	note func(results []result) string

	results  []result // by round
	verdicts []string
	failed   error
}

// target is what a row should reach.
type target struct {
	// base is the row that it is compared with, of the same group; empty: none.
	base  string
	what  figure
	limit float64
	least bool // the limit is the least, else the most
}

// figure is one number of a result.
type figure struct {
	name string
	of   func(result) float64
}

var (
	rate = figure{"events/s", func(r result) float64 { return r.rate }}
	cpu  = figure{"CPU per event", func(r result) float64 { return r.cpu }}
	rss  = figure{"RSS MiB", func(r result) float64 { return r.rss }}
)

// group is rows that are measured in turn, and compared with each other.
type group []*row

// groups are all rows, in the order of the table.
func groups(o options) []group {
	const relay = "bare relay"
	many := make([]string, 10)
	for i := range many {
		many[i] = fmt.Sprintf("team-%d", i)
	}
	relayTargets := func(base string) []target {
		return []target{{base, rate, 0.75, true}, {base, cpu, 1.5, false}}
	}
	anonymous := func(results []result) string {
		return fmt.Sprintf("without mapped files %.0f", results[0].anonymous)
	}
	waiting := func(storage string) scenario {
		return scenario{events: o.waiting, storage: storage, queue: 2 * o.waiting, objects: o.waiting, down: true}
	}
	return []group{
		{
			{name: relay + ", plain", scenario: scenario{relay: true}},
			{name: "queue in memory, plain", targets: relayTargets(relay + ", plain")},
		}, {
			{name: relay + ", TLS", scenario: scenario{relay: true, tls: true}},
			{name: "queue in memory, TLS", scenario: scenario{tls: true}, targets: relayTargets(relay + ", TLS")},
		}, {
			{name: "queue in memory"},
			{name: "queue on file_storage", scenario: scenario{storage: onDisk}, targets: []target{{"queue in memory", rate, 0.9, true}}},
			{
				name: fmt.Sprintf("file_storage, fsync, %d senders", o.senders), scenario: scenario{storage: synced},
				targets: []target{{"queue in memory", rate, 0.7, true}},
			},
		}, {
			{name: "one exporter on storage", scenario: scenario{storage: onDisk, namespaces: []string{"*"}}},
			{
				name: "ten exporters on storage", scenario: scenario{storage: onDisk, namespaces: many},
				targets: []target{{"one exporter on storage", rate, 0.8, true}},
				note:    func([]result) string { return "each event is for one of them" },
			},
		}, {
			{name: "1 alert", scenario: scenario{alerts: 1}},
			{name: "100 alerts", scenario: scenario{alerts: 100}, targets: []target{{"1 alert", cpu, 1.10, false}}},
		}, {
			{name: "1 target", scenario: scenario{targets: 1}},
			{name: "200 targets, one wants each event", scenario: scenario{targets: 200}},
		}, {
			{name: fmt.Sprintf("%d waiting in memory", o.waiting), scenario: waiting(""), rounds: 1, targets: []target{{"", rss, 200, false}}, note: anonymous},
		}, {
			{name: fmt.Sprintf("%d waiting on storage", o.waiting), scenario: waiting(onDisk), rounds: 1, targets: []target{{"", rss, 200, false}}, note: anonymous},
		}, {
			{name: "1024 file descriptors", scenario: scenario{files: 1024}, rounds: 1},
		}, {
			{name: fmt.Sprintf("long run, %d events", o.long), scenario: scenario{events: o.long}, rounds: 1, note: func(results []result) string {
				return "RSS in MiB after each tenth: " + strings.Trim(fmt.Sprintf("%.0f", results[0].samples), "[]")
			}},
		},
	}
}

// chosen returns the rows whose names match, and those that they are compared with.
func (g group) chosen(only *regexp.Regexp) group {
	wanted := map[string]bool{}
	for _, r := range g {
		if !only.MatchString(r.name) {
			continue
		}
		wanted[r.name] = true
		for _, t := range r.targets {
			wanted[t.base] = true
		}
	}
	return slices.DeleteFunc(g, func(r *row) bool { return !wanted[r.name] })
}

// measure runs the rows of a group in turn. A row that failed is not run again: it may
// have hung until its deadline.
func (g group) measure(ctx context.Context, b *bench) error {
	var failed []error
	for round := range b.options.rounds {
		for _, r := range g {
			if r.failed != nil || r.rounds > 0 && round >= r.rounds {
				continue
			}
			b.progress(r.name, round)
			result, err := b.run(ctx, r.scenario)
			if err != nil {
				r.failed = fmt.Errorf("%s: %w", r.name, err)
				failed = append(failed, r.failed)
				continue
			}
			r.results = append(r.results, result)
		}
	}
	for _, r := range g {
		for i := range r.targets {
			t := &r.targets[i]
			r.verdicts = append(r.verdicts, t.verdict(r, g))
		}
	}
	return errors.Join(failed...)
}

// verdict compares the figure of a row with its target.
func (t *target) verdict(r *row, g group) string {
	var values []float64
	for round, result := range r.results {
		value := t.what.of(result)
		if t.base != "" {
			base := g[slices.IndexFunc(g, func(r *row) bool { return r.name == t.base })]
			if round >= len(base.results) {
				break
			}
			value /= t.what.of(base.results[round])
		}
		values = append(values, value)
	}
	if len(values) == 0 {
		return "not measured"
	}
	value, sign, met := median(values), "≤", "missed"
	if t.least {
		sign = "≥"
	}
	if t.least && value >= t.limit || !t.least && value <= t.limit {
		met = "ok"
	}
	if t.base == "" {
		return fmt.Sprintf("%s %.0f (%s %.0f) %s", t.what.name, value, sign, t.limit, met)
	}
	return fmt.Sprintf("%s %.2f of %q (%s %.2f) %s", t.what.name, value, t.base, sign, t.limit, met)
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
