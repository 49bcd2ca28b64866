package newest_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/fluxnotify/otelcol-flux/internal/newest"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, time.March, 9, 12, 0, 0, 0, time.UTC)

// note writes into what, and says whether it came to that.
func note(t *testing.T, o *newest.Order, key string, at time.Time) (written bool) {
	t.Helper()
	said, err := o.Write(t.Context(), key, at, func() error { written = true; return nil })
	require.NoError(t, err)
	assert.Equal(t, written, said)
	return written
}

func TestOlderIsLeftOut(t *testing.T) {
	t.Parallel()
	o := newest.NewOrder()
	assert.True(t, note(t, o, "a", noon))
	assert.False(t, note(t, o, "a", noon.Add(-time.Second)))
	assert.True(t, note(t, o, "b", noon.Add(-time.Second)), "another key")
	assert.True(t, note(t, o, "a", noon), "the last to come of what is equally old")
	assert.True(t, note(t, o, "a", noon.Add(time.Second)))
	assert.False(t, note(t, o, "a", noon))
}

func TestAFailedWriteIsNone(t *testing.T) {
	t.Parallel()
	o := newest.NewOrder()
	broken := errors.New("broken")
	written, err := o.Write(t.Context(), "a", noon, func() error { return broken })
	require.ErrorIs(t, err, broken)
	assert.False(t, written)
	assert.True(t, note(t, o, "a", noon.Add(-time.Second)), "nothing newer is there")
	assert.True(t, note(t, o, "a", noon), "the repetition")
}

func TestOneAtATime(t *testing.T) {
	t.Parallel()
	o := newest.NewOrder()
	var group sync.WaitGroup
	var last time.Time // guarded by the order alone: the race detector looks
	for i := range 200 {
		group.Go(func() {
			at := noon.Add(time.Duration(i*37%200) * time.Second)
			_, err := o.Write(t.Context(), "a", at, func() error {
				assert.False(t, at.Before(last))
				last = at
				return nil
			})
			assert.NoError(t, err)
		})
	}
	group.Wait()
	assert.Equal(t, noon.Add(199*time.Second), last)
}

func TestKeysDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	o := newest.NewOrder()
	inside, release := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		_, err := o.Write(context.Background(), "a", noon, func() error { close(inside); <-release; return nil })
		done <- err
	}()
	<-inside
	assert.True(t, note(t, o, "b", noon))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var e *notify.Error
	_, err := o.Write(ctx, "a", noon, func() error { t.Error("written meanwhile"); return nil })
	require.ErrorAs(t, err, &e)
	assert.Equal(t, notify.Retryable, e.Class)
	close(release)
	require.NoError(t, <-done)
	assert.False(t, note(t, o, "a", noon.Add(-time.Second)))
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	o := newest.NewOrder()
	for i := range 10_001 {
		note(t, o, strconv.Itoa(i), noon)
	}
	assert.True(t, note(t, o, "0", noon.Add(-time.Second)), "the one not used for longest is forgotten")
	assert.False(t, note(t, o, "10000", noon.Add(-time.Second)))
}

func TestASuccessorKnows(t *testing.T) {
	t.Parallel()
	var memory notify.Memory
	assert.True(t, note(t, newest.In(&memory), "a", noon))
	assert.False(t, note(t, newest.In(&memory), "a", noon.Add(-time.Second)))
	assert.True(t, note(t, newest.In(nil), "a", noon.Add(-time.Second)), "without a memory")
}
