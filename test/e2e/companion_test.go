package e2e

import (
	"debug/elf"
	"encoding/json"
	"maps"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// companion is fluxnotify, built as its users get it.
var companion = filepath.Join(filepath.Dir(binary), "fluxnotify")

// fluxnotify runs a command of it.
func fluxnotify(t *testing.T, environment []string, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), companion, args...)
	command.Env = environment
	out, err := command.Output()
	require.NoError(t, err, "%s", out)
	return string(out)
}

// TestCompanionShowsWhatIsDelivered sends events to a collector on the
// configuration of the demonstration, and compares what arrives with what
// fluxnotify render shows of the same configuration, to the byte.
func TestCompanionShowsWhatIsDelivered(t *testing.T) {
	t.Parallel()
	sink, receiver := newSink(t, nil), loopback(freePort(t))
	config := filepath.Join("..", "..", "config", "demo.yaml")
	environment := []string{"DEMO_ENDPOINT=" + sink.host(), "DEMO_RECEIVER=" + receiver}
	process, printed := exec.Command(binary, "--config", config), &output{}
	process.Env, process.Stdout, process.Stderr = environment, printed, printed
	require.NoError(t, process.Start())
	t.Cleanup(func() {
		_ = process.Process.Signal(syscall.SIGTERM)
		assert.NoError(t, process.Wait(), "%s", printed)
	})
	c := &collector{events: receiver}
	require.Eventually(t, c.healthy, patience, tick, "%s", printed)

	events, err := filepath.Glob(filepath.Join("..", "..", "testdata", "events", "*.json"))
	require.NoError(t, err)
	events = slices.DeleteFunc(events, func(file string) bool { return strings.Contains(file, "no-timestamp") }) // that of its arrival differs
	fluxnotify(t, environment, append([]string{"send", "--endpoint", "http://" + receiver + "/"}, events...)...)
	var shown []struct {
		Exporters []struct {
			Exporter string
			Alerts   []struct{ Requests []shownRequest }
		}
	}
	rendered := fluxnotify(t, environment, append([]string{"render", "--config", config, "-o", "json"}, events...)...)
	require.NoError(t, json.Unmarshal([]byte(rendered), &shown))
	paths := map[string]string{"flux_notify/alertmanager": "/api/v2/alerts", "flux_notify/errors": "/errors", "flux_notify/slack": "/slack"}
	var want []shownRequest
	for _, event := range shown {
		for _, exporter := range event.Exporters {
			for _, alert := range exporter.Alerts {
				for _, request := range alert.Requests {
					whole := sink.URL + paths[exporter.Exporter]
					assert.Contains(t, []string{whole, sink.URL + "/[REDACTED]"}, request.URL)
					request.URL = whole
					want = append(want, request)
				}
			}
		}
	}
	require.Greater(t, len(want), len(events))
	var have []shownRequest
	for _, r := range sink.Wait(len(want)) {
		have = append(have, shownRequest{Method: r.method, URL: sink.URL + r.path, Headers: ownHeaders(r.header), Body: r.body})
	}
	assert.ElementsMatch(t, want, have)
}

// shownRequest is a request as fluxnotify render shows it.
type shownRequest struct {
	Method, URL, Body string
	Headers           []shownHeader
}

type shownHeader struct{ Name, Value string }

// ownHeaders are those that are not of HTTP itself, sorted.
func ownHeaders(header http.Header) []shownHeader {
	var own []shownHeader
	for _, name := range slices.Sorted(maps.Keys(header)) {
		if !slices.Contains([]string{"Accept-Encoding", "Content-Length"}, name) {
			own = append(own, shownHeader{name, strings.Join(header[name], ", ")})
		}
	}
	return own
}

// TestCompanionKnowsTheEnvironmentsProxy: a connection to it says nothing of the
// endpoint, which does not exist.
func TestCompanionKnowsTheEnvironmentsProxy(t *testing.T) {
	t.Parallel()
	proxy := newSink(t, nil)
	out := fluxnotify(t, []string{"http_proxy=" + proxy.URL}, "check", "--connect", "-o", "json",
		"-c", "yaml:exporters::flux_notify: {type: generic, address: 'http://nowhere.example/hook'}")
	assert.Contains(t, out, `"check": "proxy"`)
	assert.Empty(t, proxy.Accepted())
}

// TestCompanionIsStatic: no dynamic linker is asked for
// (https://refspecs.linuxfoundation.org/elf/gabi4+/ch5.pheader.html, PT_INTERP).
func TestCompanionIsStatic(t *testing.T) {
	t.Parallel()
	file, err := elf.Open(companion)
	require.NoError(t, err)
	defer func() { assert.NoError(t, file.Close()) }()
	require.NotEmpty(t, file.Progs)
	for _, program := range file.Progs {
		assert.NotEqual(t, elf.PT_INTERP, program.Type)
	}
}
