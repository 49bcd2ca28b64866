// Package newest keeps what is older from being written over what is newer,
// whatever order a queue, its retries and its workers bring things in.
package newest

import (
	"context"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// maxKeys bounds what is remembered: some 2 MB. What has been forgotten is
// written, as if it had never been known.
const maxKeys = 10_000

// Order knows, of every key, the time of the newest that was written.
type Order struct {
	mu    sync.Mutex
	times *lru.LRU[string, time.Time]
	busy  map[string]*turn
}

// turn is the lock of one key, there as long as somebody wants it.
type turn struct {
	token chan struct{} // holds one while nobody writes
	users int
}

// NewOrder makes an order that knows nothing.
func NewOrder() *Order {
	times, err := lru.NewLRU[string, time.Time](maxKeys, nil)
	if err != nil {
		panic(err) // the size is a constant
	}
	return &Order{times: times, busy: map[string]*turn{}}
}

// In is the order in a provider's memory.
func In(m *notify.Memory) *Order {
	return m.Keep(func() any { return NewOrder() }).(*Order)
}

// Write lets write do its work on a key, one at a time, unless something newer
// was written there: then there is nothing to do any more, and written is false. Of what is equally
// old, the last to come is the newest: Flux counts time in seconds, and events
// of one object come in their order. A failed write changes nothing, so that
// neither it nor what is older is lost.
func (o *Order) Write(ctx context.Context, key string, at time.Time, write func() error) (written bool, err error) {
	t := o.enter(key)
	defer o.leave(key, t)
	select {
	case <-t.token:
	case <-ctx.Done():
		return false, &notify.Error{Class: notify.Retryable, Type: "timeout", Err: context.Cause(ctx)}
	}
	defer func() { t.token <- struct{}{} }()
	if known, ok := o.time(key); ok && known.After(at) {
		return false, nil
	}
	if err := write(); err != nil {
		return false, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.times.Add(key, at)
	return true, nil
}

func (o *Order) time(key string) (time.Time, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.times.Get(key)
}

func (o *Order) enter(key string) *turn {
	o.mu.Lock()
	defer o.mu.Unlock()
	t, ok := o.busy[key]
	if !ok {
		t = &turn{token: make(chan struct{}, 1)}
		t.token <- struct{}{}
		o.busy[key] = t
	}
	t.users++
	return t
}

func (o *Order) leave(key string, t *turn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if t.users--; t.users == 0 {
		delete(o.busy, key)
	}
}
