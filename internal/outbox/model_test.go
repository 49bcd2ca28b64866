package outbox

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/zap"
	"pgregory.net/rapid"
)

// disk is a storage that can be full, unreadable, or gone in the middle of anything.
type disk struct {
	mu         sync.Mutex
	values     map[string][]byte
	full       bool // writes that make it grow fail
	unwritable bool
	partial    bool // a transaction that fails has written its first operations
	left       int  // transactions until everything fails; negative: any number
	unreadable bool
	hold       chan struct{} // transactions wait until it is closed
}

var (
	errDisk = errors.New("no space left on device")
	errGone = errors.New("the process has ended")
)

func newDisk() *disk { return &disk{values: map[string][]byte{}, left: -1} }

func (d *disk) Get(ctx context.Context, key string) ([]byte, error) {
	op := storage.GetOperation(key)
	err := d.Batch(ctx, op)
	return op.Value, err
}

func (d *disk) Set(ctx context.Context, key string, value []byte) error {
	return d.Batch(ctx, storage.SetOperation(key, value))
}

func (d *disk) Delete(ctx context.Context, key string) error {
	return d.Batch(ctx, storage.DeleteOperation(key))
}

func (*disk) Close(context.Context) error { return nil }

func (d *disk) Batch(_ context.Context, ops ...*storage.Operation) error {
	if d.hold != nil {
		<-d.hold
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.left == 0 {
		return errGone
	}
	if d.left > 0 {
		d.left--
	}
	next := maps.Clone(d.values)
	for i, op := range ops {
		switch op.Type {
		case storage.Get:
			if d.unreadable {
				return errDisk
			}
			op.Value = slices.Clone(next[op.Key])
			continue
		case storage.Set:
			next[op.Key] = slices.Clone(op.Value)
		case storage.Delete:
			delete(next, op.Key)
		}
		if d.unwritable || d.full && len(next) > len(d.values) {
			if d.partial && i > 0 {
				d.values = next
			}
			return errDisk
		}
	}
	d.values = next
	return nil
}

func (d *disk) become(full, unwritable, partial bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full, d.unwritable, d.partial = full, unwritable, partial
}

// crash returns what a process finds that starts after this one was killed.
func (d *disk) crash() *disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left = 0
	return &disk{values: maps.Clone(d.values), left: -1}
}

const (
	maxWaiting = 8
	maxFailed  = 2
)

// known is what the model knows of a notification.
type known struct {
	content  string
	queue    string
	lane     uint64
	done     bool
	failed   bool
	progress int
}

// model is a list of what was accepted, in order.
type model struct {
	t      *rapid.T
	disk   *disk
	box    *Outbox
	queues map[string]*Queue
	list   []*known
	taken  map[*Item]*known
	next   int
	last   *Record // that was accepted since the start
}

func (m *model) open() {
	box, err := Open(context.Background(), Options{Client: m.disk, MaxFailed: maxFailed, Logger: zap.NewNop(), cache: 8})
	require.NoError(m.t, err)
	m.box, m.queues, m.taken, m.last = box, map[string]*Queue{}, map[*Item]*known{}, nil
	for _, name := range []string{"a", "b"} {
		m.queues[name] = box.Queue(name, QueueOptions{Limit: maxWaiting})
	}
}

func (m *model) waiting(queue string) []*known {
	return slices.DeleteFunc(slices.Clone(m.list), func(k *known) bool { return k.queue != queue || k.done || k.failed })
}

// accept offers a record with one to three notifications.
func (m *model) accept() {
	var drafts []Draft
	var offered []*known
	room := map[string]int{}
	for range rapid.IntRange(1, 3).Draw(m.t, "notifications") {
		queue := rapid.SampledFrom([]string{"a", "b"}).Draw(m.t, "queue")
		k := &known{content: fmt.Sprint(m.next), queue: queue, lane: rapid.Uint64Range(1, 3).Draw(m.t, "lane")}
		m.next++
		room[queue]++
		offered = append(offered, k)
		drafts = append(drafts, Draft{Queue: m.queues[queue], Lane: k.lane, Content: []byte(k.content)})
	}
	record := Record{Digest: Digest{byte(m.next), byte(m.next >> 8), 1}, Drafts: drafts}
	err := m.box.Accept(context.Background(), []Record{record})[0]
	fits := true
	for queue, n := range room {
		fits = fits && len(m.waiting(queue))+n <= maxWaiting
	}
	switch {
	case !fits:
		require.ErrorIs(m.t, err, ErrFull)
	case err == nil:
		m.list = append(m.list, offered...)
		m.last = &record
	default:
		require.ErrorIs(m.t, err, errDisk)
		require.True(m.t, m.disk.full || m.disk.unwritable, "refused without a cause: %v", err)
	}
}

