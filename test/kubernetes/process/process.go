// Package process runs the programs that the tests need next to the collector.
package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// Spec describes a program to start.
type Spec struct {
	Path string
	Args []string
	// Env is added to PATH, HOME and TMPDIR. Nothing else of the environment of
	// the test reaches the program.
	Env []string
	// Dir is the working directory. It has to exist. HOME and TMPDIR are the same
	// folder, and the program's output is written to a file in it.
	Dir string
}

// Process is a running program. Its methods may be called from any goroutine.
type Process struct {
	name string
	log  string
	cmd  *exec.Cmd
	done chan struct{}
	err  error // set before done is closed
}

// Start starts a program. If the test is killed, the program is killed as well.
func Start(spec Spec) (*Process, error) {
	name := filepath.Base(spec.Path)
	log := filepath.Join(spec.Dir, name+".log")
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	cmd := exec.Command(spec.Path, spec.Args...) //nolint:gosec // the test chooses the program
	cmd.Dir = spec.Dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + spec.Dir, "TMPDIR=" + spec.Dir}, spec.Env...)
	cmd.Stdout, cmd.Stderr = file, file
	cmd.SysProcAttr = attributes()

	p := &Process{name: name, log: log, cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// Linux sends the signal of attributes when the thread ends that started the
		// program, so that thread has to stay.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// Done is closed when the program has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// PID is the ID of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Stop sends SIGTERM, and SIGKILL after the grace period. It returns when the
// program has ended.
func (p *Process) Stop(grace time.Duration) {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		p.Kill()
	}
}

// Kill sends SIGKILL. It returns when the program has ended.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// Failure describes a program that ended unexpectedly. It is nil while the
// program runs.
func (p *Process) Failure() error {
	select {
	case <-p.done:
	default:
		return nil
	}
	err := p.err
	if err == nil {
		err = errors.New("exit status 0")
	}
	return fmt.Errorf("%s ended: %w:\n%s", p.name, err, p.Tail())
}

// Tail is the end of the program's output.
func (p *Process) Tail() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	const limit = 6 << 10
	return string(text[max(0, len(text)-limit):])
}
