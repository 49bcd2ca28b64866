// Command demo starts the collector on config/demo.yaml, has fluxnotify send a
// handful of Flux events to it, and shows beside each event's log record the
// notifications that came of it. It then waits for more, until it is interrupted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// example is an event that is shown, and how many are to be told of it.
type example struct {
	file, why string
	told      int
}

var examples = []example{
	{"gitrepository-new-artifact", "a new commit was fetched: Slack is told", 1},
	{"kustomization-progressing", "excluded by exclusion_list: nobody is told", 0},
	{"kustomization-succeeded", "it was applied: Slack is told", 1},
	{"kustomization-commit-status", "for commit-status providers and webhooks alone: nobody is told", 0},
	{"kustomization-markup", "markup of a stranger: shown as text, and mentions nobody", 3},
	{"helmrelease-upgrade-failed", "an error: Slack, the signed webhook and Alertmanager are told", 3},
}

// wait is how long the notifications of one event may take.
const wait = 5 * time.Second

func main() {
	log.SetFlags(0)
	collector := flag.String("collector", "_build/otelcol-flux", "the collector to start")
	config := flag.String("config", "config/demo.yaml", "its configuration")
	companion := flag.String("companion", "_build/fluxnotify", "what sends events")
	events := flag.String("events", "testdata/events", "folder of events")
	once := flag.Bool("once", false, "stop after the demonstration")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *collector, *companion, *config, *events, *once)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, collector, companion, config, events string, once bool) error {
	endpoint, err := listen()
	if err != nil {
		return err
	}
	receiver, err := pick("localhost:8787")
	if err != nil {
		return err
	}
	process := exec.Command(collector, "--config", config)
	process.Env = append(os.Environ(), "DEMO_ENDPOINT="+endpoint.address, "DEMO_RECEIVER="+receiver)
	output := newOutput()
	process.Stderr, process.Stdout = output, output
	if err := process.Start(); err != nil {
		return fmt.Errorf("start the collector: %w", err)
	}
	defer end(process)
	if err := ready(ctx, "http://"+receiver+"/healthz"); err != nil {
		return fmt.Errorf("%w; it printed:\n%s", err, output.all())
	}
	fmt.Printf("The collector runs on %s and takes events on http://%s/\n", config, receiver)
	for _, e := range examples {
		if err := show(ctx, e, sender{companion, "http://" + receiver + "/"}, events, output, endpoint); err != nil {
			return err
		}
	}
	fmt.Printf(`
Send one yourself, from another terminal:
  %[1]s send --endpoint http://%[2]s/ --sample kustomization-failed
The same event again within five minutes is a duplicate: it is known. What would be
sent where, without sending it:
  %[1]s render --config %[3]s %[4]s/kustomization-failed.json
`, companion, receiver, config, events)
	if once {
		return nil
	}
	fmt.Println("Stop with Ctrl-C.")
	follow(ctx, output, endpoint)
	return nil
}

// show sends one event and prints what came of it, side by side.
func show(ctx context.Context, e example, s sender, events string, output *output, endpoint *endpoint) error {
	file := filepath.Join(events, e.file+".json")
	result, err := s.send(ctx, file)
	if err != nil {
		return err
	}
	record := output.record(wait)
	notifications := endpoint.collect(300*time.Millisecond, wait)
	fmt.Printf("\n━━ %s → %s\n   %s\n", filepath.Base(file), result, e.why)
	sideBySide(record, notifications)
	if record == nil || len(notifications) != e.told {
		return fmt.Errorf("expected a log record and %d notifications; the collector printed:\n%s", e.told, output.all())
	}
	return nil
}

// follow shows what comes of events that somebody else posts.
func follow(ctx context.Context, output *output, endpoint *endpoint) {
	for ctx.Err() == nil {
		if record := output.record(200 * time.Millisecond); len(record) > 0 {
			fmt.Println()
			sideBySide(record, endpoint.collect(300*time.Millisecond, wait))
		}
	}
}

// sender is the companion, which sends to one receiver.
type sender struct{ companion, endpoint string }

// send gives what became of an event.
func (s sender) send(ctx context.Context, file string) (string, error) {
	out, err := exec.CommandContext(ctx, s.companion, "send", "--endpoint", s.endpoint, file).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return strings.TrimSpace(strings.TrimPrefix(string(out), file+": ")), nil
}

func ready(ctx context.Context, url string) error {
	client := &http.Client{Timeout: time.Second}
	for range 300 {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return err
		}
		if res, err := client.Do(req); err == nil {
			return res.Body.Close()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return errors.New("the collector does not answer")
}

// pick prefers an address, and takes any port where that one is in use.
func pick(preferred string) (string, error) {
	listener, err := net.Listen("tcp", preferred)
	if err != nil {
		if listener, err = net.Listen("tcp", "localhost:0"); err != nil {
			return "", err
		}
	}
	return listener.Addr().String(), listener.Close()
}

func end(process *exec.Cmd) {
	_ = process.Process.Signal(syscall.SIGTERM)
	timer := time.AfterFunc(30*time.Second, func() { _ = process.Process.Kill() })
	_ = process.Wait()
	timer.Stop()
}