// repeat offers a record again that was accepted: it is accepted, and nothing is added.
func (m *model) repeat() {
	if m.last != nil {
		require.NoError(m.t, m.box.Accept(context.Background(), []Record{*m.last})[0])
		m.compare()
	}
}

// take takes what is due, and compares it with the first of its lane.
func (m *model) take() {
	queue := rapid.SampledFrom([]string{"a", "b"}).Draw(m.t, "queue")
	item, _ := m.queues[queue].Next(true)
	if item == nil {
		for _, k := range m.waiting(queue) {
			first := m.first(queue, k.lane)
			require.True(m.t, m.isTaken(first) || first.progress >= 0 && m.delayed(first), "%s is not due", k.content)
		}
		return
	}
	if m.disk.unreadable && item.Content == nil {
		require.Error(m.t, item.Load())
		item.Release()
		return
	}
	require.NoError(m.t, item.Load())
	i := slices.IndexFunc(m.list, func(k *known) bool { return k.content == string(item.Content) && k.queue == queue })
	require.GreaterOrEqual(m.t, i, 0, "%s was never accepted", item.Content)
	k := m.list[i]
	require.False(m.t, k.done || k.failed, "%s is due again", k.content)
	require.Same(m.t, m.first(queue, k.lane), k, "%s overtakes", k.content)
	require.Equal(m.t, k.progress, item.Progress)
	m.taken[item] = k
}

func (m *model) first(queue string, lane uint64) *known {
	for _, k := range m.waiting(queue) {
		if k.lane == lane {
			return k
		}
	}
	return nil
}

func (m *model) isTaken(k *known) bool { return m.item(k) != nil }

// item is that of a notification that was taken; nil if it was not.
func (m *model) item(k *known) *Item {
	for item, taken := range m.taken {
		if taken == k {
			return item
		}
	}
	return nil
}

// delayed reports whether a retry of it may be in the future.
func (m *model) delayed(k *known) bool {
	for _, e := range m.queues[k.queue].retries {
		if e.due > m.box.now() {
			return true
		}
	}
	return false
}

// settle ends what was taken.
func (m *model) settle() {
	for _, k := range m.list { // in an order that can be repeated
		item := m.item(k)
		if item == nil {
			continue
		}
		delete(m.taken, item)
		switch rapid.IntRange(0, 3).Draw(m.t, "outcome") {
		case 0:
			item.Done()
			k.done = true
		case 1:
			k.progress++
			item.Again(time.Duration(rapid.IntRange(0, 3).Draw(m.t, "seconds"))*time.Second, "later", k.progress)
		case 2:
			item.Fail(errors.New("refused"))
			k.failed = true
		case 3:
			item.Release()
		}
		return
	}
}

// crash kills the process, and starts another on what the storage holds.
func (m *model) crash() {
	box := m.box
	if box.overdue() > 0 { // else what is not written yet would have to be known
		return
	}
	m.disk = m.disk.crash()
	require.NoError(m.t, box.Close(context.Background()))
	m.open()
	m.compare()
}

// compare compares the waiting and the failed with the model.
func (m *model) compare() {
	synctest.Wait()
	for name, q := range m.queues {
		require.Equal(m.t, len(m.waiting(name)), q.Waiting(), "waiting in %s", name)
	}
	// The storage and the memory do not grow with what has passed through.
	require.LessOrEqual(m.t, int(m.box.slots), 2*maxWaiting+maxFailed+3)
	cached := 0
	for _, q := range m.queues {
		for _, l := range q.lanes {
			for e := l.first; e != nil; e = e.next {
				cached += len(e.content)
			}
		}
	}
	require.Equal(m.t, cached, m.box.cached)
	require.LessOrEqual(m.t, cached, 8)
	var failed []string
	for _, k := range m.list {
		if k.failed {
			failed = append(failed, k.content)
		}
	}
	kept := m.box.Failed()
	require.Len(m.t, kept, min(len(failed), maxFailed))
	for _, f := range kept {
		require.Contains(m.t, failed, string(f.Content))
		require.Equal(m.t, "refused", f.Reason)
	}
}

