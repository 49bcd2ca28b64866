package e2e

import (
	"encoding/json"
	"os"
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
			Alerts []struct {
				Requests []struct {
					Method, Body string
				}
			}
		}
	}
	rendered := fluxnotify(t, environment, append([]string{"render", "--config", config, "-o", "json"}, events...)...)
	require.NoError(t, json.Unmarshal([]byte(rendered), &shown))
	var want []string
	for _, event := range shown {
		for _, exporter := range event.Exporters {
			for _, alert := range exporter.Alerts {
				for _, request := range alert.Requests {
					want = append(want, request.Method+" "+request.Body)
				}
			}
		}
	}
	require.Greater(t, len(want), len(events))
	var have []string
	for _, r := range sink.Wait(len(want)) {
		have = append(have, r.method+" "+r.body)
	}
	assert.ElementsMatch(t, want, have)
}

// TestCompanionIsStatic runs it where there is nothing else.
func TestCompanionIsStatic(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile(companion)
	require.NoError(t, err)
	assert.NotContains(t, string(file), "/ld-linux", "it would need a dynamic linker")
}
