package outbox

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/zap"
)

// mapStorage is a storage in a map. Its transactions cost no more than their
// operations.
type mapStorage struct {
	mu      sync.Mutex
	values  map[string][]byte
	discard bool // nothing is kept
}

func (m *mapStorage) Batch(_ context.Context, ops ...*storage.Operation) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, op := range ops {
		switch op.Type {
		case storage.Get:
			op.Value = slices.Clone(m.values[op.Key])
		case storage.Set:
			if !m.discard {
				m.values[op.Key] = slices.Clone(op.Value)
			}
		case storage.Delete:
			delete(m.values, op.Key)
		}
	}
	return nil
}

func (m *mapStorage) Get(ctx context.Context, key string) ([]byte, error) {
	op := storage.GetOperation(key)
	err := m.Batch(ctx, op)
	return op.Value, err
}

func (m *mapStorage) Set(ctx context.Context, key string, value []byte) error {
	return m.Batch(ctx, storage.SetOperation(key, value))
}

func (m *mapStorage) Delete(ctx context.Context, key string) error {
	return m.Batch(ctx, storage.DeleteOperation(key))
}

func (*mapStorage) Close(context.Context) error { return nil }

func openBench(b *testing.B, client storage.Client) (*Outbox, *Queue) {
	b.Helper()
	box, err := Open(context.Background(), Options{Client: client, Logger: zap.NewNop()})
	require.NoError(b, err)
	return box, box.Queue("inline", QueueOptions{})
}

// contentSize is that of a stored notification of an ordinary Flux event.
const contentSize = 600

// One operation is a notification that is accepted, taken and removed.
func BenchmarkAcceptNextDone(b *testing.B) {
	for _, kind := range []string{"memory", "storage"} {
		for _, senders := range []int{1, 32} {
			b.Run(fmt.Sprintf("%s/%d_senders", kind, senders), func(b *testing.B) {
				var client storage.Client
				if kind == "storage" {
					client = &mapStorage{values: map[string][]byte{}}
				}
				box, q := openBench(b, client)
				content := make([]byte, contentSize)
				var next atomic.Int64
				b.ReportAllocs()
				var work sync.WaitGroup
				for range senders {
					work.Go(func() {
						for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
							records := []Record{{Digest: digestOf(n), Drafts: []Draft{{Queue: q, Lane: uint64(n), Content: content}}}}
							if err := box.Accept(context.Background(), records)[0]; err != nil {
								b.Error(err)
								return
							}
							item, _ := q.Next(true)
							item.Done()
						}
					})
				}
				work.Wait()
				require.Zero(b, q.Waiting())
				require.NoError(b, box.Close(context.Background()))
			})
		}
	}
}

func digestOf(n int64) Digest {
	return Digest{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24), 1}
}

const (
	// waitingEntries is how many notifications wait while memory is measured.
	waitingEntries = 100_000
	// maxEntryBytes is the most that one of them may need next to a storage.
	maxEntryBytes = 300
)

// bytes/entry is the memory of a notification that waits, while its content is in the
// storage. The UIDs of the last records are remembered whether their notifications wait
// or not, so they are measured and not limited.
func BenchmarkWaitingEntry(b *testing.B) {
	refused := errors.New(`Post "https://hooks.example.com": dial tcp 192.0.2.1:443: connect: connection refused`)
	for name, test := range map[string]struct {
		lanes   int64
		digests bool
		failing bool
	}{
		"500_objects":                   {lanes: 500},
		"an_object_each":                {lanes: waitingEntries},
		"an_object_each,_retried":       {lanes: waitingEntries, failing: true},
		"an_object_each,_with_its_UIDs": {lanes: waitingEntries, digests: true},
	} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				box, q := openBench(b, &mapStorage{discard: true})
				before := heapInUse()
				for n := range int64(waitingEntries) {
					r := Record{Drafts: []Draft{{Queue: q, Lane: uint64(n % test.lanes), Content: make([]byte, contentSize)}}}
					if test.digests {
						r.Digest = digestOf(n)
					}
					require.NoError(b, box.Accept(context.Background(), []Record{r})[0])
				}
				for test.failing {
					item, _ := q.Next(false)
					if item == nil {
						break
					}
					item.Again(time.Hour, refused.Error(), 0)
				}
				perEntry := float64(heapInUse()-before) / waitingEntries
				b.ReportMetric(perEntry, "bytes/entry")
				if !test.digests {
					require.LessOrEqual(b, perEntry, float64(maxEntryBytes))
				}
				require.Equal(b, waitingEntries, q.Waiting())
				require.NoError(b, box.Close(context.Background()))
			}
		})
	}
}

// heapInUse is the memory in use, after a garbage collection.
func heapInUse() uint64 {
	runtime.GC()
	runtime.GC() // what the first one has finalised
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
