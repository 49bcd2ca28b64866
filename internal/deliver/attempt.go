package deliver

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/outbox"
	"github.com/fluxnotify/otelcol-flux/internal/target"
)

var errEnded = notify.Retryablef("shutdown", "the collector shuts down and the endpoint has not answered in time")

// Why a notification was given up, in front of the last error.
const (
	gaveUp  = "gave up after retry_on_failure::max_elapsed_time: "
	dropped = "dropped at shutdown, set sending_queue::storage to keep it: "
)

// readAgain is how long to wait after the storage could not be read.
const readAgain = time.Second

// attempt delivers a notification once, and settles what becomes of it.
func (d *Dispatcher) attempt(item *outbox.Item) {
	if c := item.Caller(); c != nil && c.Context.Err() != nil {
		item.Fail(c.Context.Err())
		return
	}
	if err := item.Load(); err != nil {
		item.Again(readAgain, err.Error(), item.Progress)
		return
	}
	n, err := notify.Unmarshal(item.Content)
	if err != nil {
		d.fail(item, &notify.Notification{}, notify.Permanentf("storage", "%w", err), "")
		return
	}
	progress, failed := d.send(item, n)
	if failed == nil {
		item.Done()
		d.settings.Report.Sent(n, item.Accepted)
		return
	}
	d.settle(item, n, failed, progress)
}

// send sends the payloads that were not sent before, and returns how many are sent.
func (d *Dispatcher) send(item *outbox.Item, n *notify.Notification) (progress int, failed *notify.Error) {
	progress = item.Progress
	provider, release := d.source.Acquire()
	if provider == nil {
		return progress, errEnded
	}
	defer release()
	payloads, err := target.Render(provider, n)
	if err != nil {
		return progress, notify.Permanentf("rendering", "render: %w", err)
	}
	ctx, cancel := d.context(item)
	defer cancel()
	for ; progress < len(payloads); progress++ {
		if failed := d.deliver(ctx, provider, payloads[progress]); failed != nil {
			return progress, failed
		}
	}
	return progress, nil
}

// context is that of a delivery: it ends with the dispatcher, and with the caller that
// waits, if there is one.
func (d *Dispatcher) context(item *outbox.Item) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(d.ctx)
	c := item.Caller()
	if c == nil {
		return ctx, cancel
	}
	stop := context.AfterFunc(c.Context, cancel)
	return ctx, func() { stop(); cancel() }
}

// deliver sends one payload.
func (d *Dispatcher) deliver(ctx context.Context, provider notify.Provider, payload notify.Payload) *notify.Error {
	limit := d.source.Timeout()
	if d.isStopping() {
		limit = min(limit, drainAttempt)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	begun := time.Now()
	err := provider.Deliver(ctx, payload)
	if err == nil {
		d.settings.Report.Attempted(time.Since(begun), nil)
		return nil
	}
	failed := notify.AsError(err)
	d.settings.Report.Attempted(time.Since(begun), failed)
	return failed
}

func (d *Dispatcher) isStopping() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stopping
}

// settle decides what becomes of a notification whose delivery failed.
func (d *Dispatcher) settle(item *outbox.Item, n *notify.Notification, failed *notify.Error, progress int) {
	if failed.Class == notify.Throttled {
		d.throttle(failed)
	}
	wait, again := d.backOff(item, failed)
	switch {
	case failed.Class == notify.Permanent:
		d.fail(item, n, failed, "")
	case d.isStopping() && d.settings.Keep:
		item.Again(0, failed.Error(), progress)
	case d.isStopping() && item.Caller() == nil:
		d.fail(item, n, failed, dropped)
	case d.isStopping():
		d.fail(item, n, failed, "")
	case again:
		d.settings.Report.Retrying(n, failed)
		item.Again(wait, failed.Error(), progress)
	case d.settings.Retry.Enabled:
		d.fail(item, n, failed, gaveUp)
	default:
		d.fail(item, n, failed, "")
	}
}

// backOff is how long to wait before the next attempt: exponentially longer, and at
// least as long as the endpoint asks.
func (d *Dispatcher) backOff(item *outbox.Item, failed *notify.Error) (wait time.Duration, again bool) {
	c := d.settings.Retry
	if !c.Enabled {
		return 0, false
	}
	interval := float64(c.InitialInterval)
	for range item.Attempts {
		if interval *= c.Multiplier; interval >= float64(c.MaxInterval) {
			break
		}
	}
	interval = min(interval, float64(c.MaxInterval))
	interval *= 1 + c.RandomizationFactor*(2*rand.Float64()-1) //nolint:gosec // it spreads retries, and guards no secret
	wait = max(time.Duration(interval), failed.Delay)
	return wait, c.MaxElapsedTime == 0 || time.Since(item.Accepted)+wait <= c.MaxElapsedTime
}

// fail gives up a notification.
func (d *Dispatcher) fail(item *outbox.Item, n *notify.Notification, failed *notify.Error, why string) {
	returned := item.Caller() != nil && failed.Class != notify.Permanent
	d.settings.Report.Failed(n, failed, why, returned)
	if why != "" && item.Caller() == nil {
		item.Fail(&notify.Error{Class: failed.Class, Type: failed.Type, Err: wrapped{why, failed.Err}})
		return
	}
	item.Fail(failed)
}

// wrapped is an error with more text in front.
type wrapped struct {
	why string
	error
}

func (w wrapped) Error() string { return w.why + w.error.Error() }

func (w wrapped) Unwrap() error { return w.error }

// drop gives up a notification for which the shutdown has no time.
func (d *Dispatcher) drop(item *outbox.Item) {
	why := dropped
	if item.Caller() != nil {
		why = ""
	}
	d.giveUp(item, errEnded, why)
}

// giveUp gives up a notification that is not attempted.
func (d *Dispatcher) giveUp(item *outbox.Item, failed *notify.Error, why string) {
	n := &notify.Notification{}
	if err := item.Load(); err == nil {
		if read, err := notify.Unmarshal(item.Content); err == nil {
			n = read
		}
	}
	d.fail(item, n, failed, why)
}
