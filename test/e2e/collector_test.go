package e2e

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// collector is the built collector, run as its users run it. It can be started
// again after Stop and Kill, on the same configuration and ports.
type collector struct {
	t       *testing.T
	events  string // where flux_event listens
	otlp    string // where otlp listens
	metrics string // where the collector's own metrics are
	config  string
	sources []string // what --config names; the file above if empty
	secrets []secret

	printed *output
	exposed *output // pages of metrics, which must hold no secret either
	process *exec.Cmd
	exited  chan error
}

// maxShown is how much of what it printed a failed test shows, in bytes.
const maxShown = 20 << 10

type secret struct{ label, value string }

// spec is what differs between the collectors of the tests.
type spec struct {
	receiver   string // settings of flux_event, as YAML
	exporters  string // all exporters of log records, as YAML; each is in their one pipeline
	connector  string // settings of flux_trace, as YAML
	traces     string // all exporters of traces, as YAML; with one, flux_trace leads to them
	extensions string // all extensions, as YAML
	level      string // of the log; debug if empty
	sampled    bool   // lets the collector leave out lines of its log, as it does unless told otherwise
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{
		t:       t,
		events:  loopback(freePort(t)),
		otlp:    loopback(freePort(t)),
		metrics: loopback(freePort(t)),
		config:  filepath.Join(t.TempDir(), "config.yaml"),
		printed: &output{},
		exposed: &output{},
	}
	t.Cleanup(c.finish)
	return c
}

// Secret registers what the collector must never print, and returns it.
func (c *collector) Secret(label, value string) string {
	c.secrets = append(c.secrets, secret{label, value})
	return value
}

// Start starts a collector and waits until it takes events.
func (c *collector) Start(s spec) {
	c.t.Helper()
	c.write(s)
	c.Again()
}

// write makes the configuration file.
func (c *collector) write(s spec) {
	c.t.Helper()
	receiver, exporters, extensions := c.parse(s.receiver), c.parse(s.exporters), c.parse(s.extensions)
	receiver["endpoint"] = c.events
	if s.level == "" {
		s.level = "debug"
	}
	_, port, _ := strings.Cut(c.metrics, ":")
	text := `
receivers:
  otlp:
    protocols:
      http: {endpoint: "` + c.otlp + `"}
service:
  telemetry:
    logs: {level: ` + s.level + `, sampling: {enabled: ` + strconv.FormatBool(s.sampled) + `}}
    metrics:
      readers:
        - pull: {exporter: {prometheus: {host: 127.0.0.1, port: ` + port + `}}}
  pipelines:
    logs: {receivers: [flux_event, otlp]}
`
	config := c.parse(text)
	config["exporters"], config["extensions"] = exporters, extensions
	config["receivers"].(map[string]any)["flux_event"] = receiver
	service := config["service"].(map[string]any)
	service["extensions"] = keys(extensions)
	pipelines := service["pipelines"].(map[string]any)
	logs := pipelines["logs"].(map[string]any)
	logs["exporters"] = keys(exporters)
	if traces := c.parse(s.traces); len(traces) > 0 {
		logs["exporters"] = append(keys(exporters), "flux_trace")
		config["connectors"] = map[string]any{"flux_trace": c.parse(s.connector)}
		pipelines["traces"] = map[string]any{"receivers": []string{"flux_trace"}, "exporters": keys(traces)}
		maps.Copy(exporters, traces)
	}
	file, err := yaml.Marshal(config)
	require.NoError(c.t, err)
	require.NoError(c.t, os.WriteFile(c.config, file, 0o600))
}

func (c *collector) parse(text string) map[string]any {
	c.t.Helper()
	parsed := map[string]any{}
	require.NoError(c.t, yaml.Unmarshal([]byte(text), &parsed), text)
	return parsed
}

func keys(m map[string]any) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// command is the collector with nothing of the test's environment but a folder
// for those of config/*.yaml that need one. Its time zone is an odd one: none of
// what it sends may depend on it.
func (c *collector) command(arguments ...string) *exec.Cmd {
	command := exec.Command(binary, arguments...)
	folder := filepath.Dir(c.config)
	command.Env = []string{"HOME=" + folder, "STORAGE_DIR=" + folder, "TZ=Asia/Kathmandu"}
	command.Stdout, command.Stderr = c.printed, c.printed
	return command
}

