package fluxnotifyexporter

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"
)

// disk is a storage that can be full: for everything, or, as when the last room
// has just gone to a new item, for all but new items.
type disk struct {
	*memory
	full, allButNew atomic.Bool
}

func (d *disk) GetClient(context.Context, component.Kind, component.ID, string) (storage.Client, error) {
	return d, nil
}

var errFull = errors.New("no space left on device")

func (d *disk) Batch(ctx context.Context, ops ...*storage.Operation) error {
	sets, others, writes := 0, 0, false
	for _, op := range ops {
		writes = writes || op.Type != storage.Get
		if op.Type == storage.Set {
			sets++
		} else {
			others++
		}
	}
	isNew := sets == 2 && others == 0
	if writes && (d.full.Load() || d.allButNew.Load() && !isNew) {
		return errFull
	}
	return d.memory.Batch(ctx, ops...)
}

func newDisk(t *testing.T, config *Config) (*disk, component.Host) {
	t.Helper()
	d := &disk{memory: &memory{values: map[string][]byte{}}}
	id := component.MustNewID("disk")
	config.QueueConfig.Get().StorageID = &id
	return d, hostWithStorage{map[component.ID]component.Component{id: d}}
}

func TestWhatIsAcceptedOutlivesAFullDisk(t *testing.T) {
	t.Parallel()
	sink := newEndpoint(t, nil)
	config := webhook(sink.URL)
	d, host := newDisk(t, config)
	e := startWith(t, config, host)
	const events = 25
	d.allButNew.Store(true)
	for i := range events {
		require.NoError(t, e.ConsumeLogs(context.Background(), event(fmt.Sprint("object", i), "failed")))
	}
	sink.waitFor(t, events)
	require.Eventually(t, func() bool { return e.counts(t)["sent"] == events }, patience, patience/1000)
	assert.Len(t, e.logs.FilterMessageSnippet("cannot be written").All(), 1, "said once")

	// Once there is room, nothing of them stays behind.
	d.allButNew.Store(false)
	require.NoError(t, e.ConsumeLogs(context.Background(), event("another", "failed")))
	sink.waitFor(t, events+1)
	e.stop(t)
	assert.Len(t, e.logs.FilterMessageSnippet("can be written again").All(), 1)
	assert.Len(t, d.values, 1, "the queue's own key alone")
	again := startWith(t, config, host)
	again.stop(t)
	assert.Len(t, sink.seen(), events+1, "nothing is delivered again")
}

func TestWhatAFullDiskCannotKeepIsRefused(t *testing.T) {
	t.Parallel()
	sink := newEndpoint(t, nil)
	config := webhook(sink.URL)
	d, host := newDisk(t, config)
	e := startWith(t, config, host)
	d.full.Store(true)
	require.ErrorIs(t, e.ConsumeLogs(context.Background(), event("webapp", "refused")), errFull)
	d.full.Store(false)
	require.NoError(t, e.ConsumeLogs(context.Background(), event("webapp", "accepted")))
	sink.waitFor(t, 1)
	e.stop(t)
	require.Len(t, sink.seen(), 1)
	assert.Equal(t, "accepted", message(t, sink.seen()[0].body))
}

func TestAStopOnAFullDiskLeavesWhatWasDelivered(t *testing.T) {
	t.Parallel()
	sink := newEndpoint(t, nil)
	config := webhook(sink.URL)
	d, host := newDisk(t, config)
	e := startWith(t, config, host)
	d.allButNew.Store(true)
	require.NoError(t, e.ConsumeLogs(context.Background(), event("webapp", "failed")))
	sink.waitFor(t, 1)
	e.stop(t)
	assert.Len(t, e.logs.FilterMessageSnippet("will be delivered again").All(), 1)
	d.allButNew.Store(false)
	again := startWith(t, config, host)
	sink.waitFor(t, 2)
	again.stop(t)
	assert.Len(t, sink.seen(), 2)
}
