package outbox

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The clock was set back an hour while the process was down: what waits was accepted in
// the future. It is still delivered first, and at once.
func TestEntriesFromTheFuture(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		before := open(t, Options{Client: d})
		q := before.Queue("q", QueueOptions{})
		for _, content := range []string{"first", "second"} {
			accept(t, before, draft(q, 1, content))
		}
		item, _ := next(q)
		item.Again(time.Minute, "refused", 0)
		require.NoError(t, before.flush())

		crashed := d.crash()
		ahead := time.Now().Add(time.Hour)
		for key, value := range crashed.values {
			if key == headKey {
				continue
			}
			r, err := unmarshalRecord(value)
			require.NoError(t, err)
			r.accepted = ahead
			crashed.values[key] = r.marshal()
		}
		after := open(t, Options{Client: crashed, MaxFailed: 1, MaxFailedAge: time.Hour})
		q = after.Queue("q", QueueOptions{})
		accept(t, after, draft(q, 1, "third"), draft(q, 2, "other"))
		assert.Equal(t, time.Now().UnixNano(), q.Oldest().UnixNano(), "of what was accepted since the restart")
		_, content := next(q)
		assert.Equal(t, "other", content, "it does not wait for the object that failed")
		for _, expected := range []string{"first", "second", "third"} {
			item, content := next(q)
			assert.Equal(t, expected, content)
			if expected == "first" {
				assert.Equal(t, ahead.UnixNano(), item.Accepted.UnixNano())
			}
			item.Done()
		}
		require.Equal(t, make([]error, 1), after.Accept(context.Background(), []Record{{Drafts: []Draft{draft(q, 1, "fourth")}}}))
	})
}
