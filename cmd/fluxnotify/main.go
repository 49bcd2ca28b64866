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
	exitFailed = 1 // it was done, and something is not as it should be
	exitUsage  = 2 // it could not be done
)

// errFailed ends a command that has already said what is not as it should be.
var errFailed = errors.New("not everything is as it should be")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run runs one command and gives its exit code.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	root := newRoot()
	root.SetArgs(append([]string{}, args...)) // nil would be those of the process
	root.SetIn(in)
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
