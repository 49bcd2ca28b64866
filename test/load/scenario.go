package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// scenario is one run.
type scenario struct {
	relay  bool
	tls    bool
	alerts int
	files  int // limit of open files, 0: that of this process
	events int

	dir   string
	ca    *authority
	conns int
}

type result struct {
	rate    float64 // events/s, from the first post to the last arrival
	cpu     float64 // µs per event, user and system, of the process under test
	rss     float64 // peak, MiB
	conns   int64   // connections that the sink has seen
	sent    int
	lost    int
	twice   int64
	samples []float64 // RSS in MiB, one for each tenth of the events
}

// patience is how long to wait for the last events.
const patience = 60 * time.Second

func (s scenario) run(o options) (result, error) {
	ca := s.ca
	if !s.tls {
		ca = nil
	}
	sink, err := newSink(s.events, ca)
	if err != nil {
		return result{}, err
	}
	defer func() { _ = sink.server.Close() }()
	address, err := freeAddress()
	if err != nil {
		return result{}, err
	}
	cmd, err := s.command(o, address, sink.url)
	if err != nil {
		return result{}, err
	}
	if err := cmd.Start(); err != nil {
		return result{}, err
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	if err := ready(address); err != nil {
		return result{}, err
	}
	process := process(cmd.Process.Pid)
	before, err := process.cpu()
	if err != nil {
		return result{}, err
	}
	var samples []float64
	begun := time.Now()
	sent := post(address, s.conns, s.events, func() {
		if rss, err := process.memory("VmRSS"); err == nil {
			samples = append(samples, rss)
		}
	})
	select {
	case <-sink.all:
	case <-time.After(patience):
	}
	after, err := process.cpu()
	if err != nil {
		return result{}, err
	}
	rss, err := process.memory("VmHWM")
	if err != nil {
		return result{}, err
	}
	n := float64(sink.count.Load())
	r := result{
		rate:    n / time.Unix(0, sink.last.Load()).Sub(begun).Seconds(),
		cpu:     (after - before).Seconds() * 1e6 / n,
		rss:     rss,
		conns:   sink.conns.Load(),
		sent:    sent,
		lost:    sent - int(sink.count.Load()),
		twice:   sink.twice.Load(),
		samples: samples,
	}
	if r.lost != 0 {
		return r, fmt.Errorf("%d events of %d were accepted and did not arrive", r.lost, sent)
	}
	return r, nil
}

func (s scenario) command(o options, address, target string) (*exec.Cmd, error) {
	if s.relay {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		cmd := exec.Command(self, relayCommand, address, target)
		if s.tls {
			cmd.Env = append(os.Environ(), "RELAY_CA="+s.ca.file)
		}
		return cmd, nil
	}
	config := filepath.Join(s.dir, "collector.yaml")
	text, err := s.config(address, target)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	if s.files == 0 {
		return exec.Command(o.collector, "--config", config), nil
	}
	return exec.Command("sh", "-c", fmt.Sprintf("ulimit -n %d && exec %q --config %q", s.files, o.collector, config)), nil
}

// config is that of a plain installation, its telemetry on as by default.
func (s scenario) config(address, target string) (string, error) {
	metrics, err := freeAddress()
	if err != nil {
		return "", err
	}
	host, port, err := net.SplitHostPort(metrics)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, `receivers:
  flux_event: {endpoint: %q}
exporters:
  flux_notify:
    type: generic
    address: %q
    sending_queue: {queue_size: %d, num_consumers: %d, block_on_overflow: true}
`, address, target, 1000, s.conns)
	if s.tls {
		fmt.Fprintf(&b, "    tls: {ca_file: %q}\n", s.ca.file)
	}
	if s.alerts > 0 {
		b.WriteString("    alerts:\n")
	}
	for i := range s.alerts {
		name := "team-" + strconv.Itoa(i)
		if i == s.alerts-1 {
			name = "apps"
		}
		fmt.Fprintf(&b, `      - name: alert-%d
        namespace: flux-system
        event_severity: info
        event_sources: [{kind: Kustomization, name: "*", namespace: %q}, {kind: HelmRelease, name: "*", namespace: %q}]
        exclusion_list: ["waiting.*socket", "^Reconciliation in progress"]
`, i, name, name)
	}
	fmt.Fprintf(&b, `service:
  telemetry:
    metrics:
      readers: [{pull: {exporter: {prometheus: {host: %q, port: %s}}}}]
    logs: {level: warn}
  pipelines:
    logs: {receivers: [flux_event], exporters: [flux_notify]}
`, host, port)
	return b.String(), nil
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}

func ready(address string) error {
	deadline := time.Now().Add(30 * time.Second)
	for time.Now().Before(deadline) {
		res, err := http.Get("http://" + address + "/healthz")
		if err == nil {
			_ = res.Body.Close()
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return errors.New("the process under test does not listen")
}

// post sends every event, again where it is told to come later, and returns how
// many were accepted. each is called for every tenth.
func post(address string, conns, events int, each func()) int {
	next := make(chan int, conns)
	accepted := make(chan int, conns)
	var wg sync.WaitGroup
	for range conns {
		wg.Go(func() {
			c := newPoster(address)
			defer c.close()
			n := 0
			for i := range next {
				if c.post(i) {
					n++
				}
			}
			accepted <- n
		})
	}
	for i := range events {
		next <- i
		if (i+1)%max(events/10, 1) == 0 {
			each()
		}
	}
	close(next)
	wg.Wait()
	close(accepted)
	total := 0
	for n := range accepted {
		total += n
	}
	return total
}