func (c *collector) arguments() []string {
	if len(c.sources) == 0 {
		return []string{"--config", c.config}
	}
	var arguments []string
	for _, source := range c.sources {
		arguments = append(arguments, "--config", source)
	}
	return arguments
}

// Again starts the collector as it was started before.
func (c *collector) Again() {
	c.t.Helper()
	require.Nil(c.t, c.process, "it runs already")
	process, exited := c.command(c.arguments()...), make(chan error, 1)
	require.NoError(c.t, process.Start())
	go func() { exited <- process.Wait() }()
	c.process, c.exited = process, exited
	deadline := time.After(patience)
	for !c.healthy() {
		select {
		case err := <-exited:
			c.process = nil
			require.FailNow(c.t, "the collector ended instead of starting", "%v", err)
		case <-deadline:
			require.FailNow(c.t, "the collector did not start in time")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (c *collector) healthy() bool {
	res, err := client.Get("http://" + c.events + "/healthz")
	if err != nil {
		return false
	}
	defer func() { _ = res.Body.Close() }()
	return res.StatusCode == http.StatusOK
}

// Run runs the collector to its end, as for a wrong configuration.
func (c *collector) Run(arguments ...string) (printed string, exitCode int) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	own := &output{}
	command := c.command(arguments...)
	command = exec.CommandContext(ctx, command.Path, command.Args[1:]...)
	command.Env = c.command().Env
	command.Stdout, command.Stderr = io.MultiWriter(own, c.printed), io.MultiWriter(own, c.printed)
	err := command.Run()
	require.NoError(c.t, ctx.Err(), "it does not end: %v", arguments)
	var failed *exec.ExitError
	if err != nil {
		require.ErrorAs(c.t, err, &failed)
	}
	return own.String(), command.ProcessState.ExitCode()
}

// Stop ends the collector as Kubernetes does. When it returns, every accepted
// event has been dealt with, or is in storage.
func (c *collector) Stop() {
	c.t.Helper()
	_, _ = c.exposed.Write([]byte(c.page()))
	require.NoError(c.t, c.process.Process.Signal(syscall.SIGTERM))
	select {
	case err := <-c.exited:
		c.process = nil
		require.NoError(c.t, err, "the collector ended badly")
	case <-time.After(patience):
		c.Kill()
		assert.Fail(c.t, "the collector did not end in time")
	}
}

// Kill ends the collector without a word.
func (c *collector) Kill() {
	c.t.Helper()
	require.NoError(c.t, c.process.Process.Kill())
	<-c.exited
	c.process = nil
}

// finish looks for secrets in all that was printed.
func (c *collector) finish() {
	if c.process != nil {
		c.Stop()
	}
	printed, exposed := c.printed.String(), c.exposed.String()
	shown := printed
	for _, s := range c.secrets {
		if !assert.NotEmpty(c.t, s.value, "an empty secret proves nothing: %s", s.label) {
			continue
		}
		// No assertion that would print what it compares.
		if strings.Contains(printed, s.value) {
			c.t.Errorf("the collector's output holds a secret: %s", s.label)
		}
		if strings.Contains(exposed, s.value) {
			c.t.Errorf("the collector's metrics hold a secret: %s", s.label)
		}
		shown = strings.ReplaceAll(shown, s.value, "‹"+s.label+"›")
	}
	if c.t.Failed() {
		c.t.Logf("the collector printed:\n%s", shown[max(0, len(shown)-maxShown):])
	}
}

// Printed is all that it printed so far.
func (c *collector) Printed() string { return c.printed.String() }

// Lines are the printed lines that hold all of the words.
func (c *collector) Lines(words ...string) []string {
	var found []string
	for line := range strings.Lines(c.Printed()) {
		if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) }) {
			found = append(found, line)
		}
	}
	return found
}

// output collects what several write.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
