package fluxnotifyexporter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/zap"
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
	writes := false
	for _, op := range ops {
		writes = writes || op.Type != storage.Get
	}
	// The queue writes a new item after its own key; writes that are made up for
	// come first.
	last := len(ops) - 1
	isNew := last > 0 && ops[last-1].Type == storage.Set && ops[last].Type == storage.Set
	if writes && (d.full.Load() || d.allButNew.Load() && !isNew) {
		return errFull
	}
	return d.memory.Batch(ctx, ops...)
}

// at is what is written under a key.
func (d *disk) at(key string) []byte { return d.copy()[key] }

func (d *disk) copy() map[string][]byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.values)
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
	assert.NotEmpty(t, e.logs.FilterMessageSnippet("cannot be written").All())

	// Once there is room, nothing of them stays behind.
	d.allButNew.Store(false)
	require.NoError(t, e.ConsumeLogs(context.Background(), event("another", "failed")))
	sink.waitFor(t, events+1)
	e.stop(t)
	assert.NotEmpty(t, e.logs.FilterMessageSnippet("can be written again").All())
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

// A crash leaves on the disk what it did when it happened: a copy of that is
// started again while there is no room.
func TestAStartOnAFullDiskDeliversWhatTheCrashInterrupted(t *testing.T) {
	t.Parallel()
	var well atomic.Bool
	sink := newEndpoint(t, func(string, int) (int, http.Header) {
		if well.Load() {
			return http.StatusOK, nil
		}
		return http.StatusServiceUnavailable, nil
	})
	config := webhook(sink.URL)
	config.QueueConfig.Get().NumConsumers = 1 // eight in delivery, the others wait
	d, host := newDisk(t, config)
	crashing := startWith(t, config, host)
	const events = 20
	for i := range events {
		require.NoError(t, crashing.ConsumeLogs(context.Background(), event(fmt.Sprint("object", i%2), fmt.Sprintf("%d/%02d", i%2, i))))
	}
	inDelivery := func() []uint64 {
		metadata, err := parseQueueMetadata(d.at(queueMetadataKey))
		require.NoError(t, err)
		return metadata.dispatched
	}
	require.Eventually(t, func() bool { return len(inDelivery()) == waitingPerSlot }, patience, patience/1000)
	left := d.copy()
	crashing.stop(t)
	refused := len(sink.seen())

	id := *config.QueueConfig.Get().StorageID
	full := &disk{memory: &memory{values: left}}
	full.full.Store(true)
	before := full.copy()
	well.Store(true)
	e := startWith(t, config, hostWithStorage{map[component.ID]component.Component{id: full}})
	assert.Len(t, e.logs.FilterMessageSnippet("cannot be written").All(), 1)
	arrived := map[string][]string{}
	for _, a := range sink.waitFor(t, refused+events)[refused:] {
		object, number, _ := strings.Cut(message(t, a.body), "/")
		arrived[object] = append(arrived[object], number)
	}
	for object, numbers := range arrived {
		assert.Len(t, numbers, events/2)
		assert.IsIncreasing(t, numbers, "object %s", object)
	}
	require.Eventually(t, func() bool { return e.counts(t)["sent"] == events }, patience, patience/1000)
	require.ErrorIs(t, e.ConsumeLogs(context.Background(), event("object0", "refused")), errFull)
	assert.Equal(t, before, full.copy(), "another crash would find everything")

	full.full.Store(false)
	require.NoError(t, e.ConsumeLogs(context.Background(), event("object0", "accepted")))
	sink.waitFor(t, refused+events+1)
	e.stop(t)
	assert.Len(t, sink.seen(), refused+events+1)
	assert.Len(t, full.copy(), 1, "the queue's own key alone")
}

func TestWhatIsOverdueIsReadAsWritten(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	d := &disk{memory: &memory{values: map[string][]byte{"moved": []byte("old"), "gone": []byte("old"), "other": []byte("other")}}}
	d.full.Store(true)
	c := &patientClient{Client: d, logger: zap.NewNop()}
	require.NoError(t, c.Batch(ctx, storage.DeleteOperation("gone"), storage.DeleteOperation("moved"), storage.SetOperation("moved", []byte("new"))))
	for key, want := range map[string][]byte{"moved": []byte("new"), "gone": nil, "other": []byte("other")} {
		one, err := c.Get(ctx, key)
		require.NoError(t, err)
		assert.Equal(t, want, one, key)
		op := storage.GetOperation(key)
		require.NoError(t, c.Batch(ctx, op))
		assert.Equal(t, want, op.Value, key)
	}
	d.full.Store(false)
	require.NoError(t, c.Batch(ctx))
	assert.Equal(t, map[string][]byte{"moved": []byte("new"), "other": []byte("other")}, d.copy())
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
	config.QueueConfig.Get().StorageID = &id
	for want, host := range map[string]hostWithStorage{
		"sending_queue::storage: input/output error":                {map[component.ID]component.Component{id: deaf{&memory{}}}},
		"sending_queue::storage: no storage client extension found": {},
	} {
		set, _, _ := settings(t)
		e, err := newExporter(context.Background(), set, config)
		require.NoError(t, err)
		require.EqualError(t, e.Start(context.Background(), host), want)
		_ = e.Shutdown(context.Background())
	}
}
