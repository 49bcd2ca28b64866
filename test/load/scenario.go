package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// scenario is what a run does.
type scenario struct {
	relay      bool     // the process under test is the bare relay
	tls        bool     // the endpoint has TLS
	storage    string   // of the queue: empty for memory, onDisk or synced
	namespaces []string // an exporter for each, with an alert for it; none: one exporter
	alerts     int      // of the exporter
	targets    int      // Providers from manifests, of which only the last wants the events; 0: the Provider is in the configuration
	queue      int      // queue_size; 0: defaultQueue, and senders wait when it is full
	objects    int      // that events are about; 0: defaultObjects
	files      int      // limit of open files; 0: that of this process
	events     int      // 0: as many as -events says
	down       bool     // the endpoint is down until everything is accepted
}

// Kinds of storage.
const (
	onDisk = "file_storage"
	synced = "file_storage with fsync"
)

// bench is what all runs share.
type bench struct {
	options options
	dir     string
	ca      *authority
}

// result is what a run measured.
type result struct {
	rate float64 // events/s, from the first post to the last arrival
	cpu  float64 // µs per event, user and system, of the process under test
	rss  float64 // MiB, when everything was accepted
	peak float64 // MiB, of RSS
	// anonymous is the part of rss that is not of mapped files, such as that of bbolt.
	anonymous float64
	conns     int64 // connections to the endpoint
	accepted  int
	lost      int
	twice     int64
	samples   []float64 // RSS in MiB, one for each tenth of the events
}

const (
	// starting is the longest time of a start.
	starting = 30 * time.Second
	// slowest is the rate in events/s below which a run counts as hung.
	slowest = 500
	// arriving is the longest time from the last 202 to the last arrival.
	arriving = time.Minute
)

// run measures a scenario once. It ends by its deadline, whatever hangs.
func (b *bench) run(ctx context.Context, s scenario) (r result, err error) {
	if s.events == 0 {
		s.events = b.options.events
	}
	ctx, cancel := context.WithTimeout(ctx, starting+time.Duration(s.events/slowest)*time.Second+arriving)
	defer cancel()
	ca := b.ca
	if !s.tls {
		ca = nil
	}
	sink, err := newSink(s.events, ca)
	if err != nil {
		return r, err
	}
	defer sink.close()
	if s.down {
		sink.close()
	}
	dir, err := os.MkdirTemp(b.dir, "run-")
	if err != nil {
		return r, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	address, err := freeAddress()
	if err != nil {
		return r, err
	}
	cmd, err := b.command(ctx, s, dir, address, sink.url)
	if err != nil {
		return r, err
	}
	p, err := start(ctx, cmd, filepath.Join(dir, "output"), address)
	if err != nil {
		return r, err
	}
	defer p.kill()
	if err := b.measure(ctx, s, p, sink, address, &r); err != nil {
		return r, errors.Join(err, p.explain())
	}
	return r, nil
}

// measure posts the events, waits for them, and reads the figures of the process.
func (b *bench) measure(ctx context.Context, s scenario, p *process, sink *sink, address string, r *result) error {
	before, err := p.cpu()
	if err != nil {
		return err
	}
	begun := time.Now()
	r.accepted = s.post(ctx, address, b.options.senders, func() {
		if rss, err := p.memory("VmRSS"); err == nil {
			r.samples = append(r.samples, rss)
		}
	})
	if r.rss, err = p.memory("VmRSS"); err != nil {
		return err
	}
	if r.anonymous, err = p.memory("RssAnon"); err != nil {
		return err
	}
	if s.down {
		if err := sink.open(); err != nil {
			return err
		}
	}
	sink.await(ctx, r.accepted)
	time.Sleep(100 * time.Millisecond) // a repetition would come at once
	after, err := p.cpu()
	if err != nil {
		return err
	}
	if r.peak, err = p.memory("VmHWM"); err != nil {
		return err
	}
	n := float64(sink.count.Load())
	r.rate = n / time.Unix(0, sink.last.Load()).Sub(begun).Seconds()
	r.cpu = (after - before).Seconds() * 1e6 / n
	r.conns, r.twice = sink.conns.Load(), sink.twice.Load()
	r.lost = r.accepted - int(sink.count.Load())
	return r.check(s)
}

// check returns what must not be.
func (r *result) check(s scenario) error {
	var errs []error
	if r.accepted < s.events {
		errs = append(errs, fmt.Errorf("%d of %d events were not accepted before the deadline", s.events-r.accepted, s.events))
	}
	if r.lost != 0 {
		errs = append(errs, fmt.Errorf("%d of %d accepted events did not arrive before the deadline", r.lost, r.accepted))
	}
	if r.twice != 0 {
		errs = append(errs, fmt.Errorf("%d events arrived twice", r.twice))
	}
	return errors.Join(errs...)
}

// command is the process under test.
func (b *bench) command(ctx context.Context, s scenario, dir, address, target string) (*exec.Cmd, error) {
	if s.relay {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		cmd := exec.CommandContext(ctx, self, relayCommand, address, target)
		if s.tls {
			cmd.Env = append(os.Environ(), "RELAY_CA="+b.ca.file)
		}
		return cmd, nil
	}
	text, err := b.config(s, dir, address, target)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "collector.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	if s.files == 0 {
		return exec.CommandContext(ctx, b.options.collector, "--config", file), nil
	}
	return exec.CommandContext(ctx, "sh", "-c", fmt.Sprintf("ulimit -n %d && exec %q --config %q", s.files, b.options.collector, file)), nil
}

// ready waits until an address answers.
func ready(ctx context.Context, address string, exited <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, starting)
	defer cancel()
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		res, err := client.Get("http://" + address + "/healthz")
		if err == nil {
			return res.Body.Close()
		}
		select {
		case <-exited:
			return errors.New("the process under test has ended")
		case <-ctx.Done():
			return errors.New("the process under test does not listen")
		case <-time.After(20 * time.Millisecond):
		}
	}
}
