// Command fluxnotify is the companion of the collector's Flux components: it
// shows what an exporter would send, sends events to a receiver, checks
// configurations and makes them out of Flux's manifests.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// What the exit codes mean. They are part of the help and of the README.
const (
	exitDone   = 0
	exitFailed = 1 // the command ran and found problems
	exitUsage  = 2 // the command could not run
)

// errFailed ends a command that has already printed the problems.
var errFailed = errors.New("problems were found")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends what the first could not
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run runs one command and gives its exit code.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	root := newRoot()
	root.SetArgs(append([]string{}, args...)) // nil would be those of the process
	root.SetIn(interruptible{ctx, in})
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errFailed):
		return exitFailed
	}
	_, _ = fmt.Fprintln(errOut, "fluxnotify: "+err.Error())
	return exitUsage
}

// interruptible is an input that ends with its context. Nothing else ends a read
// of a terminal, or of a pipe without a writer; its goroutine ends with the process.
type interruptible struct {
	ctx context.Context
	in  io.Reader
}

// Read implements io.Reader.
func (r interruptible) Read(p []byte) (int, error) {
	type result struct {
		n   int
		err error
	}
	buffer, done := make([]byte, len(p)), make(chan result, 1)
	go func() {
		n, err := r.in.Read(buffer)
		done <- result{n, err}
	}()
	select {
	case read := <-done:
		return copy(p, buffer[:read.n]), read.err
	case <-r.ctx.Done():
		return 0, errors.New("was interrupted")
	}
}
