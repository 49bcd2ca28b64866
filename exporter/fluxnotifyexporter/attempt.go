package fluxnotifyexporter

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// delivery is a record on its way, with the notifications that it owes. One
// goroutine has it at a time.
type delivery struct {
	event *fluxevent.Event
	owed  []*owed
	// hold sends the record back to storage untried, because an earlier one of
	// its object went there.
	hold bool
}

// owed is one notification. What has been sent of it is struck off, so that a
// retry repeats nothing.
type owed struct {
	notification *notify.Notification
	rendered     bool
	payloads     []notify.Payload // those still to be sent
	done         bool
	failed       *notify.Error // why it failed for good, or last
}

func (d *delivery) unfinished() bool {
	for _, o := range d.owed {
		if !o.done {
			return true
		}
	}
	return false
}

type deliveryKey struct{}

var (
	errHeld  = errors.New("waits in storage for an earlier event of the same object")
	errEnded = notify.Retryablef("shutdown", "the collector stops and the endpoint has not answered in time")
)

// attempt delivers what a record still owes, once. It is called by the retry.
func (e *notifyExporter) attempt(ctx context.Context, _ plog.Logs) error {
	d := ctx.Value(deliveryKey{}).(*delivery)
	if d.hold {
		return errHeld
	}
	for _, o := range d.owed {
		if o.done {
			continue
		}
		err := e.try(ctx, o)
		if err == nil {
			o.done = true
			e.report.sent(d)
			continue
		}
		o.failed = notify.AsError(err)
		if o.failed.Class == notify.Permanent {
			o.done = true
			e.report.failed(d, o, "")
			continue
		}
		e.report.retrying(d, o)
	}
	return outcome(d)
}

// try sends the payloads of one notification that were not sent before.
func (e *notifyExporter) try(ctx context.Context, o *owed) error {
	if !o.rendered {
		provider, release := e.current.acquire()
		if provider == nil {
			return errEnded
		}
		payloads, err := render(provider, o.notification)
		release()
		if err != nil {
			return notify.Permanentf("rendering", "render: %w", err)
		}
		o.payloads, o.rendered = payloads, true
	}
	for len(o.payloads) > 0 {
		if err := e.deliver(ctx, o.payloads[0]); err != nil {
			return err
		}
		o.payloads = o.payloads[1:]
	}
	return nil
}

// render lets no event, whatever is in it, end the collector.
func render(provider notify.Provider, n *notify.Notification) (_ []notify.Payload, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("a defect of this provider type: %v", r)
		}
	}()
	return provider.Render(n)
}

// deliver sends one payload, when the endpoint does not ask for patience and
// there is a slot, within the time that a notification may take.
func (e *notifyExporter) deliver(ctx context.Context, payload notify.Payload) error {
	end := e.drain.Done() // an in-memory queue has no later chance
	if e.keeps {
		end = e.stop
	}
	for {
		if err := e.gate.wait(ctx, end); err != nil {
			return err
		}
		select {
		case e.slots <- struct{}{}:
		case <-ctx.Done():
			return notify.Retryablef("timeout", "no delivery slot in time: %w", ctx.Err())
		}
		if !e.gate.closed() {
			break
		}
		<-e.slots // it closed while this waited for the slot
	}
	defer func() { <-e.slots }()
	if e.drain.Err() != nil {
		return errEnded
	}
	provider, release := e.current.acquire() // only now: secrets may have changed during the wait
	if provider == nil {
		return errEnded
	}
	defer release()
	bounded, cancel := e.bound(ctx)
	defer cancel()
	begun := time.Now()
	err := provider.Deliver(bounded, payload)
	e.report.took(time.Since(begun), err)
	if err == nil {
		e.gate.open()
		return nil
	}
	failed := notify.AsError(err)
	if failed.Class == notify.Throttled {
		e.gate.close(failed)
	}
	return failed
}

// bound limits an attempt to the time that a notification may take, or to what
// the stop leaves. Contexts out of a queue are never cancelled; a caller's is.
func (e *notifyExporter) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	parent, limit := e.working, e.config.ClientConfig.Timeout
	if e.halted.Load() {
		parent, limit = e.drain, min(limit, drainAttempt)
	}
	bounded, cancel := context.WithTimeout(parent, limit)
	if ctx.Done() == nil {
		return bounded, cancel
	}
	stop := context.AfterFunc(ctx, cancel)
	return bounded, func() { stop(); cancel() }
}

// giveUp counts and logs the notifications that no retry will send.
func (e *notifyExporter) giveUp(d *delivery, err error) {
	for _, o := range d.owed {
		if o.done {
			continue
		}
		o.done = true
		if o.failed == nil {
			o.failed = notify.AsError(err)
		}
		why := "retry_on_failure gave up: "
		if e.halted.Load() {
			why = "lost at the stop, give sending_queue a storage to keep it: "
		}
		e.report.failed(d, o, why)
	}
}

// gate holds back every delivery while the endpoint asks for patience.
type gate struct {
	mu    sync.Mutex
	until time.Time
	why   *notify.Error
}

func (g *gate) close(why *notify.Error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if until := time.Now().Add(why.Delay); until.After(g.until) {
		g.until, g.why = until, why
	}
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.why != nil && time.Now().After(g.until) {
		g.why = nil
	}
}

func (g *gate) closed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.why != nil && time.Until(g.until) > 0
}

func (g *gate) wait(ctx context.Context, end <-chan struct{}) error {
	for {
		g.mu.Lock()
		delay, why := time.Until(g.until), g.why
		g.mu.Unlock()
		if why == nil || delay <= 0 {
			return nil
		}
		timer := time.NewTimer(delay)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return why
		case <-end:
			timer.Stop()
			return why
		}
	}
}
