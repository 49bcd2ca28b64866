package outbox

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func open(t *testing.T, options Options) *Outbox {
	t.Helper()
	if options.Logger == nil {
		options.Logger = zap.NewNop()
	}
	box, err := Open(context.Background(), options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, box.Close(context.Background())) })
	return box
}

func accept(t *testing.T, box *Outbox, drafts ...Draft) {
	t.Helper()
	require.NoError(t, box.Accept(context.Background(), []Record{{Drafts: drafts}})[0])
}

func draft(q *Queue, lane uint64, content string) Draft {
	return Draft{Queue: q, Lane: lane, Content: []byte(content)}
}

// next returns the content of what is due; empty if nothing is.
func next(q *Queue) (*Item, string) {
	item, _ := q.Next(true)
	if item == nil {
		return nil, ""
	}
	return item, string(item.Content)
}

func TestARecordIsKnownForTenMinutes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		box := open(t, Options{})
		q := box.Queue("q", QueueOptions{})
		offer := func() int {
			require.NoError(t, box.Accept(context.Background(), []Record{{Digest: Digest{1}, Drafts: []Draft{draft(q, 1, "a")}}})[0])
			return q.Waiting()
		}
		assert.Equal(t, 1, offer())
		time.Sleep(recentTime - time.Second)
		assert.Equal(t, 1, offer())
		assert.True(t, box.Known(Digest{1}))
		time.Sleep(time.Second)
		assert.False(t, box.Known(Digest{1}))
		assert.Equal(t, 2, offer())
		assert.False(t, box.Known(Digest{}))
		box.Remember(Digest{2})
		assert.True(t, box.Known(Digest{2}))
	})
}

func TestTheOldestOfTooManyRecordsIsForgotten(t *testing.T) {
	t.Parallel()
	r := newRecent()
	digest := func(n int) Digest { return Digest{byte(n), byte(n >> 8), byte(n >> 16), 1} }
	for n := range maxRecent + 10 {
		r.add(digest(n))
	}
	assert.False(t, r.has(digest(9)))
	assert.True(t, r.has(digest(10)))
	assert.True(t, r.has(digest(maxRecent+9)))
	assert.Len(t, r.known, maxRecent)
	assert.Len(t, r.ring, maxRecent)
}

// A sender repeats a record while its first transaction is still under way: it waits
// for that, and stores nothing.
func TestARepetitionWaitsForTheFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		box := open(t, Options{Client: d})
		q := box.Queue("q", QueueOptions{})
		d.hold = make(chan struct{})
		results := make(chan error, 2)
		for range 2 {
			go func() {
				results <- box.Accept(context.Background(), []Record{{Digest: Digest{1}, Drafts: []Draft{draft(q, 1, "a")}}})[0]
			}()
		}
		time.Sleep(time.Second)
		assert.Empty(t, results)
		close(d.hold)
		require.NoError(t, <-results)
		require.NoError(t, <-results)
		assert.Equal(t, 1, q.Waiting())
	})
}

func TestConcurrentSendersShareATransaction(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &counting{disk: newDisk()}
		box := open(t, Options{Client: c})
		q := box.Queue("q", QueueOptions{})
		c.hold = make(chan struct{})
		results := make(chan error, 33)
		send := func(lane uint64) {
			results <- box.Accept(context.Background(), []Record{{Drafts: []Draft{draft(q, lane, "a")}}})[0]
		}
		go send(0)
		synctest.Wait()
		for lane := range uint64(32) {
			go send(lane + 1)
		}
		synctest.Wait()
		close(c.hold)
		for range 33 {
			require.NoError(t, <-results)
		}
		assert.Equal(t, 2, c.transactions-1, "the first sender's, and one for all others")
	})
}

// counting counts transactions.
type counting struct {
	*disk
	transactions int
}

func (c *counting) Batch(ctx context.Context, ops ...*storage.Operation) error {
	c.transactions++
	return c.disk.Batch(ctx, ops...)
}

func (c *counting) Get(ctx context.Context, key string) ([]byte, error) {
	op := storage.GetOperation(key)
	err := c.Batch(ctx, op)
	return op.Value, err
}

func TestFirstAttemptsAndRetriesTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		box := open(t, Options{})
		q := box.Queue("q", QueueOptions{})
		for lane := range uint64(3) {
			accept(t, box, draft(q, lane, fmt.Sprint("retry ", lane)))
		}
		for range 3 {
			item, _ := next(q)
			item.Again(time.Second, "refused", 0)
		}
		for lane := range uint64(3) {
			accept(t, box, draft(q, lane+10, fmt.Sprint("first ", lane)))
		}
		item, wait := q.Next(false)
		require.NotNil(t, item)
		assert.Zero(t, wait)
		item.Release()
		time.Sleep(time.Second)
		var order []string
		for range 6 {
			_, content := next(q)
			order = append(order, content)
		}
		assert.Equal(t, []string{"retry 0", "first 0", "retry 1", "first 1", "retry 2", "first 2"}, order)
	})
}

func TestNextSaysHowLongToWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		box := open(t, Options{})
		q := box.Queue("q", QueueOptions{})
		accept(t, box, draft(q, 1, "a"))
		item, _ := next(q)
		item.Again(3*time.Second, "refused", 2)
		time.Sleep(time.Second)
		item, wait := q.Next(true)
		assert.Nil(t, item)
		assert.Equal(t, 2*time.Second, wait)
		_, wait = q.Next(false)
		assert.Zero(t, wait)
		q.Hurry()
		item, _ = next(q)
		assert.Equal(t, 2, item.Progress)
		assert.Equal(t, 1, item.Attempts)
	})
}

func TestAQueueHasALimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		box := open(t, Options{MaxFailed: 10})
		refusing := box.Queue("refusing", QueueOptions{Limit: 2})
		other := box.Queue("other", QueueOptions{Limit: 2})
		accept(t, box, draft(refusing, 1, "a"), draft(other, 1, "a"))
		errs := box.Accept(context.Background(), []Record{
			{Drafts: []Draft{draft(other, 1, "b"), draft(refusing, 2, "b"), draft(refusing, 3, "b")}},
			{Drafts: []Draft{draft(refusing, 1, "c")}},
		})
		require.ErrorIs(t, errs[0], ErrFull)
		require.EqualError(t, errs[0], "queue full: 1 notifications wait, queue_size is 2")
		require.NoError(t, errs[1])
		assert.Equal(t, 1, other.Waiting(), "a record's notifications are accepted together or not at all")

		failing := box.Queue("failing", QueueOptions{Limit: 1, Overflow: FailNew})
		accept(t, box, draft(failing, 1, "a"), draft(failing, 1, "b"))
		assert.Equal(t, 1, failing.Waiting())
		assert.Equal(t, 1, box.FailedCount("failing"))
		assert.Equal(t, "queue full", box.Failed()[0].Reason)

		blocking := box.Queue("blocking", QueueOptions{Limit: 1, Overflow: Block})
		accept(t, box, draft(blocking, 1, "a"))
		require.ErrorIs(t, box.Accept(context.Background(), []Record{{Drafts: []Draft{draft(blocking, 1, "x"), draft(blocking, 1, "y")}}})[0], ErrFull, "it would never fit")
		accepted := make(chan error, 1)
		go func() {
			accepted <- box.Accept(context.Background(), []Record{{Drafts: []Draft{draft(blocking, 1, "b")}}})[0]
		}()
		time.Sleep(time.Minute)
		assert.Empty(t, accepted)
		item, _ := next(blocking)
		item.Done()
		require.NoError(t, <-accepted)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		require.ErrorIs(t, box.Accept(ctx, []Record{{Drafts: []Draft{draft(blocking, 1, "c")}}})[0], context.DeadlineExceeded)
	})
}

// A batch that fills a blocking queue must not wait for itself.
func TestABatchLargerThanABlockingQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		box := open(t, Options{Client: newDisk()})
		q := box.Queue("q", QueueOptions{Limit: 2, Overflow: Block})
		records := make([]Record, 7)
		for i := range records {
			records[i].Drafts = []Draft{draft(q, 1, fmt.Sprint(i))}
		}
		accepted := make(chan []error, 1)
		go func() { accepted <- box.Accept(context.Background(), records) }()
		for i := range records {
			synctest.Wait()
			item, content := next(q)
			assert.Equal(t, fmt.Sprint(i), content)
			item.Done()
		}
		assert.Equal(t, make([]error, 7), <-accepted)
	})
}

