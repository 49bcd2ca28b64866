package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/version"
)

// Every command has help that says what it does, how, and what its exit codes
// mean.
func TestHelp(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"render", "send", "check", "convert"} {
		out, errOut, code := command(t, "", name, "--help")
		assert.Equal(t, exitDone, code, name)
		assert.Empty(t, errOut)
		for _, part := range []string{"Usage:\n  fluxnotify " + name, "Examples:\n  fluxnotify " + name, "Flags:\n", "Exit codes: 0 all is well; 1 "} {
			assert.Contains(t, out, part, name)
		}
		for line := range strings.Lines(out) {
			assert.LessOrEqual(t, len([]rune(line)), 180, line)
		}
	}
	out, _, code := command(t, "")
	assert.Equal(t, exitDone, code)
	assert.Contains(t, out, "Available Commands:")
	_, errOut, code := command(t, "", "rendr")
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errOut, `unknown command "rendr"`)
	out, _, code = command(t, "", "--version")
	assert.Equal(t, exitDone, code)
	assert.Equal(t, "fluxnotify version "+version.String()+"\n", out)
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		out, _, code := command(t, "", "completion", shell)
		assert.Equal(t, exitDone, code)
		assert.Contains(t, out, "fluxnotify")
	}
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{""}, []string{"check", "convert", "render", "send"}},
		{[]string{"render", "--output", ""}, []string{"text", "json"}},
		{[]string{"render", "--config", collectorYAML, "--exporter", ""}, []string{"flux_notify/bus", "flux_notify/slack"}},
		{[]string{"send", "--sample", ""}, []string{"kustomization-failed", "list"}},
		{[]string{"render", ""}, []string{"json", ":8"}}, // files that end in json
	} {
		out, _, code := command(t, "", append([]string{"__complete"}, c.args...)...)
		assert.Equal(t, exitDone, code)
		for _, want := range c.want {
			assert.Contains(t, out, want, "%v", c.args)
		}
	}
	out, _, code := command(t, "", "__complete", "render", "--config", "none.yaml", "--exporter", "")
	assert.Equal(t, exitDone, code)
	assert.Equal(t, ":4\n", out, "nothing, and no complaint in the middle of a line")
}

// A signal ends a command that waits for its input, which may never come.
func TestASignalEndsTheReadingOfStandardInput(t *testing.T) {
	t.Parallel()
	in, writer := io.Pipe()
	t.Cleanup(func() { assert.NoError(t, writer.Close()) })
	for _, args := range [][]string{{"send", "-"}, {"render", "-c", collectorYAML, "-"}} {
		ctx, cancel := context.WithCancel(t.Context())
		var stdout, stderr bytes.Buffer
		code := run(ctx, args, readHook{in, cancel}, &stdout, &stderr)
		assert.Equal(t, exitUsage, code)
		assert.Equal(t, "fluxnotify: standard input: was interrupted\n", stderr.String())
	}
}

// readHook calls a function before it reads.
type readHook struct {
	io.Reader
	before func()
}

func (r readHook) Read(p []byte) (int, error) {
	r.before()
	return r.Reader.Read(p)
}

func TestColourIsForTerminals(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "ok", newPainter(&bytes.Buffer{}).paint(green, "ok"))
	file, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	defer func() { _ = file.Close() }()
	assert.Equal(t, "ok", newPainter(file).paint(green, "ok"))
	assert.Equal(t, "\x1b[32mok\x1b[0m", painter(true).paint(green, "ok"))
	assert.Equal(t, "RESULT X\n\x1b[32mok\x1b[0m  a\n\x1b[31mfailed\x1b[0m b\n", coloured("RESULT X\nok  a   \nfailed b\n", painter(true)))
}
