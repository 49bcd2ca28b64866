package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"time"
)

// What the collector may grow by from the first line to the last, for its memory
// to count as flat: Go's own moves by that much from one collection to the next.
const (
	tolerated      = 0.20 // of the memory
	toleratedMiB   = 16   // and this
	toleratedFiles = 16   // open files, threads
)

const (
	soakRate  = 500
	burstSize = 50_000
)

// watch is how a soak is run.
type watch struct {
	length, every time.Duration
	rate, burst   int
}

// soak watches a collector under a steady load over ten provider types, errors
// and infos mixed, and then meets another one with a burst. flat is whether
// nothing has grown; an error is everything else that may not be.
func soak(ctx context.Context, o options, w watch) (flat bool, err error) {
	s, err := newStage(o, "soak")
	if err != nil {
		return false, err
	}
	defer s.close()
	s.rate = w.rate
	s.sink.feel(pleased)
	metrics, err := freePort()
	if err != nil {
		return false, err
	}
	c, err := s.start(ctx, settings{
		storage: filepath.Join(s.dir, "storage"), metrics: metrics, exporters: s.tenTypes(),
		// Shorter than a minute, so that the memory of what is known is full when the
		// first line is written.
		receiver: yamlMap{"deduplication": yamlMap{"interval": "45s"}},
	})
	if err != nil {
		return false, err
	}
	fmt.Printf("%d events/s over ten provider types for %s, queues on disk; p50 and p99: from 202 to the arrival, 0 where that came first\n", w.rate, w.length)
	flat, err = s.steady(ctx, c, metrics, w)
	c.kill() // the burst is to have the machine for itself
	return flat, errors.Join(err, burst(ctx, o, w.burst))
}

var errNotFlat = errors.New("memory, open files or threads have grown")

// pleased answers what every type takes for a success.
func pleased(w http.ResponseWriter, _ *http.Request, _ int64) bool {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"ok":true,"success":true}`)
	return true
}

// tenTypes are ten exporters, each of which is told of the objects of a team.
func (s *stage) tenTypes() map[string]yamlMap {
	base := "http://" + s.sink.address
	types := []yamlMap{
		{"type": "alertmanager", "address": base + "/api/v2/alerts"},
		{"type": "datadog", "address": base, "token": "key"},
		{"type": "discord", "address": base + "/api/webhooks/1"},
		{"type": "generic", "address": base + "/hook"},
		{"type": "generic-hmac", "address": base + "/hook", "token": "key"},
		{"type": "googlechat", "address": base + "/v1/spaces"},
		{"type": "msteams", "address": base + "/workflows"},
		{"type": "opsgenie", "address": base + "/v2/alerts", "token": "key"},
		{"type": "rocket", "address": base + "/hooks"},
		{"type": "slack", "address": base + "/services"},
	}
	exporters := map[string]yamlMap{}
	for team, e := range types {
		e["alerts"] = []any{yamlMap{"name": "team", "event_sources": []any{yamlMap{"kind": "*", "namespace": fmt.Sprintf("team-%d", team)}}}}
		exporters[fmt.Sprintf("flux_notify/%d", team)] = e
	}
	return exporters
}

// steady posts for a while, with a line every minute.
func (s *stage) steady(ctx context.Context, c *process, metrics int, w watch) (flat bool, err error) {
	posting, endPosting := context.WithTimeout(ctx, w.length)
	defer endPosting()
	done := make(chan struct{})
	go func() {
		newDriver(c.address, s.rate, s.ledger).run(ctx, posting)
		close(done)
	}()
	begun := time.Now()
	printVitalsHead()
	var lines []vitals
	from := 0
	for i := time.Duration(1); i*w.every <= w.length && ctx.Err() == nil; i++ {
		pause(ctx, time.Until(begun.Add(i*w.every)))
		v, err := vitalsOf(c.pid(), metrics)
		if err != nil {
			return false, errors.Join(err, s.failure())
		}
		var delays []time.Duration
		delays, from = s.ledger.delays(from)
		v.print(i*w.every, delays, s.ledger.count())
		lines = append(lines, v)
	}
	endPosting()
	<-done
	s.drain(ctx)
	if len(lines) == 0 {
		return false, ctx.Err()
	}
	first, last := lines[0], lines[len(lines)-1]
	flat = last.rss <= first.rss*(1+tolerated)+toleratedMiB && last.files <= first.files+toleratedFiles && last.threads <= first.threads+toleratedFiles
	fmt.Printf("flat since the first line: %t (RSS may grow by %.0f %% and %d MiB, open files and threads by %d): RSS %.0f → %.0f MiB, files %d → %d, threads %d → %d\n",
		flat, tolerated*100, toleratedMiB, toleratedFiles, first.rss, last.rss, first.files, last.files, first.threads, last.threads)
	count := s.ledger.count()
	fmt.Printf("sent %d, 202 %d, 429 %d, 503 %d, arrived %d, twice %d, lost %d, longest delay %.1f s\n",
		count.sent, count.accepted, count.known, count.refused, count.arrived, count.twice, count.lost, count.delay.Seconds())
	return flat, s.verdict()
}

// burst posts many events as fast as they are answered, to a collector whose
// endpoint does not keep up.
func burst(ctx context.Context, o options, size int) error {
	s, err := newStage(o, "burst")
	if err != nil {
		return err
	}
	defer s.close()
	s.sink.feel(after(5 * time.Millisecond))
	c, err := s.start(ctx, s.persistent())
	if err != nil {
		return err
	}
	defer s.watch(ctx)()
	begun := time.Now()
	newDriver(c.address, s.rate, s.ledger).burst(ctx, size)
	accepted := time.Since(begun)
	s.drain(ctx)
	count := s.ledger.count()
	fmt.Printf("burst of %d: all accepted after %.1f s with %d answers 503; arrived %d after %.1f s, twice %d, lost %d; RSS %.0f MiB at most\n",
		size, accepted.Seconds(), count.refused, count.arrived, time.Since(begun).Seconds(), count.twice, count.lost, c.highest())
	return s.verdict()
}

func percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(p*float64(len(sorted))))]
}

func sorted(delays []time.Duration) []time.Duration {
	slices.Sort(delays)
	return delays
}