func TestCallersGetTheOutcome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		box := open(t, Options{MaxFailed: 10})
		q := box.Queue("q", QueueOptions{})
		ctx, leave := context.WithCancel(context.Background())
		var outcomes []error
		for lane := range uint64(3) {
			d := draft(q, lane, "a")
			d.Caller = &Caller{Context: ctx, Done: func(err error) { outcomes = append(outcomes, err) }}
			accept(t, box, d)
		}
		refused := errors.New("refused")
		item, _ := next(q)
		item.Done()
		item, _ = next(q)
		item.Fail(refused)
		assert.Equal(t, []error{nil, refused}, outcomes)
		assert.Zero(t, box.FailedCount("q"), "the caller still has it")

		item, _ = next(q)
		item.Again(time.Hour, "later", 0)
		item, _ = next(q)
		assert.Nil(t, item)
		leave()
		q.CallersLeft()
		item, _ = next(q)
		require.NotNil(t, item, "it is due, so that it ends")
		item.Fail(ctx.Err())
		assert.Zero(t, q.Waiting())
	})
}

func TestFailedNotificationsAreKeptAndTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		box := open(t, Options{Client: d, MaxFailed: 3, MaxFailedAge: time.Hour})
		q := box.Queue("q", QueueOptions{})
		for i := range 4 {
			accept(t, box, draft(q, 1, fmt.Sprint(i)))
			item, _ := next(q)
			item.Fail(errors.New("wrong channel"))
			time.Sleep(time.Minute)
		}
		failed := box.Failed()
		require.Len(t, failed, 3)
		assert.Equal(t, []string{"3", "2", "1"}, []string{string(failed[0].Content), string(failed[1].Content), string(failed[2].Content)})
		assert.Equal(t, 3, box.FailedCount("q"))
		assert.Zero(t, box.FailedCount("other"))

		accept(t, box, draft(q, 1, "4"))
		require.NoError(t, box.Retry(failed[1].ID))
		require.ErrorIs(t, box.Retry(failed[1].ID), ErrUnknown)
		require.NoError(t, box.Discard(failed[2].ID))
		require.ErrorIs(t, box.Discard(failed[2].ID), ErrUnknown)

		// Also after the process was killed.
		synctest.Wait()
		again := open(t, Options{Client: d.crash(), MaxFailed: 3, MaxFailedAge: time.Hour})
		q = again.Queue("q", QueueOptions{})
		item, content := next(q)
		assert.Equal(t, "4", content, "a second try is behind what waits")
		item.Done()
		item, content = next(q)
		assert.Equal(t, "2", content)
		assert.Equal(t, failed[1].ID, item.ID())
		item.Done()
		assert.Zero(t, q.Waiting())
		require.Len(t, again.Failed(), 1)
		assert.Equal(t, "wrong channel", again.Failed()[0].Reason)
		assert.Equal(t, failed[0].ID, again.Failed()[0].ID)
		time.Sleep(time.Hour)
		assert.Empty(t, again.Failed(), "they are kept for an hour")
	})
}

func TestAStorageOfANewerReleaseIsRefused(t *testing.T) {
	t.Parallel()
	newer := appendVarint(nil, headVersion, version+1)
	for name, test := range map[string]struct{ head, message string }{
		"newer":      {string(newer), "the stored notifications have format version 2, this release reads version 1: use the release that wrote them, or a newer one"},
		"unreadable": {"\xff", "the stored notifications have no readable version"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDisk()
			d.values[headKey] = []byte(test.head)
			_, err := Open(context.Background(), Options{Client: d, Logger: zap.NewNop()})
			require.EqualError(t, err, test.message)
		})
	}
	d := newDisk()
	d.unreadable = true
	_, err := Open(context.Background(), Options{Client: d, Logger: zap.NewNop()})
	require.ErrorIs(t, err, errDisk)
}

