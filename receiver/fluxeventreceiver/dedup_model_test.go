package fluxeventreceiver

import (
	"fmt"
	"math/rand"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
)

// The rules once more, as slowly and as simply as they can be written.
type model struct {
	severity map[string]string
	expires  map[string]map[string]time.Duration // by object and event
}

func (m *model) passes(name string, e fluxevent.Event, now time.Duration, accepted bool) bool {
	key := e.Severity + "|" + e.Message
	if at, known := m.expires[name][key]; known && now < at {
		return false
	}
	if accepted {
		if m.expires[name] == nil || m.severity[name] != e.Severity {
			m.expires[name] = map[string]time.Duration{}
		}
		m.severity[name] = e.Severity
		m.expires[name][key] = now + time.Minute
	}
	return true
}

func TestAgainstModel(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewSource(1))
	m := newMemory(time.Minute, 1_000_000)
	simple := model{severity: map[string]string{}, expires: map[string]map[string]time.Duration{}}
	passed := 0
	for i := range 20_000 {
		m.wait(time.Duration(r.Intn(10)) * time.Second)
		e := event([]string{"info", "info", "error", "trace"}[r.Intn(4)], fmt.Sprint(r.Intn(3)))
		e.InvolvedObject.Name = fmt.Sprint(r.Intn(5))
		accepted := r.Intn(5) > 0
		entry, duplicate, err := m.enter(t.Context(), &e)
		require.NoError(t, err)
		want := simple.passes(e.InvolvedObject.Name, e, time.Duration(m.elapsed.Load()), accepted)
		require.Equal(t, want, !duplicate, "step %d: %s %s %s", i, e.InvolvedObject.Name, e.Severity, e.Message)
		switch {
		case duplicate:
		case accepted:
			m.accept(entry)
			passed++
		default:
			m.forget(entry)
		}
	}
	assert.Greater(t, passed, 1000)
	assert.Less(t, passed, 19_000)
}
