package providertest

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers"
)

// next stands between the payloads of one notification.
const next = "----------------------------------------\n"

// Folder is where a type lives: its name without what a Go package cannot have.
func Folder(providerType string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, providerType)
}

// Golden compares what a type makes of every event with the files of its
// folder's testdata, or writes those files.
func Golden(t *testing.T, row providers.Row, update bool) {
	t.Helper()
	dir := filepath.Join(Root(t), "internal", "providers", Folder(row.Type), "testdata")
	p := Sample(t, row)
	events := Events(t)
	known := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(events)) {
		file := filepath.Join(dir, name+".golden")
		known[file] = true
		got := golden(t, row, p, OnChangeRequest(row, events[name]))
		if update {
			require.NoError(t, os.MkdirAll(dir, 0o755))
			require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
			continue
		}
		want, err := os.ReadFile(file)
		if assert.NoError(t, err, "written with: go test ./internal/providers -update") {
			assert.Equal(t, string(want), got, file)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.golden"))
	require.NoError(t, err)
	for _, file := range files {
		if known[file] {
			continue
		}
		if update {
			require.NoError(t, os.Remove(file))
			continue
		}
		assert.Fail(t, "a golden without its event", file)
	}
}

func golden(tb testing.TB, row providers.Row, p notify.Provider, e fluxevent.Event) string {
	tb.Helper()
	if rule, filtered := row.Filters(&e); filtered {
		return "filtered: " + rule + "\n"
	}
	payloads, err := p.Render(Notification(tb, e))
	require.NoError(tb, err)
	return Print(tb, row, payloads)
}

// Print writes payloads as a person would read them.
func Print(tb testing.TB, row providers.Row, payloads []notify.Payload) string {
	tb.Helper()
	if len(payloads) == 0 {
		return "nothing to send\n"
	}
	var b strings.Builder
	for i, p := range payloads {
		if i > 0 {
			b.WriteString(next)
		}
		method := p.Method
		if method == "" {
			method = "MESSAGE" // a bus has no methods
		}
		b.WriteString(method + " {address}" + p.Path + "\n")
		for _, name := range slices.Sorted(maps.Keys(p.Header)) {
			for _, value := range p.Header[name] {
				b.WriteString(name + ": " + value + "\n")
			}
		}
		if p.Key != "" {
			b.WriteString("{key} " + p.Key + "\n")
		}
		if p.Object != "" {
			b.WriteString("{object} " + p.Object + "\n")
		}
		if !p.Time.IsZero() {
			b.WriteString("{time} " + p.Time.Format(time.RFC3339Nano) + "\n")
		}
		b.WriteByte('\n')
		b.WriteString(strings.TrimRight(indented(Text(tb, row, p.Body)), "\n"))
		b.WriteByte('\n')
	}
	return b.String()
}

// Text is a body as text: what is sent, or what the type shows of it.
func Text(tb testing.TB, row providers.Row, body []byte) []byte {
	tb.Helper()
	if row.Show == nil {
		require.True(tb, utf8.Valid(body), "the body is not UTF-8")
		return body
	}
	shown, err := row.Show(body)
	require.NoError(tb, err, "the type cannot read its own body")
	require.True(tb, json.Valid(shown), "what is shown of the body is not JSON: %.200q", shown)
	return shown
}

// indented is for JSON; the order of its keys and its escapes stay.
func indented(text []byte) string {
	var b bytes.Buffer
	if !json.Valid(text) || json.Indent(&b, text, "", "  ") != nil {
		return string(text)
	}
	return b.String()
}