// What version 1 has written is read as it was, byte for byte.
func TestTheStoredFormatOfVersion1(t *testing.T) {
	t.Parallel()
	d := newDisk()
	d.values["outbox"] = []byte("\x08\x01\x10\x07\x18\x80\x08")
	d.values["n00000002"] = []byte("\x08\x81\x80\x80\x80\x80\xe0\x01\x10\x01\x1a\x01q \x05(\x80\x94\xeb\xdc\x030\x038\x01B\x07refusedR\x10\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00Z\x05hello\xc0\x3e\x01")
	core, logs := observer.New(zap.ErrorLevel)
	d.values["n00000005"] = []byte("\xff")
	box := open(t, Options{Client: d, Logger: zap.New(core)})
	q := box.Queue("q", QueueOptions{})
	item, content := next(q)
	require.NotNil(t, item)
	assert.Equal(t, "hello", content)
	assert.Equal(t, 3, item.Attempts)
	assert.Equal(t, 1, item.Progress)
	assert.Equal(t, time.Unix(1, 0), item.Accepted)
	assert.Equal(t, "70000000001", item.ID())
	assert.True(t, box.Known(Digest{1}))
	assert.Equal(t, 1, logs.FilterMessageSnippet("cannot be read, it is left in the storage").Len())
	record := item.entry.record(item.Content, stateWaiting)
	assert.Equal(t, string(d.values["n00000002"][:len(d.values["n00000002"])-3]), string(record.marshal()), "but for a field of another version")
	accept(t, box, draft(q, 1, "new"))
	require.NoError(t, box.flush())
	assert.Contains(t, d.values, "n00000004", "a free slot is used before a new one")
	assert.Equal(t, "\xff", string(d.values["n00000005"]), "what cannot be read is not overwritten")
	assert.Equal(t, "\x08\x01\x10\x08\x18\x80\x08", string(d.values["outbox"]), "the next epoch")
}

func TestAnOutboxThatIsClosedAcceptsNothing(t *testing.T) {
	t.Parallel()
	box, err := Open(context.Background(), Options{Client: newDisk(), Logger: zap.NewNop()})
	require.NoError(t, err)
	q := box.Queue("q", QueueOptions{})
	require.NoError(t, box.Close(context.Background()))
	require.NoError(t, box.Close(context.Background()))
	require.ErrorIs(t, box.Accept(context.Background(), []Record{{Drafts: []Draft{draft(q, 1, "a")}}})[0], ErrClosed)
}

// Without a storage, the content of failed notifications is bounded.
func TestFailedNotificationsInMemoryAreBounded(t *testing.T) {
	t.Parallel()
	box := open(t, Options{MaxFailed: 1000})
	q := box.Queue("q", QueueOptions{})
	large := make([]byte, maxFailedBytes/4)
	for range 6 {
		accept(t, box, Draft{Queue: q, Lane: 1, Content: large})
		item, _ := q.Next(true)
		item.Fail(errors.New("refused"))
	}
	assert.Equal(t, 4, box.FailedCount("q"))
}

// Of two batches, the one that was admitted first may be stored last. The stored head
// includes the slots of both.
func TestTheStoredHeadNeverGoesBack(t *testing.T) {
	t.Parallel()
	d := newDisk()
	box := open(t, Options{Client: d})
	q := box.Queue("q", QueueOptions{})
	batchOf := func(n int) *batch {
		b := &batch{}
		for lane := range uint64(n) {
			_, err := box.admit(b, 0, &Record{Drafts: []Draft{draft(q, lane, "a")}})
			require.NoError(t, err)
		}
		return b
	}
	first, second := batchOf(10), batchOf(slotsStep+76)
	box.submit(second)
	box.submit(first)
	require.NoError(t, box.flush())
	again := open(t, Options{Client: d.crash()})
	assert.Equal(t, 10+slotsStep+76, again.Queue("q", QueueOptions{}).Waiting())
}

// A notification that was delivered is not delivered again, however soon the process is
// killed after Done.
func TestDoneIsDurable(t *testing.T) {
	t.Parallel()
	d := newDisk()
	box := open(t, Options{Client: d})
	q := box.Queue("q", QueueOptions{})
	accept(t, box, draft(q, 1, "a"))
	item, _ := next(q)
	item.Done()
	again := open(t, Options{Client: d.crash()})
	assert.Zero(t, again.Queue("q", QueueOptions{}).Waiting())
}

// What waits in memory for hours takes its own size.
func TestContentInMemoryIsClipped(t *testing.T) {
	t.Parallel()
	box := open(t, Options{})
	q := box.Queue("q", QueueOptions{})
	accept(t, box, Draft{Queue: q, Content: append(make([]byte, 0, 4096), "short"...)})
	item, content := next(q)
	assert.Equal(t, "short", content)
	assert.Less(t, cap(item.Content), 64)
}
