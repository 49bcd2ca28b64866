package httpsend

import (
	"context"
	"sync"
	"time"
)

// deliveryKey is that of a delivery in a context.
type deliveryKey struct{}

// delivery knows the transports that have begun to speak in it.
type delivery struct {
	at    time.Time
	mu    sync.Mutex
	begun map[*Transport]bool
}

// OneDelivery marks all requests of a context as those of one delivery, which an
// endpoint's wish for patience does not interrupt. A request without the mark is
// a delivery of its own.
func OneDelivery(ctx context.Context) context.Context {
	if _, marked := ctx.Value(deliveryKey{}).(*delivery); marked {
		return ctx
	}
	return context.WithValue(ctx, deliveryKey{}, &delivery{at: time.Now(), begun: map[*Transport]bool{}})
}

// begunAt is when a delivery of several requests began; zero where there is one.
func begunAt(ctx context.Context) time.Time {
	if d, marked := ctx.Value(deliveryKey{}).(*delivery); marked {
		return d.at
	}
	return time.Time{}
}

// begun reports whether a transport lets a request through for one before it in the
// same delivery. One that is refused begins nothing.
func begun(ctx context.Context, t *Transport) bool {
	d, marked := ctx.Value(deliveryKey{}).(*delivery)
	if !marked {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.begun[t]
}

// begin notes that a transport speaks in a delivery.
func begin(ctx context.Context, t *Transport) {
	if d, marked := ctx.Value(deliveryKey{}).(*delivery); marked {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.begun[t] = true
	}
}
