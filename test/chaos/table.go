package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
)

// result is what became of a row.
type result struct {
	name  string
	count count
	peak  float64 // MiB of all its collectors together
	notes []string
	err   error
}

func chosen(rows *regexp.Regexp) []scenario {
	var found []scenario
	for _, row := range scenarios {
		if rows.MatchString(row.name) {
			found = append(found, row)
		}
	}
	return found
}

func compared(rows []scenario) []scenario {
	var found []scenario
	for _, row := range rows {
		if row.compare {
			found = append(found, row)
		}
	}
	return found
}

// perform plays rows, some at once: each has its own ports, folders and
// processes.
func perform(ctx context.Context, o options, rows []scenario, parallel int, forget bool) []result {
	results := make([]result, len(rows))
	slots := make(chan struct{}, parallel)
	var wg sync.WaitGroup
	for i, row := range rows {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			results[i] = row.perform(ctx, o, forget)
		})
	}
	wg.Wait()
	return results
}

func (row scenario) perform(ctx context.Context, o options, forget bool) result {
	s, err := newStage(o, row.name)
	if err != nil {
		return result{name: row.name, err: err}
	}
	defer s.close()
	s.forget, s.may = forget, row.may
	err = row.play(ctx, s)
	if forget && !errors.Is(err, errSkipped) {
		err = nil // it is shown, not judged
	}
	r := result{name: row.name, count: s.ledger.count(), notes: s.notes, err: err}
	for _, p := range s.processes {
		if p.name != brokerCommand {
			r.peak += p.highest()
		}
	}
	return r
}

// failures are those of all rows; what was skipped is none.
func failures(results []result) error {
	var errs []error
	for _, r := range results {
		if r.err != nil && !errors.Is(r.err, errSkipped) {
			errs = append(errs, fmt.Errorf("%s: %w", r.name, r.err))
		}
	}
	return errors.Join(errs...)
}

func printTable(w io.Writer, results []result) {
	_, _ = fmt.Fprintf(w, "%-36s %6s %6s %5s %6s %6s %7s %6s %6s %5s %8s %7s\n",
		"", "sent", "202", "429", "503", "none", "arrived", "twice", "passed", "lost", "delay s", "RSS MiB")
	for _, r := range results {
		if errors.Is(r.err, errSkipped) {
			_, _ = fmt.Fprintf(w, "%-36s %v\n", r.name, r.err)
			continue
		}
		c := r.count
		_, _ = fmt.Fprintf(w, "%-36s %6d %6d %5d %6d %6d %7d %6d %6d %5d %8.1f %7.0f",
			r.name, c.sent, c.accepted, c.known, c.refused, c.unanswered, c.arrived, c.twice, c.passed, c.lost, c.delay.Seconds(), r.peak)
		if r.err != nil {
			_, _ = fmt.Fprint(w, "  FAILED")
		}
		if len(r.notes) > 0 {
			_, _ = fmt.Fprint(w, "  "+strings.Join(r.notes, "; "))
		}
		_, _ = fmt.Fprintln(w)
	}
	_, _ = fmt.Fprintln(w, "none: the connection was refused or broke. passed: arrived after a later event of its object.\n"+
		"delay: the longest time from 202 to the arrival. RSS: the peak, of all collectors of the row together.")
}
