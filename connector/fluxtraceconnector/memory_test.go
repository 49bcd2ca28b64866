package fluxtraceconnector

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
)

func durations(spans []ptrace.Span) []float64 {
	all := make([]float64, len(spans))
	for i, s := range spans {
		all[i] = lasts(s)
	}
	return all
}

func TestDurations(t *testing.T) {
	t.Parallel()
	at := func(after int) fluxevent.Event { return happens(after, "Kustomization", "apps", revision) }
	other := func(after int, name string) fluxevent.Event { return happens(after, "Kustomization", name, revision) }
	hour := int(time.Hour.Seconds())
	for name, c := range map[string]struct {
		events []fluxevent.Event
		want   []float64
	}{
		"one after the other":   {[]fluxevent.Event{at(0), at(4), at(10)}, []float64{0, 4, 6}},
		"another object":        {[]fluxevent.Event{at(0), other(4, "infra"), at(10)}, []float64{0, 0, 10}},
		"another revision":      {[]fluxevent.Event{at(0), happens(4, "Kustomization", "apps", "main@sha1:0"), at(10)}, []float64{0, 0, 10}},
		"late":                  {[]fluxevent.Event{at(10), at(4), at(12)}, []float64{0, 0, 2}},
		"repeated":              {[]fluxevent.Event{at(0), at(4), at(4), at(10)}, []float64{0, 4, 4, 6}},
		"just near enough":      {[]fluxevent.Event{at(0), at(hour)}, []float64{0, 3600}},
		"too far apart":         {[]fluxevent.Event{at(0), at(hour + 1), at(hour + 3)}, []float64{0, 0, 2}},
		"without a revision":    {[]fluxevent.Event{happens(0, "ImagePolicy", "p", ""), happens(4, "ImagePolicy", "p", "")}, []float64{0, 0}},
		"of a source":           {[]fluxevent.Event{happens(0, "Bucket", "b", "sha256:1"), happens(4, "Bucket", "b", "sha256:1")}, []float64{0, 4}},
		"the same name, a kind": {[]fluxevent.Event{at(0), happens(4, "HelmRelease", "apps", revision)}, []float64{0, 0}},
	} {
		assert.Equal(t, c.want, durations(made(t, identified(), c.events...)), name)
	}
}

// TestRepeatedUpdates keeps of the reports that nothing has changed the first
// after every change.
func TestRepeatedUpdates(t *testing.T) {
	t.Parallel()
	at := func(after int) fluxevent.Event { return happens(after, "Kustomization", "apps", revision) }
	update := func(after int) fluxevent.Event { return with(at(after), "commit_status", "update") }
	spans := made(t, identified(), at(0), update(4), update(600), update(600), update(4), update(1200), at(1210), update(1213))
	ends := make([]float64, len(spans))
	for i, s := range spans {
		ends[i] = s.EndTimestamp().AsTime().Sub(began).Seconds()
	}
	assert.Equal(t, []float64{0, 4, 1210, 1213}, ends)
	assert.Equal(t, []float64{0, 4, 10, 3}, durations(spans))

	first := made(t, identified(), update(0), update(600))
	assert.Len(t, first, 1, "where nothing was applied, the first report says so")
	again := made(t, identified(), update(0), update(0))
	require.Len(t, again, 2, "a repetition is the same span")
	assert.Equal(t, again[0], again[1])
}

// TestRoots gives a trace one root, whatever its sources say later.
func TestRoots(t *testing.T) {
	t.Parallel()
	first := happens(0, "GitRepository", "flux-system", revision)
	spans := made(t, identified(), first, happens(600, "GitRepository", "flux-system", revision),
		happens(1, "GitRepository", "copy", revision), first)
	require.Len(t, spans, 4)
	assert.True(t, isRoot(spans[0]))
	for _, span := range spans[1:3] {
		assert.Equal(t, spans[0].TraceID(), span.TraceID())
		assert.Equal(t, spans[0].SpanID(), span.ParentSpanID())
		assert.NotEqual(t, spans[0].SpanID(), span.SpanID())
	}
	assert.Equal(t, spans[0].SpanID(), spans[3].SpanID(), "a repetition is the root again")
	assert.True(t, isRoot(spans[3]))
}

// TestMemoryIsBounded remembers the latest and forgets the rest.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	config := identified()
	config.Memory.MaxEntries = 3
	m, err := newMemory(&config.Memory)
	require.NoError(t, err)
	c := traceConnector{memory: m}
	const objects = 100
	events := make([]fluxevent.Event, 0, objects)
	for i := range objects {
		events = append(events, happens(i, "GitRepository", fmt.Sprint("r-", i), fmt.Sprint("main@sha1:", i)))
	}
	traces := ptrace.NewTraces()
	for _, resourceLogs := range logsOf(events...).ResourceLogs().All() {
		c.convert(resourceLogs, traces, m.turn())
	}
	assert.Equal(t, objects, traces.SpanCount())
	assert.Equal(t, 3, m.latest.Len())
	assert.Equal(t, 3, m.first.Len())

	at := func(after int, name string) fluxevent.Event { return happens(after, "Kustomization", name, revision) }
	assert.Equal(t, []float64{0, 0, 0, 0, 4, 0},
		durations(made(t, config, at(0, "a"), at(1, "b"), at(2, "c"), at(3, "d"), at(5, "b"), at(6, "a"))),
		"the least recent is forgotten")
}

func TestUndoLeavesAlone(t *testing.T) {
	t.Parallel()
	m, err := newMemory(&MemoryConfig{Interval: time.Hour, MaxEntries: 2})
	require.NoError(t, err)
	k := key{object: 1}
	mine := m.turn()
	_, _ = mine.continues(k, moment{span: [8]byte{1}, at: 1})
	_, _ = m.turn().continues(k, moment{span: [8]byte{2}, at: 2})
	mine.undo()
	last, known := m.latest.Get(k)
	assert.True(t, known, "what another request has remembered since")
	assert.Equal(t, [8]byte{2}, [8]byte(last.span))

	forgotten := m.turn()
	_, _ = forgotten.continues(key{object: 2}, moment{at: 1})
	for i := range uint64(3) {
		_, _ = m.turn().continues(key{object: 10 + i}, moment{at: 1})
	}
	forgotten.undo()
	assert.Equal(t, 2, m.latest.Len())
}
