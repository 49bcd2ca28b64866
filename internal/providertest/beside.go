package providertest

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// events is how many each of the two publishes in a round of Beside, slice by
// slice in turn, so that what else the machine does meets both alike.
const events, turns = 20_000, 20

// Beside measures a provider that renders and publishes many events over its one
// connection, so many at once, and in the same run its client library, which
// publishes the same bytes as many at once with the same guarantee. It reports
// events per second of both, and the provider's share of the library's.
func Beside(b *testing.B, atOnce int, p notify.Provider, library func(ctx context.Context, id string, body []byte) error) {
	b.Helper()
	e := Event(b, "kustomization-health-check-failed")
	body := render(b, p, e, "").Body
	var ours, theirs time.Duration
	for b.Loop() {
		for range turns {
			theirs += publish(b, atOnce, func(ctx context.Context, id string) error { return library(ctx, id, body) })
			ours += publish(b, atOnce, func(ctx context.Context, id string) error { return p.Deliver(ctx, render(b, p, e, id)) })
		}
	}
	total := float64(events * b.N)
	b.ReportMetric(total/ours.Seconds(), "events/s")
	b.ReportMetric(total/theirs.Seconds(), "library-events/s")
	b.ReportMetric(theirs.Seconds()/ours.Seconds(), "ratio")
}

// render makes the payload of an event that no other is the same as.
func render(b *testing.B, p notify.Provider, e fluxevent.Event, id string) notify.Payload {
	b.Helper()
	e.InvolvedObject.ResourceVersion = id
	payloads, err := p.Render(notify.New(&e, nil, notify.Alert{}))
	if err != nil || len(payloads) != 1 {
		b.Error("the event is not rendered", err)
		return notify.Payload{}
	}
	return payloads[0]
}

// serial numbers the events of a process.
var serial atomic.Int64

// publish is how long it takes until all events of a slice are confirmed.
func publish(b *testing.B, atOnce int, one func(ctx context.Context, id string) error) time.Duration {
	b.Helper()
	var left atomic.Int64
	left.Store(events / turns)
	var failed atomic.Pointer[error]
	var group sync.WaitGroup
	begin := time.Now()
	for range atOnce {
		group.Go(func() {
			for left.Add(-1) >= 0 {
				ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
				if err := one(ctx, strconv.FormatInt(serial.Add(1), 10)); err != nil {
					failed.Store(&err)
				}
				cancel()
			}
		})
	}
	group.Wait()
	took := time.Since(begin)
	if err := failed.Load(); err != nil {
		require.NoError(b, *err)
	}
	return took
}
