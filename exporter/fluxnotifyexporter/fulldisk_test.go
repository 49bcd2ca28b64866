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

	"github.com/fluxnotify/otelcol-flux/exporter/fluxnotifyexporter/internal/metadata"
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
	writes, isNew := false, false
	for _, op := range ops {
		writes = writes || op.Type != storage.Get
		isNew = isNew || op.Type == storage.Set
	}
	if writes && (d.full.Load() || d.allButNew.Load() && !isNew) {
		return errFull
	}
	return d.memory.Batch(ctx, ops...)
}

func newDisk(t *testing.T, config *Config) (*disk, component.Host) {
	t.Helper()
	d := &disk{memory: &memory{values: map[string][]byte{}}}
	id := component.MustNewID("disk")
	config.QueueConfig.StorageID = &id
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
	assert.NotEmpty(t, e.logs.FilterMessageSnippet("cannot be written").All())

	// Once there is room, nothing of them stays behind.
	d.allButNew.Store(false)
	require.NoError(t, e.ConsumeLogs(context.Background(), event("another", "failed")))
	sink.waitFor(t, events+1)
	e.stop(t)
	assert.NotEmpty(t, e.logs.FilterMessageSnippet("can be written again").All())
	assert.Len(t, d.values, 1, "only the head is left")
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

// deaf is a storage that cannot be read.
type deaf struct{ *memory }

func (d deaf) GetClient(context.Context, component.Kind, component.ID, string) (storage.Client, error) {
	return d, nil
}

func (deaf) Get(context.Context, string) ([]byte, error) {
	return nil, errors.New("input/output error")
}

func TestAStorageThatCannotBeReadIsNamedByItsSetting(t *testing.T) {
	t.Parallel()
	config := webhook("http://127.0.0.1:1")
	id := component.MustNewID("disk")
	config.QueueConfig.StorageID = &id
	for want, host := range map[string]hostWithStorage{
		`sending_queue::storage: the storage of "flux_notify" in the extension "disk" cannot be used: reading: input/output error`: {map[component.ID]component.Component{id: deaf{&memory{}}}},
		`sending_queue::storage: there is no extension "disk": configure it under extensions, and list it in service::extensions`:  {},
	} {
		set, _, _ := settings(t)
		set.ID = component.NewID(metadata.Type)
		e, err := newExporter(set, config)
		require.NoError(t, err)
		require.EqualError(t, e.Start(context.Background(), host), want)
		require.NoError(t, e.Shutdown(context.Background()))
	}
}
