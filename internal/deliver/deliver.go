// Package deliver takes due notifications out of the outbox, renders and sends them,
// and decides by the endpoint's answer: done, again at a later time, or failed.
//
// Each target has a Dispatcher of its own, with its own workers, rate limit and pause,
// so that one target's trouble does not reach another. A notification that waits holds
// no worker.
package deliver

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/collector/config/configretry"
	"golang.org/x/time/rate"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/outbox"
)

// Source gives the provider of a target.
type Source interface {
	// Acquire returns the provider in use; nil after the end. The caller calls
	// release when its delivery has ended.
	Acquire() (provider notify.Provider, release func())
	// Timeout bounds one delivery.
	Timeout() time.Duration
}

// Settings are those of a Dispatcher.
type Settings struct {
	// Workers is how many deliveries there are at once.
	Workers int
	// Retry is the back-off of one notification. Its max_elapsed_time counts from
	// acceptance, but every notification is attempted once.
	Retry configretry.BackOffConfig
	// Rate limits attempts. nil: no limit.
	Rate *rate.Limiter
	// Keep reports that the outbox has a storage: at shutdown what waits stays there.
	// Otherwise it is attempted once more.
	Keep bool
	// Report receives what happens.
	Report Reporter
}

// Reporter counts and logs what becomes of notifications. Its methods are called from
// several goroutines.
type Reporter interface {
	// Attempted reports one delivery; err is nil if it succeeded.
	Attempted(took time.Duration, err *notify.Error)
	// Sent reports a delivered notification.
	Sent(n *notify.Notification, accepted time.Time)
	// Retrying reports a failed delivery that is attempted again.
	Retrying(n *notify.Notification, err *notify.Error)
	// Failed reports a notification that is given up. why is empty if the endpoint
	// refused it. returned reports that the caller has it, and may send it again.
	Failed(n *notify.Notification, err *notify.Error, why string, returned bool)
}

// How long a shutdown lasts, whatever the endpoint does. Kubernetes kills after 30 s by
// default.
const (
	// keepTime is what deliveries under way get if what waits stays in the storage.
	keepTime = 4 * time.Second
	// drainTime is what an outbox in memory gets, drainAttempt one delivery meanwhile.
	drainTime    = 20 * time.Second
	drainAttempt = 4 * time.Second
)

// Dispatcher delivers the notifications of one target.
type Dispatcher struct {
	settings Settings
	source   Source
	queue    *outbox.Queue

	ctx    context.Context // of every delivery
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu       sync.Mutex
	active   int  // workers
	retrying int  // those of them that serve a retry
	woken    bool // since a worker last looked
	stopping bool
	unready  string        // why nothing can be delivered; empty: it can
	drained  chan struct{} // closed when nothing is left, while stopping
	timer    *time.Timer
	paused   time.Time // no delivery before, because the endpoint limits the rate
}

// New makes the dispatcher of a queue. Wake must be called when the queue may have
// something.
func New(settings Settings, source Source) *Dispatcher {
	ctx, cancel := context.WithCancel(context.Background())
	return &Dispatcher{settings: settings, source: source, ctx: ctx, cancel: cancel, stopping: true}
}

// Start begins deliveries out of a queue.
func (d *Dispatcher) Start(queue *outbox.Queue) {
	d.mu.Lock()
	d.queue, d.stopping = queue, false
	d.mu.Unlock()
	d.Wake()
}

// Wake lets a worker look for what is due.
func (d *Dispatcher) Wake() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.woken = true
	d.addWorker()
}

// addWorker starts a worker, unless there are enough.
func (d *Dispatcher) addWorker() {
	if d.queue == nil || d.active >= d.settings.Workers || d.stopping && d.drained == nil {
		return
	}
	d.active++
	d.work.Go(d.worker)
}

// worker delivers until nothing is due.
func (d *Dispatcher) worker() {
	for {
		item := d.next()
		if item == nil {
			return
		}
		d.attempt(item)
		if item.Attempts > 0 {
			d.mu.Lock()
			d.retrying--
			d.mu.Unlock()
		}
	}
}

// next returns what a worker is to deliver. nil ends the worker.
func (d *Dispatcher) next() *outbox.Item {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		d.woken = false
		item, wait := d.due()
		switch {
		case item != nil:
			if item.Attempts > 0 {
				d.retrying++
			}
			if item.More {
				d.addWorker()
			}
			return item
		case d.woken:
			continue // something arrived meanwhile
		}
		d.active--
		if wait > 0 {
			d.wakeIn(wait)
		}
		if d.drained != nil && d.active == 0 && d.queue.Waiting() == 0 {
			close(d.drained)
			d.drained, d.queue = nil, nil
		}
		return nil
	}
}

