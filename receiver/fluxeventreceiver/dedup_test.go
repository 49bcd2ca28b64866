package fluxeventreceiver

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
)

// memory is a known with a clock of the test's own.
type memory struct {
	*known
	elapsed atomic.Int64
}

func newMemory(interval time.Duration, most int) *memory {
	m := &memory{known: newKnown(&DeduplicationConfig{Interval: interval, MaxEntries: most})}
	began := time.Date(2026, time.March, 21, 20, 20, 20, 0, time.UTC)
	m.now = func() time.Time { return began.Add(time.Duration(m.elapsed.Load())) }
	return m
}

func (m *memory) wait(d time.Duration) { m.elapsed.Add(int64(d)) }

// passes brings an event into a pipeline that takes it, or reports that it is a
// duplicate.
func (m *memory) passes(t *testing.T, e fluxevent.Event) bool {
	t.Helper()
	entry, duplicate, err := m.enter(t.Context(), &e)
	require.NoError(t, err)
	if !duplicate {
		m.accept(entry)
	}
	return !duplicate
}

// isRefused brings an event into a pipeline that refuses it.
func (m *memory) isRefused(t *testing.T, e fluxevent.Event) {
	t.Helper()
	entry, duplicate, err := m.enter(t.Context(), &e)
	require.NoError(t, err)
	require.False(t, duplicate)
	m.forget(entry)
}

func (m *memory) assertEmpty(t *testing.T) {
	t.Helper()
	assert.Empty(t, m.objects)
	assert.Empty(t, m.keys)
	assert.Empty(t, m.deciding)
	assert.Zero(t, m.oldest.len())
}

const group = "kustomize.toolkit.fluxcd.io"

func event(severity, message string) fluxevent.Event {
	return fluxevent.Event{
		InvolvedObject: fluxevent.Object{
			Kind: "Kustomization", Namespace: "apps", Name: "webapp", UID: "7d0cdc51", APIVersion: group + "/v1", ResourceVersion: "4711",
		},
		Severity: severity, Message: message, Reason: "Progressing", ReportingController: "kustomize-controller",
		Metadata: map[string]string{group + "/revision": "main@sha1:731f", group + "/originRevision": "o", group + "/token": "t"},
	}
}

func TestWhatMakesAnEvent(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*fluxevent.Event)
		passes bool
	}{
		"nothing":          {func(*fluxevent.Event) {}, false},
		"kind":             {func(e *fluxevent.Event) { e.InvolvedObject.Kind = "HelmRelease" }, true},
		"namespace":        {func(e *fluxevent.Event) { e.InvolvedObject.Namespace = "prod" }, true},
		"name":             {func(e *fluxevent.Event) { e.InvolvedObject.Name = "api" }, true},
		"API group":        {func(e *fluxevent.Event) { e.InvolvedObject.APIVersion = "helm.toolkit.fluxcd.io/v1" }, true},
		"severity":         {func(e *fluxevent.Event) { e.Severity = "error" }, true},
		"reason":           {func(e *fluxevent.Event) { e.Reason = "Failed" }, true},
		"message":          {func(e *fluxevent.Event) { e.Message += "." }, true},
		"revision":         {func(e *fluxevent.Event) { e.Metadata[group+"/revision"] = "main@sha1:8" }, true},
		"no revision":      {func(e *fluxevent.Event) { delete(e.Metadata, group+"/revision") }, true},
		"origin revision":  {func(e *fluxevent.Event) { e.Metadata[group+"/originRevision"] = "p" }, true},
		"token":            {func(e *fluxevent.Event) { e.Metadata[group+"/token"] = "u" }, true},
		"API version":      {func(e *fluxevent.Event) { e.InvolvedObject.APIVersion = group + "/v2" }, false},
		"uid":              {func(e *fluxevent.Event) { e.InvolvedObject.UID = "x" }, true},
		"cluster":          {func(e *fluxevent.Event) { e.Cluster = "x" }, true},
		"resource version": {func(e *fluxevent.Event) { e.InvolvedObject.ResourceVersion = "4712" }, false},
		"field path":       {func(e *fluxevent.Event) { e.InvolvedObject.FieldPath = "spec" }, false},
		"time":             {func(e *fluxevent.Event) { e.Timestamp = fluxevent.NewTime(time.Unix(1, 0)) }, false},
		"instance":         {func(e *fluxevent.Event) { e.ReportingInstance = "kustomize-controller-2" }, false},
		"another's key":    {func(e *fluxevent.Event) { e.Metadata["helm.toolkit.fluxcd.io/revision"] = "1" }, false},
		"another key":      {func(e *fluxevent.Event) { e.Metadata[group+"/commit_status"] = "update" }, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMemory(time.Minute, 100)
			require.True(t, m.passes(t, event("info", "m")))
			changed := event("info", "m")
			test.change(&changed)
			assert.Equal(t, test.passes, m.passes(t, changed))
			assert.False(t, m.passes(t, changed), "but only once")
		})
	}
}

