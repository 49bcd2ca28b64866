package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// progress reports on standard error which run is next.
func (b *bench) progress(name string, round int) {
	_, _ = fmt.Fprintf(os.Stderr, "round %d: %s\n", round+1, name)
}

func printTable(w io.Writer, rows []*row) {
	_, _ = fmt.Fprintf(w, "%-32s %9s %10s %9s %6s %8s %5s %6s\n", "", "events/s", "cpu µs/ev", "peak MiB", "conns", "accepted", "lost", "twice")
	for _, r := range rows {
		if r.failed != nil {
			_, _ = fmt.Fprintf(w, "%-32s FAILED\n", r.name)
			continue
		}
		var sum result
		for _, result := range r.results {
			sum.conns = max(sum.conns, result.conns)
			sum.accepted += result.accepted
			sum.lost += result.lost
			sum.twice += result.twice
		}
		notes := r.verdicts
		if r.note != nil {
			notes = append(notes, r.note(r.results))
		}
		_, _ = fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("%-32s %9.0f %10.1f %9.0f %6d %8d %5d %6d  %s", r.name,
			r.median(rate.of), r.median(cpu.of), r.median(func(r result) float64 { return r.peak }),
			sum.conns, sum.accepted, sum.lost, sum.twice, strings.Join(notes, "; ")), " "))
	}
	_, _ = fmt.Fprintln(w, "events/s, CPU and peak RSS: medians of the rounds. Ratios: medians of the ratios of each round.")
}

func (r *row) median(of func(result) float64) float64 {
	values := make([]float64, len(r.results))
	for i, result := range r.results {
		values[i] = of(result)
	}
	return median(values)
}
