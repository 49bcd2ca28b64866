// Package providertest is what is proved of every provider type. The tests
// that walk the whole table call it with a row; a type adds no line of test
// code for any of it. Tests of one type find their events and servers here.
package providertest

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/fluxnotify/otelcol-flux/internal/alert"
	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers"
)

// Observed is when every event of the tests arrived: what stands for the time
// of one that has no timestamp.
var Observed = time.Date(2026, time.March, 31, 12, 0, 0, 0, time.UTC)

// Root is the folder of the module, whichever package's tests are running.
func Root(tb testing.TB) string {
	tb.Helper()
	dir, err := os.Getwd()
	require.NoError(tb, err)
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		require.NotEqual(tb, dir, filepath.Dir(dir), "no go.mod above the tests")
		dir = filepath.Dir(dir)
	}
}

// Events are those of testdata/events by the names of their files.
func Events(tb testing.TB) map[string]fluxevent.Event {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join(Root(tb), "testdata", "events", "*.json"))
	require.NoError(tb, err)
	require.NotEmpty(tb, files)
	events := make(map[string]fluxevent.Event, len(files))
	for _, file := range files {
		body, err := os.ReadFile(file)
		require.NoError(tb, err)
		e, err := fluxevent.Parse(body)
		require.NoError(tb, err, file)
		e.Observed = Observed
		events[strings.TrimSuffix(filepath.Base(file), ".json")] = e
	}
	return events
}

// Event is one of Events.
func Event(tb testing.TB, name string) fluxevent.Event {
	tb.Helper()
	e, ok := Events(tb)[name]
	require.True(tb, ok, "testdata/events has no %s.json", name)
	return e
}

// OnChangeRequest is the event as one that belongs to a change request, for types that take no
// others.
func OnChangeRequest(row providers.Row, e fluxevent.Event) fluxevent.Event {
	if row.Takes != notify.TakesChangeRequests {
		return e
	}
	return requested(e)
}

func requested(e fluxevent.Event) fluxevent.Event {
	metadata := map[string]string{notify.ChangeRequestKey: "42"}
	maps.Copy(metadata, e.Metadata)
	e.Metadata = metadata
	return e
}

// Notification is an event as an alert with metadata of its own wants it told:
// some fields are the event's, some are the operator's.
func Notification(tb testing.TB, e fluxevent.Event) *notify.Notification {
	tb.Helper()
	return NotificationWith(tb, e, map[string]string{
		"cluster": "prod-eu",
		"runbook": "<https://runbooks.example.com|runbook>",
	})
}

// NotificationWith is an event with other metadata of the operator's.
func NotificationWith(tb testing.TB, e fluxevent.Event, metadata map[string]string) *notify.Notification {
	tb.Helper()
	a, err := alert.New(&alert.Config{
		Name:          "apps",
		Namespace:     "flux-system",
		UID:           "0b54a0a2-8a0e-4f6c-9f27-5a3f6a0c1d11",
		EventMetadata: metadata,
	}, zap.NewNop())
	require.NoError(tb, err)
	return a.Notify(&e)
}
