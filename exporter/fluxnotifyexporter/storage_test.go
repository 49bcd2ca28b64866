package fluxnotifyexporter

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"
)

// memory is a storage extension that outlives the exporters of a test.
type memory struct {
	component.StartFunc
	component.ShutdownFunc
	mu     sync.Mutex
	values map[string][]byte
}

var (
	_ storage.Extension = (*memory)(nil)
	_ storage.Client    = (*memory)(nil)
)

func (m *memory) GetClient(context.Context, component.Kind, component.ID, string) (storage.Client, error) {
	return m, nil
}

func (m *memory) Get(ctx context.Context, key string) ([]byte, error) {
	op := storage.GetOperation(key)
	return op.Value, m.Batch(ctx, op)
}

func (m *memory) Set(ctx context.Context, key string, value []byte) error {
	return m.Batch(ctx, storage.SetOperation(key, value))
}

func (m *memory) Delete(ctx context.Context, key string) error {
	return m.Batch(ctx, storage.DeleteOperation(key))
}

func (m *memory) Batch(_ context.Context, ops ...*storage.Operation) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, op := range ops {
		switch op.Type {
		case storage.Get:
			op.Value = m.values[op.Key]
		case storage.Set:
			m.values[op.Key] = op.Value
		case storage.Delete:
			delete(m.values, op.Key)
		}
	}
	return nil
}

func (*memory) Close(context.Context) error { return nil }

type hostWithStorage struct {
	extensions map[component.ID]component.Component
}

func (h hostWithStorage) GetExtensions() map[component.ID]component.Component { return h.extensions }

func TestWhatTheStopInterruptsIsDeliveredByTheNextStart(t *testing.T) {
	t.Parallel()
	for _, retry := range []bool{true, false} {
		t.Run(fmt.Sprint("retry ", retry), func(t *testing.T) {
			t.Parallel()
			var well atomic.Bool
			sink := newEndpoint(t, func(string, int) (int, http.Header) {
				if well.Load() {
					return http.StatusOK, nil
				}
				return http.StatusServiceUnavailable, http.Header{"Retry-After": {"60"}}
			})
			id := component.MustNewID("memory")
			host := hostWithStorage{map[component.ID]component.Component{id: &memory{values: map[string][]byte{}}}}
			config := webhook(sink.URL)
			config.QueueConfig.StorageID = &id
			config.RetryConfig.Enabled = retry

			before := startWith(t, config, host)
			// With a closed gate, the first attempt is not over when the stop comes.
			const events = 25
			for i := range events {
				require.NoError(t, before.ConsumeLogs(context.Background(), event(fmt.Sprint("object", i%5), fmt.Sprintf("%d/%02d", i%5, i))))
			}
			sink.waitFor(t, 1)
			before.stop(t)
			refused := before.counts(t)["failed 503"]
			if retry {
				assert.Zero(t, refused, "an interrupted notification has not failed")
			}
			well.Store(true)

			after := startWith(t, config, host)
			require.Eventually(t, func() bool { return after.counts(t)["sent"] == events-refused }, patience, patience/1000,
				"sent after the restart: %v", after.counts(t))
			after.stop(t)
			assert.Empty(t, after.counts(t)["failed"])
			arrived := map[string][]string{}
			for _, a := range sink.seen() {
				if a.status == http.StatusOK {
					object, number, _ := strings.Cut(message(t, a.body), "/")
					arrived[object] = append(arrived[object], number)
				}
			}
			assert.Len(t, arrived, 5)
			for object, numbers := range arrived {
				assert.IsIncreasing(t, numbers, "object %s", object)
			}
			assert.Empty(t, before.logs.FilterMessageSnippet("Dropping data").All())
		})
	}
}

func TestAnInMemoryQueueIsDrainedAtTheStop(t *testing.T) {
	t.Parallel()
	sink := newEndpoint(t, nil)
	e := start(t, webhook(sink.URL))
	const events = 200
	for i := range events {
		require.NoError(t, e.ConsumeLogs(context.Background(), event(fmt.Sprint("object", i), "failed")))
	}
	e.stop(t)
	assert.Len(t, sink.seen(), events)
}

func TestWhatAStopLosesIsCountedAndSaysHowToKeepIt(t *testing.T) {
	t.Parallel()
	sink := newEndpoint(t, func(string, int) (int, http.Header) { return http.StatusInternalServerError, nil })
	config := webhook(sink.URL)
	config.RetryConfig.InitialInterval = patience
	e := start(t, config)
	require.NoError(t, e.ConsumeLogs(context.Background(), event("webapp", "failed")))
	sink.waitFor(t, 1)
	e.stop(t)
	assert.Equal(t, map[string]int64{"failed 500": 1}, e.counts(t))
	assert.Contains(t, e.logs.FilterMessageSnippet("notification not sent: Kustomization/apps/webapp").All()[0].ContextMap()["error"], "set sending_queue::storage to keep it")
}