// Parts that read the same when put together are not the same.
func TestPartsAreNotConfused(t *testing.T) {
	t.Parallel()
	m := newMemory(time.Minute, 100)
	object := func(kind, namespace, name, version string) fluxevent.Object {
		return fluxevent.Object{Kind: kind, Namespace: namespace, Name: name, APIVersion: version}
	}
	o := object("K", "ns", "n", group+"/v1")
	with := func(key, value string) map[string]string { return map[string]string{group + "/" + key: value} }
	events := []fluxevent.Event{
		{InvolvedObject: o, Message: "m", Metadata: with("revision", "x")},
		{InvolvedObject: o, Message: "m", Metadata: with("originRevision", "x")},
		{InvolvedObject: o, Message: "m", Metadata: with("token", "x")},
		{InvolvedObject: o, Message: "m/revision=x"},
		{InvolvedObject: o, Message: "m/x"},
		{InvolvedObject: o, Message: "mx"},
		{InvolvedObject: o, Message: "m\x00x"},
		{InvolvedObject: o, Message: "m\x01x"},
		{InvolvedObject: o, Reason: "m", Message: "x"},
		{InvolvedObject: o, Reason: "mx"},
		{InvolvedObject: o, Reason: "m/x"},
		{InvolvedObject: object("K", "ns/n", "", group+"/v1"), Message: "mx"},
		{InvolvedObject: object("K", "n", "sn", group+"/v1"), Message: "mx"},
		{InvolvedObject: object("Kns", "", "n", group+"/v1"), Message: "mx"},
		{InvolvedObject: object("K", "ns", "n"+group, "v1"), Message: "mx"},
		{InvolvedObject: object("K", "ns", "n", "v1"), Message: "mx"},
		{InvolvedObject: object("K", "ns", "n", "v1"), Message: "mx", Cluster: "K"},
		{InvolvedObject: fluxevent.Object{UID: "K", Kind: "K", Namespace: "ns", Name: "n"}, Message: "mx"},
		{InvolvedObject: fluxevent.Object{Kind: "K", Namespace: "ns", Name: "n"}, Message: "mx", Cluster: "KK"},
	}
	for _, wanted := range []bool{true, false} {
		for i, e := range events {
			assert.Equal(t, wanted, m.passes(t, e), "%d: %+v", i, e)
		}
	}
}

// Whatever character one might put between the parts, an event may hold it.
func TestNoCharacterSeparatesParts(t *testing.T) {
	t.Parallel()
	m := newMemory(time.Minute, 10_000)
	for c := range 256 {
		between := string([]byte{byte(c)})
		one, two := event("info", "c"), event("info", "b"+between+"c")
		one.Reason, two.Reason = "a"+between+"b", "a"
		assert.True(t, m.passes(t, one), "%q", between)
		assert.True(t, m.passes(t, two), "%q", between)

		one, two = event("info", "m"), event("info", "m")
		one.InvolvedObject.Namespace, one.InvolvedObject.Name = "a"+between+"b", "c"
		two.InvolvedObject.Namespace, two.InvolvedObject.Name = "a", "b"+between+"c"
		assert.True(t, m.passes(t, one), "%q", between)
		assert.True(t, m.passes(t, two), "%q", between)
	}
}

func TestRelapse(t *testing.T) {
	t.Parallel()
	m := newMemory(time.Minute, 100)
	for range 3 {
		assert.True(t, m.passes(t, event("info", "A")))
		assert.False(t, m.passes(t, event("info", "A")))
		assert.True(t, m.passes(t, event("error", "B")))
		assert.False(t, m.passes(t, event("error", "B")))
	}
}

func TestAlternatingErrors(t *testing.T) {
	t.Parallel()
	m := newMemory(time.Minute, 100)
	assert.True(t, m.passes(t, event("error", "A")))
	assert.True(t, m.passes(t, event("error", "B")))
	for range 3 {
		assert.False(t, m.passes(t, event("error", "A")))
		assert.False(t, m.passes(t, event("error", "B")))
	}
}

func TestRelapseOfAnotherObject(t *testing.T) {
	t.Parallel()
	m := newMemory(time.Minute, 100)
	other := event("error", "B")
	other.InvolvedObject.Name = "other"
	assert.True(t, m.passes(t, event("info", "A")))
	assert.True(t, m.passes(t, other))
	assert.False(t, m.passes(t, event("info", "A")), "what befalls others is no news of this one")
}

