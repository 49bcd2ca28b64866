package fluxnotifyexporter

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEventsOfOneObjectKeepTheirOrder(t *testing.T) {
	t.Parallel()
	const objects, each = 8, 40
	var inFlight, most atomic.Int64
	sink := newEndpoint(t, func(string, int) (int, http.Header) {
		n := inFlight.Add(1)
		defer inFlight.Add(-1)
		for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
		}
		time.Sleep(time.Duration(rand.IntN(2)) * time.Millisecond) // so that events can overtake each other
		if rand.IntN(5) == 0 {
			return http.StatusServiceUnavailable, nil
		}
		return http.StatusOK, nil
	})
	config := webhook(sink.URL)
	config.RetryConfig.InitialInterval = time.Millisecond
	config.RetryConfig.MaxInterval = 3 * time.Millisecond
	e := start(t, config)
	var posting sync.WaitGroup
	for o := range objects {
		posting.Go(func() {
			for i := range each {
				assert.NoError(t, e.ConsumeLogs(context.Background(), event(fmt.Sprint("object", o), fmt.Sprintf("%d/%03d", o, i))))
			}
		})
	}
	posting.Wait()
	require.Eventually(t, func() bool { return e.counts(t)["sent"] == objects*each }, 3*patience, 10*time.Millisecond)

	arrived := map[string][]string{}
	for _, a := range sink.seen() {
		if a.status == http.StatusOK {
			object, number, _ := strings.Cut(message(t, a.body), "/")
			arrived[object] = append(arrived[object], number)
		}
	}
	require.Len(t, arrived, objects)
	for object, numbers := range arrived {
		require.Len(t, numbers, each, "object %s", object)
		assert.IsNonDecreasing(t, numbers, "object %s", object)
	}
	assert.Greater(t, most.Load(), int64(1), "objects go in parallel")
	assert.LessOrEqual(t, most.Load(), int64(10), "as many as the queue has consumers")
	assert.Empty(t, e.order.lanes, "nothing is remembered of what is done")
}

func TestOrderOfABatchIsThatOfItsRecords(t *testing.T) {
	t.Parallel()
	sink := newEndpoint(t, nil)
	e := start(t, webhook(sink.URL))
	logs := event("webapp", "000")
	for i := 1; i < 50; i++ {
		event("webapp", fmt.Sprintf("%03d", i)).ResourceLogs().MoveAndAppendTo(logs.ResourceLogs())
	}
	require.NoError(t, e.ConsumeLogs(context.Background(), logs))
	var numbers []string
	for _, a := range sink.waitFor(t, 50) {
		numbers = append(numbers, message(t, a.body))
	}
	assert.IsIncreasing(t, numbers)
}

func key(object uint64, stamp int64) laneKey {
	return laneKey{object: object, stamp: pcommonTimestamp(stamp)}
}

func TestOrderWaitsForWhatWasAdmittedBefore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOrder()
		o.admit([]laneKey{key(1, 10), key(1, 11), key(2, 12)})
		second := o.enter(key(1, 11)) // came out of the queue before the first
		done := make(chan bool)
		go func() {
			kept, err := o.wait(t.Context(), second)
			assert.NoError(t, err)
			done <- kept
		}()
		synctest.Wait()
		first := o.enter(key(1, 10))
		kept, err := o.wait(t.Context(), first)
		require.NoError(t, err)
		assert.False(t, kept)
		select {
		case <-done:
			t.Fatal("the second did not wait for the first")
		default:
		}
		o.leave(first, true)
		assert.True(t, <-done, "what follows an event that went back to storage goes there too")
	})
}

func TestOrderDoesNotWaitForEverForWhatNeverComes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOrder()
		o.admit([]laneKey{key(1, 10), key(1, 11)})
		begun := time.Now()
		_, err := o.wait(t.Context(), o.enter(key(1, 11)))
		require.NoError(t, err)
		assert.Equal(t, strayAfter, time.Since(begun))
	})
}

func TestOrderPutsWhatARestartBroughtBeforeWhatIsNew(t *testing.T) {
	t.Parallel()
	o := newOrder()
	o.admit([]laneKey{key(1, 20)})
	old := o.enter(key(1, 10))
	_, err := o.wait(t.Context(), old)
	require.NoError(t, err)
	fresh := o.enter(key(1, 20))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = o.wait(ctx, fresh)
	require.ErrorIs(t, err, context.Canceled, "the new one waits for the old one")
}

func TestOrderSortsWhatARestartBrought(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOrder()
		begun := time.Now()
		later, earlier := o.enter(key(1, 11)), o.enter(key(1, 10))
		_, err := o.wait(t.Context(), earlier)
		require.NoError(t, err)
		assert.Equal(t, settleTime, time.Since(begun))
		o.leave(earlier, false)
		_, err = o.wait(t.Context(), later)
		require.NoError(t, err)
		o.leave(later, false)
		assert.Empty(t, o.lanes)
	})
}

func TestOrderForgetsWhatTheQueueRefused(t *testing.T) {
	t.Parallel()
	o := newOrder()
	refused := o.admit([]laneKey{key(1, 10)})
	o.admit([]laneKey{key(1, 11)})
	o.withdraw(refused)
	p := o.enter(key(1, 11))
	_, err := o.wait(t.Context(), p)
	require.NoError(t, err)
	o.leave(p, false)
	assert.Empty(t, o.lanes)
}

func TestOrderLeavesAPlaceThatAnOlderEventHasTaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOrder()
		first := o.enter(key(1, 0)) // from before a restart, without a time of its own
		_, err := o.wait(t.Context(), first)
		require.NoError(t, err)
		waiting := o.admit([]laneKey{key(1, 0)}) // its sender waits for the queue
		second := o.enter(key(1, 0))             // from before the restart too
		done := make(chan error)
		go func() {
			_, err := o.wait(t.Context(), second)
			done <- err
		}()
		synctest.Wait()
		o.withdraw(waiting)
		time.Sleep(2 * strayAfter)
		o.leave(first, false)
		require.NoError(t, <-done)
		o.leave(second, false)
		assert.Empty(t, o.lanes)
	})
}