// Whatever happens, and however often the process is killed, everything that was
// accepted is due in the order of its lane until it is done, and nothing else is.
func TestOutboxAgainstAModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// A test in a bubble has no deadline to ask for.
		rapid.Check(struct{ testing.TB }{t}, func(t *rapid.T) {
			m := &model{t: t, disk: newDisk()}
			m.open()
			defer func() { _ = m.box.Close(context.Background()) }()
			t.Repeat(map[string]func(*rapid.T){
				"accept": func(*rapid.T) { m.accept() },
				"repeat": func(*rapid.T) { m.repeat() },
				"take":   func(*rapid.T) { m.take() },
				"settle": func(*rapid.T) { m.settle() },
				"wait":   func(*rapid.T) { time.Sleep(time.Second) },
				"crash":  func(*rapid.T) { m.crash() },
				"disk": func(t *rapid.T) {
					m.disk.become(rapid.Bool().Draw(t, "full"), rapid.Bool().Draw(t, "unwritable"), rapid.Bool().Draw(t, "partial"))
				},
				"": func(*rapid.T) {},
			})
			m.disk.become(false, false, false)
			time.Sleep(2 * overdueInterval)
			m.crash()
			require.NoError(t, m.box.Close(context.Background()))
		})
	})
}

// The process may be killed between any two transactions. Afterwards a record's
// notifications are all there, or none is if it was not accepted; what was settled in a
// transaction before stays settled; and lanes keep their order.
func TestKilledBetweenAnyTwoTransactions(t *testing.T) {
	t.Parallel()
	for transactions := 1; ; transactions++ {
		d := newDisk()
		box, err := Open(context.Background(), Options{Client: d, MaxFailed: 10, Logger: zap.NewNop()})
		require.NoError(t, err)
		q := box.Queue("q", QueueOptions{})
		d.mu.Lock()
		d.left = transactions
		d.mu.Unlock()

		accepted, settled := 0, map[string]bool{}
		for i := range 6 { // each record is wanted by three alerts
			err := box.Accept(context.Background(), []Record{{Drafts: []Draft{
				{Queue: q, Lane: 1, Content: fmt.Appendf(nil, "%d/1", i)},
				{Queue: q, Lane: 2, Content: fmt.Appendf(nil, "%d/2", i)},
				{Queue: q, Lane: 3, Content: fmt.Appendf(nil, "%d/3", i)},
			}}})[0]
			if err != nil {
				break
			}
			accepted++
			if i%2 == 1 {
				item, _ := q.Next(true)
				item.Done()
				if box.flush() == nil {
					settled[string(item.Content)] = true
				}
			}
		}
		left := d.crash()
		require.NoError(t, box.Close(context.Background()))

		again, err := Open(context.Background(), Options{Client: left, MaxFailed: 10, Logger: zap.NewNop()})
		require.NoError(t, err)
		q = again.Queue("q", QueueOptions{})
		records, last := map[byte]int{}, map[byte]string{}
		for item, _ := q.Next(true); item != nil; item, _ = q.Next(true) {
			content := string(item.Content)
			assert.False(t, settled[content], "%s is due again", content)
			assert.Greater(t, content, last[content[2]], "lanes keep their order")
			records[content[0]]++
			last[content[2]] = content
			item.Done()
		}
		for content := range settled {
			records[content[0]]++
		}
		for i := range 6 {
			n := records[byte('0'+i)]
			if i < accepted {
				assert.GreaterOrEqual(t, n, 2, "record %d of %d after %d transactions", i, accepted, transactions)
			} else {
				assert.Zero(t, n, "record %d was not accepted", i)
			}
		}
		require.NoError(t, again.Close(context.Background()))
		if accepted == 6 {
			return
		}
	}
}
