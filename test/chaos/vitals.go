package main

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// vitals are how a collector is: what Linux says of its process, and what its
// own metrics say. Neither counts goroutines, nor does zpages; threads are the
// nearest to it.
type vitals struct {
	rss, heap float64 // MiB
	threads   int
	files     int // open, sockets among them
	sockets   int
	waiting   int // in all queues
}

func vitalsOf(pid, metrics int) (vitals, error) {
	rss, err := status(pid, "VmRSS")
	if err != nil {
		return vitals{}, err
	}
	threads, err := status(pid, "Threads")
	if err != nil {
		return vitals{}, err
	}
	v := vitals{rss: rss / 1024, threads: int(threads)}
	folder := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	entries, err := os.ReadDir(folder)
	if err != nil {
		return v, err
	}
	v.files = len(entries)
	for _, e := range entries {
		if target, err := os.Readlink(filepath.Join(folder, e.Name())); err == nil && strings.HasPrefix(target, "socket:") {
			v.sockets++
		}
	}
	return v, v.scrape(metrics)
}

// scrape reads the collector's own metrics.
func (v *vitals) scrape(port int) error {
	res, err := http.Get("http://" + loopback(port) + "/metrics")
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		line := lines.Text()
		name := line[:strings.IndexAny(line+" ", "{ ")]
		value, err := strconv.ParseFloat(line[strings.LastIndex(line, " ")+1:], 64)
		switch {
		case err != nil: // a comment, or nothing of ours
		case name == "otelcol_exporter_flux_notify_waiting":
			v.waiting += int(value)
		case strings.HasPrefix(name, "otelcol_process_runtime_heap_alloc"):
			v.heap = value / (1 << 20)
		}
	}
	return lines.Err()
}

func printVitalsHead() {
	fmt.Printf("%8s %8s %8s %8s %6s %8s %8s %9s %9s %6s %8s %8s\n",
		"", "RSS MiB", "heap MiB", "threads", "files", "sockets", "queued", "sent", "arrived", "503", "p50 ms", "p99 ms")
}

func (v vitals) print(at time.Duration, delays []time.Duration, c count) {
	delays = sorted(delays)
	fmt.Printf("%8s %8.0f %8.0f %8d %6d %8d %8d %9d %9d %6d %8.1f %8.1f\n",
		at, v.rss, v.heap, v.threads, v.files, v.sockets, v.waiting, c.sent, c.arrived, c.refused,
		milliseconds(percentile(delays, 0.50)), milliseconds(percentile(delays, 0.99)))
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