// due returns what is due, unless the endpoint or the configuration limits the rate.
// Retries leave a quarter of the workers to first attempts: endpoints that never
// answer must not hold up what has not been attempted.
func (d *Dispatcher) due() (item *outbox.Item, wait time.Duration) {
	if d.queue == nil || d.stopping && d.drained == nil {
		return nil, 0
	}
	now := time.Now()
	if d.unready != "" {
		return nil, d.expire(now)
	}
	if wait := d.pause(now); wait > 0 {
		return nil, wait
	}
	item, wait = d.queue.Next(d.retrying < max(1, d.settings.Workers-(d.settings.Workers+3)/4))
	if item != nil && d.settings.Rate != nil {
		d.settings.Rate.AllowN(now, 1)
	}
	return item, wait
}

// expireInterval is how often, at least, a target that cannot deliver looks for
// notifications whose time has ended.
const expireInterval = time.Minute

// expire gives up what has waited for too long while the target cannot deliver.
func (d *Dispatcher) expire(now time.Time) (wait time.Duration) {
	limit := d.settings.Retry.MaxElapsedTime
	if !d.settings.Retry.Enabled || limit == 0 || d.stopping {
		return 0
	}
	why := notify.Retryablef("not_ready", "%s", d.unready)
	for item := d.queue.NextOlder(now.Add(-limit)); item != nil; item = d.queue.NextOlder(now.Add(-limit)) {
		d.work.Go(func() { d.giveUp(item, why, gaveUp) })
	}
	return min(max(d.queue.Oldest().Add(limit).Sub(now), time.Second), expireInterval)
}

// SetReady reports whether the target can deliver. If not, why says why, and what waits
// goes on waiting, until retry_on_failure::max_elapsed_time ends.
func (d *Dispatcher) SetReady(why string) {
	d.mu.Lock()
	d.unready = why
	d.mu.Unlock()
	d.Wake()
}

// Abandon gives up everything that waits. The target cannot deliver any more.
func (d *Dispatcher) Abandon(why string) {
	d.mu.Lock()
	queue := d.queue
	d.unready = why
	d.mu.Unlock()
	if queue == nil {
		return
	}
	for item := queue.NextOlder(endOfTime); item != nil; item = queue.NextOlder(endOfTime) {
		d.giveUp(item, notify.Permanentf("deleted", "%s", why), "")
	}
}

// endOfTime is after every acceptance.
var endOfTime = time.Unix(1<<33, 0)

// pause is how long deliveries are paused.
func (d *Dispatcher) pause(now time.Time) time.Duration {
	if wait := d.paused.Sub(now); wait > 0 {
		return wait
	}
	if d.settings.Rate == nil {
		return 0
	}
	r := d.settings.Rate.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	r.CancelAt(now)
	return wait
}

// wakeIn wakes a worker after a while.
func (d *Dispatcher) wakeIn(wait time.Duration) {
	if d.timer == nil {
		d.timer = time.AfterFunc(wait, d.Wake)
		return
	}
	d.timer.Reset(wait)
}

// throttle pauses all deliveries of the target for as long as the endpoint asks.
func (d *Dispatcher) throttle(err *notify.Error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if until := time.Now().Add(err.Delay); until.After(d.paused) {
		d.paused = until
	}
}

// Throttled is how long deliveries are still paused because the endpoint asked for it.
func (d *Dispatcher) Throttled() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return max(time.Until(d.paused), 0)
}

// Shutdown ends deliveries. With a storage those under way get a few seconds, and what
// waits stays there. Without one what waits is attempted once more, and dropped if
// that fails.
func (d *Dispatcher) Shutdown(context.Context) error {
	d.mu.Lock()
	queue := d.queue
	if queue == nil || d.stopping {
		d.mu.Unlock()
		d.cancel()
		return nil
	}
	d.stopping = true
	var drained chan struct{}
	if !d.settings.Keep {
		drained = make(chan struct{})
		d.drained = drained
	}
	d.mu.Unlock()
	if drained != nil {
		d.drain(queue, drained)
	} else {
		defer time.AfterFunc(keepTime, d.cancel).Stop()
	}
	d.work.Wait()
	d.mu.Lock()
	if d.timer != nil {
		d.timer.Stop()
	}
	d.mu.Unlock()
	d.cancel()
	return nil
}

// drain attempts everything that waits in memory once more.
func (d *Dispatcher) drain(queue *outbox.Queue, drained chan struct{}) {
	d.mu.Lock()
	ready := d.unready == ""
	d.mu.Unlock()
	if ready {
		queue.Hurry()
		timer := time.NewTimer(drainTime)
		defer timer.Stop()
		select {
		case <-drained:
			return
		case <-timer.C:
		}
	}
	d.cancel()
	d.mu.Lock()
	d.drained = nil
	d.mu.Unlock()
	d.work.Wait()
	d.mu.Lock()
	d.queue = nil
	d.mu.Unlock()
	for {
		queue.Hurry()
		item, _ := queue.Next(true)
		if item == nil {
			return
		}
		d.drop(item)
	}
}
