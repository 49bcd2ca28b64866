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
	assert.LessOrEqual(t, most.Load(), int64(10), "at most num_consumers")
	assert.Zero(t, e.inner.targets[inlineTarget].queue.Waiting())
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
