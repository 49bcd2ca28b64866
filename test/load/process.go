package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// process is a process under test.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{}
	output string // the file with what it prints
}

// start starts a process, and returns once its address answers.
func start(ctx context.Context, cmd *exec.Cmd, output, address string) (*process, error) {
	file, err := os.Create(output)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	cmd.Stdout, cmd.Stderr = file, file
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, exited: make(chan struct{}), output: output}
	go func() {
		_ = cmd.Wait()
		close(p.exited)
	}()
	if err := ready(ctx, address, p.exited); err != nil {
		p.kill()
		return nil, errors.Join(err, p.explain())
	}
	return p, nil
}

// kill ends the process.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	select {
	case <-p.exited:
	case <-time.After(10 * time.Second): // not even the kernel ends it
	}
}

// explain returns the last lines that the process printed; nil if there are none.
func (p *process) explain() error {
	const shown = 2 << 10
	text, err := os.ReadFile(p.output)
	if err != nil || len(text) == 0 {
		return err
	}
	return fmt.Errorf("it printed:\n%s", text[max(0, len(text)-shown):])
}

// cpu is the user and system time used so far by all threads, in ticks of 10 ms.
func (p *process) cpu() (time.Duration, error) {
	text, err := p.proc("stat")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(text, ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, errors.New("unexpected text in /proc/PID/stat")
	}
	user, err := strconv.Atoi(fields[11])
	if err != nil {
		return 0, err
	}
	system, err := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond, err
}

// memory is a line of /proc/PID/status, in MiB.
func (p *process) memory(key string) (float64, error) {
	text, err := p.proc("status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, key+":"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(value)[0], 64)
			return kib / 1024, err
		}
	}
	return 0, errors.New("the process under test has ended: no " + key)
}

// proc reads what Linux says about the process.
func (p *process) proc(name string) (string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p.cmd.Process.Pid, name))
	return string(text), err
}
