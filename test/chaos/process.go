package main

import (
	"cmp"
	"context"
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
	"syscall"
	"time"
)

// process is a program under test, which can be killed and started again.
type process struct {
	name    string
	address string // where it takes events, or whatever it takes
	command func() *exec.Cmd
	launch  func(*exec.Cmd) error // nil: (*exec.Cmd).Start
	ready   func() bool
	output  string // the file that has what it prints

	mu      sync.Mutex
	cmd     *exec.Cmd
	exited  chan struct{}
	ending  bool // its end is wanted
	crashed error
	peak    float64 // MiB
}

var errNoReason = errors.New("it says that all is well")

// starting is how long a start may take on a machine that has other work.
const starting = time.Minute

func (p *process) start(ctx context.Context) error {
	file, err := os.OpenFile(p.output, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	cmd, exited := p.command(), make(chan struct{})
	cmd.Stdout, cmd.Stderr = file, file
	launch := p.launch
	if launch == nil {
		launch = (*exec.Cmd).Start
	}
	if err := launch(cmd); err != nil {
		return err
	}
	p.mu.Lock()
	p.cmd, p.exited, p.ending = cmd, exited, false
	p.mu.Unlock()
	go func() {
		err := cmd.Wait()
		p.mu.Lock()
		if !p.ending {
			p.crashed = fmt.Errorf("%s ended by itself:\n%s\n%w", p.name, p.tail(), cmp.Or(err, errNoReason))
		}
		p.mu.Unlock()
		close(exited)
	}()
	deadline := time.Now().Add(starting)
	for !p.ready() {
		select {
		case <-exited:
			return p.failure()
		default:
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return fmt.Errorf("%s does not start:\n%s", p.name, p.tail())
		}
		pause(ctx, 20*time.Millisecond)
	}
	return nil
}

// failure is why it ended, where nobody wanted that.
func (p *process) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.crashed
}

// kill ends it without a word.
func (p *process) kill() {
	if cmd, exited := p.end(); cmd != nil {
		_ = cmd.Process.Kill()
		<-exited
	}
}

// stop ends it as Kubernetes does, which kills after the limit.
func (p *process) stop(limit time.Duration) (took time.Duration, err error) {
	cmd, exited := p.end()
	if cmd == nil {
		return 0, nil
	}
	begun := time.Now()
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-exited:
		return time.Since(begun), nil
	case <-time.After(limit):
		_ = cmd.Process.Kill()
		<-exited
		return limit, fmt.Errorf("%s did not end within %s", p.name, limit)
	}
}

func (p *process) end() (*exec.Cmd, chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	cmd := p.cmd
	p.cmd, p.ending = nil, true
	return cmd, p.exited
}

// tail is the end of what it printed.
func (p *process) tail() string {
	text, err := os.ReadFile(p.output)
	if err != nil {
		return err.Error()
	}
	const shown = 4 << 10
	return string(text[max(0, len(text)-shown):])
}

// pid is 0 where it does not run.
func (p *process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// measure reads its memory, and keeps the largest it has seen.
func (p *process) measure() (rss float64) {
	rss, err := status(p.pid(), "VmRSS")
	if err != nil {
		return 0 // it is being restarted
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.peak = max(p.peak, rss/1024)
	return rss / 1024
}

// highest is the largest that was measured, in MiB.
func (p *process) highest() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.peak
}

// status is a number from what Linux says of a process.
func status(pid int, key string) (float64, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, key+":"); ok {
			return strconv.ParseFloat(strings.Fields(value)[0], 64)
		}
	}
	return 0, errors.New("no " + key)
}

// answers reports whether a URL answers 200.
func answers(url string) bool {
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get(url)
	if err != nil {
		return false
	}
	_ = res.Body.Close()
	return res.StatusCode == http.StatusOK
}

func listens(address string) bool {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}