// Clusters share names, and a new object may have the name of an old one.
func TestRelapseOfANamesake(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*fluxevent.Event){
		"in another cluster": func(e *fluxevent.Event) { e.Cluster = "us" },
		"with another uid":   func(e *fluxevent.Event) { e.InvolvedObject.UID = "other" },
	} {
		m := newMemory(time.Minute, 100)
		namesake := event("error", "B")
		change(&namesake)
		assert.True(t, m.passes(t, event("info", "A")), name)
		assert.True(t, m.passes(t, namesake), name)
		assert.False(t, m.passes(t, event("info", "A")), "%s: its severity is its own", name)
		assert.False(t, m.passes(t, namesake), name)
	}
}

func TestRefusedIsNotRemembered(t *testing.T) {
	t.Parallel()
	m := newMemory(time.Minute, 100)
	m.isRefused(t, event("info", "A"))
	m.isRefused(t, event("info", "A"))
	m.assertEmpty(t)
	assert.True(t, m.passes(t, event("info", "A")))
	m.isRefused(t, event("error", "B"))
	assert.False(t, m.passes(t, event("info", "A")), "a refused error is no relapse")
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	m := newMemory(time.Minute, 100)
	require.True(t, m.passes(t, event("info", "A")))
	m.wait(30 * time.Second)
	require.True(t, m.passes(t, event("info", "B")))
	m.wait(30*time.Second - 1)
	assert.False(t, m.passes(t, event("info", "A")), "a duplicate does not prolong")
	m.wait(1)
	assert.True(t, m.passes(t, event("info", "A")))
	assert.False(t, m.passes(t, event("info", "B")))
	m.wait(30 * time.Second)
	assert.True(t, m.passes(t, event("info", "B")))
	assert.False(t, m.passes(t, event("info", "A")))
}

func TestMemoryIsGivenBack(t *testing.T) {
	t.Parallel()
	m := newMemory(time.Minute, 10_000)
	for i := range 3000 {
		e := event([]string{"info", "error"}[i%2], fmt.Sprint(i%7))
		e.InvolvedObject.Name = fmt.Sprint(i % 100)
		m.passes(t, e)
	}
	assert.Len(t, m.objects, 100)
	m.wait(time.Minute)
	m.isRefused(t, event("info", "another"))
	m.assertEmpty(t)
}

func TestMaxEntries(t *testing.T) {
	t.Parallel()
	m := newMemory(time.Minute, 3)
	for i := range 5 {
		require.True(t, m.passes(t, event("info", fmt.Sprint(i))))
	}
	for i := 2; i < 5; i++ {
		assert.False(t, m.passes(t, event("info", fmt.Sprint(i))), "one of the last three")
	}
	assert.True(t, m.passes(t, event("info", "0")), "the oldest are forgotten")

	for i := range 5000 { // relapses and objects count as well
		e := event([]string{"info", "error"}[i%2], "m")
		e.InvolvedObject.Name = fmt.Sprint(i / 4)
		m.passes(t, e)
		require.LessOrEqual(t, m.oldest.len(), 3)
		require.LessOrEqual(t, len(m.keys), 3)
		require.LessOrEqual(t, len(m.objects), 3)
	}
	assert.LessOrEqual(t, len(m.oldest.slots), 64, "the room does not grow with what passes through it")
}

func TestIntervalZero(t *testing.T) {
	t.Parallel()
	m := newMemory(0, 0)
	for range 3 {
		assert.True(t, m.passes(t, event("info", "A")))
	}
	m.isRefused(t, event("info", "A"))
	m.assertEmpty(t)
}

func TestConcurrentTwins(t *testing.T) {
	t.Parallel()
	m := newMemory(time.Minute, 100)
	const twins = 20
	type result struct {
		entry     *entry
		duplicate bool
	}
	results := make(chan result, twins)
	for range twins {
		go func() {
			e := event("info", "A")
			entry, duplicate, err := m.enter(context.Background(), &e)
			assert.NoError(t, err)
			results <- result{entry, duplicate}
		}()
	}
	first := <-results
	require.False(t, first.duplicate)
	assertNothing(t, results)
	m.forget(first.entry)
	second := <-results
	require.False(t, second.duplicate, "it takes the place of the first")
	assertNothing(t, results)
	m.accept(second.entry)
	for range twins - 2 {
		assert.True(t, (<-results).duplicate)
	}
	assert.Empty(t, m.deciding)
}

func TestWaitingTwinLeaves(t *testing.T) {
	t.Parallel()
	m := newMemory(time.Minute, 100)
	e := event("info", "A")
	first, duplicate, err := m.enter(t.Context(), &e)
	require.NoError(t, err)
	require.False(t, duplicate)
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, _, err := m.enter(ctx, &e)
		left <- err
	}()
	assertNothing(t, left)
	leave()
	require.ErrorIs(t, <-left, context.Canceled)
	m.accept(first)
	assert.False(t, m.passes(t, e))
}
