package deliver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configretry"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/outbox"
)

// endpoint is a provider that answers as a test wants, and keeps what it was sent.
type endpoint struct {
	mu     sync.Mutex
	answer func(ctx context.Context, body string, nth int) error
	bodies []string
	at     []time.Duration
	begun  time.Time
}

// Render makes a payload of each line of the message.
func (e *endpoint) Render(n *notify.Notification) ([]notify.Payload, error) {
	switch n.Event.Message {
	case "panics":
		panic("unexpected")
	case "cannot be rendered":
		return nil, errors.New("no room")
	}
	var payloads []notify.Payload
	for line := range strings.Lines(n.Event.Message) {
		payloads = append(payloads, notify.Payload{Body: []byte(strings.TrimSpace(line))})
	}
	return payloads, nil
}

func (e *endpoint) Deliver(ctx context.Context, p notify.Payload) error {
	e.mu.Lock()
	nth := len(e.bodies)
	e.bodies, e.at = append(e.bodies, string(p.Body)), append(e.at, time.Since(e.begun))
	e.mu.Unlock()
	if e.answer == nil {
		return nil
	}
	return e.answer(ctx, string(p.Body), nth)
}

func (e *endpoint) Acquire() (notify.Provider, func()) { return e, func() {} }

func (e *endpoint) Timeout() time.Duration { return 10 * time.Second }

func (e *endpoint) seen() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.bodies)
}

func (e *endpoint) times() []time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.at)
}

// reports keeps what is reported.
type reports struct {
	mu    sync.Mutex
	lines []string
	took  []time.Duration
}

func (r *reports) add(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, fmt.Sprintf(format, args...))
}

func (r *reports) Attempted(took time.Duration, _ *notify.Error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.took = append(r.took, took)
}

func (r *reports) Sent(n *notify.Notification, _ time.Time) {
	r.add("sent %s", strings.Fields(n.Event.Message)[0])
}

func (r *reports) Retrying(*notify.Notification, *notify.Error) { r.add("retrying") }

func (r *reports) Failed(n *notify.Notification, err *notify.Error, why string, returned bool) {
	r.add("failed %s: %s%s %v", n.Event.Message, why, err, returned)
}

// count is how many reports begin with a word.
func (r *reports) count(word string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(r.lines), func(line string) bool { return !strings.HasPrefix(line, word) }))
}

// rig is a dispatcher between an outbox and an endpoint.
type rig struct {
	*endpoint
	*reports
	t   *testing.T
	d   *Dispatcher
	box *outbox.Outbox
	q   *outbox.Queue
}

func newRig(t *testing.T, change func(*Settings)) *rig {
	t.Helper()
	r := &rig{endpoint: &endpoint{begun: time.Now()}, reports: &reports{}, t: t}
	retry := configretry.NewDefaultBackOffConfig()
	retry.RandomizationFactor = 0
	retry.InitialInterval, retry.MaxInterval, retry.Multiplier, retry.MaxElapsedTime = time.Second, 8*time.Second, 2, time.Minute
	settings := Settings{Workers: 4, Retry: retry, Report: r.reports}
	if change != nil {
		change(&settings)
	}
	box, err := outbox.Open(context.Background(), outbox.Options{MaxFailed: 10, Logger: zap.NewNop()})
	require.NoError(t, err)
	r.box, r.d = box, New(settings, r.endpoint)
	r.q = box.Queue("q", outbox.QueueOptions{Wake: r.d.Wake})
	r.d.Start(r.q)
	return r
}

func (r *rig) accept(lane uint64, message string) { r.acceptFor(lane, message, nil) }

func (r *rig) acceptFor(lane uint64, message string, caller *outbox.Caller) {
	r.t.Helper()
	n := notify.New(&fluxevent.Event{InvolvedObject: fluxevent.Object{Kind: "K", Name: "n"}, Message: message}, nil, notify.Alert{})
	err := r.box.Accept(context.Background(), []outbox.Record{{Drafts: []outbox.Draft{{Queue: r.q, Lane: lane, Content: n.Marshal(), Caller: caller}}}})[0]
	require.NoError(r.t, err)
}

func (r *rig) stop() {
	r.t.Helper()
	require.NoError(r.t, r.d.Shutdown(context.Background()))
	require.NoError(r.t, r.d.Shutdown(context.Background()))
}

func unavailable(context.Context, string, int) error { return notify.Retryablef("503", "503") }

func TestRetriesBackOffAndEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.answer = unavailable
		r.accept(1, "a")
		time.Sleep(time.Minute)
		want := []time.Duration{0, 1, 3, 7, 15, 23, 31, 39, 47, 55}
		for i := range want {
			want[i] *= time.Second
		}
		synctest.Wait()
		assert.Equal(t, want, r.times())
		assert.Equal(t, 9, r.count("retrying"))
		require.Len(t, r.box.Failed(), 1)
		assert.Equal(t, "gave up after retry_on_failure::max_elapsed_time: 503", r.box.Failed()[0].Reason)
		assert.Equal(t, 10, r.box.Failed()[0].Attempts)
		assert.Equal(t, 1, r.count("failed a: gave up after retry_on_failure::max_elapsed_time: 503 false"))
		r.stop()
	})
}

func TestRetriesBackOffWithAStorageToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(s *Settings) { s.Keep = true })
		r.answer = unavailable
		r.accept(1, "a")
		time.Sleep(2 * time.Second)
		assert.Equal(t, []time.Duration{0, time.Second}, r.times())
		r.stop()
	})
}

func TestAPermanentErrorIsFinal(t *testing.T) {
	t.Parallel()
	for _, retry := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, func(s *Settings) { s.Retry.Enabled = retry })
			r.answer = func(_ context.Context, body string, _ int) error {
				if body == "retryable" && !retry || body == "bad" {
					return notify.Permanentf("400", "400 Bad Request")
				}
				return nil
			}
			for i, message := range []string{"bad", "panics", "cannot be rendered", "good", "retryable"} {
				r.accept(uint64(i), message)
			}
			synctest.Wait()
			assert.Equal(t, 1, r.count("failed bad: 400 Bad Request false"))
			assert.Equal(t, 1, r.count("failed panics: render: a defect of this provider type: unexpected false"))
			assert.Equal(t, 1, r.count("failed cannot be rendered: render: no room false"))
			assert.Equal(t, 1, r.count("sent good"))
			assert.Zero(t, r.q.Waiting())
			r.stop()
		})
	}
}

func TestWithoutRetryOneAttemptIsMade(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(s *Settings) { s.Retry.Enabled = false })
		r.answer = unavailable
		r.accept(1, "a")
		time.Sleep(time.Hour)
		assert.Equal(t, 1, r.count("failed a: 503 false"))
		assert.Len(t, r.seen(), 1)
		r.stop()
	})
}

// One endpoint that limits the rate is left alone by all notifications, for as long as
// it asks.
func TestThrottlingPausesTheTarget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.answer = func(_ context.Context, _ string, nth int) error {
			if nth == 0 {
				return &notify.Error{Class: notify.Throttled, Type: "429", Delay: 20 * time.Second, Err: errors.New("429")}
			}
			return nil
		}
		r.accept(1, "a")
		synctest.Wait()
		assert.Equal(t, 20*time.Second, r.d.Throttled())
		for lane := range uint64(5) {
			r.accept(lane+2, "b")
		}
		time.Sleep(19 * time.Second)
		assert.Len(t, r.seen(), 1)
		time.Sleep(time.Second)
		synctest.Wait()
		assert.Len(t, r.seen(), 7)
		assert.Equal(t, 6, r.count("sent"))
		assert.Zero(t, r.d.Throttled())
		r.stop()
	})
}

func TestRateLimitPacesABurst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(s *Settings) { s.Rate = rate.NewLimiter(rate.Every(time.Second), 3) })
		for lane := range uint64(10) {
			r.accept(lane, fmt.Sprint(lane))
		}
		time.Sleep(7 * time.Second)
		synctest.Wait()
		require.Len(t, r.times(), 10)
		for i, at := range r.times() {
			assert.InDelta(t, max(0, i-2), at.Seconds(), 0.001, "%d", i)
		}
		r.stop()
	})
}

// Endpoints that never answer hold up no first attempt, however many wait for a retry.
func TestRetriesLeaveWorkersToFirstAttempts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(s *Settings) { s.Retry.MaxElapsedTime = 0 })
		r.answer = func(ctx context.Context, body string, nth int) error {
			if body == "good" {
				return nil
			}
			if nth < 20 {
				return notify.Retryablef("503", "503")
			}
			<-ctx.Done()
			return notify.Retryablef("timeout", "no answer")
		}
		for lane := range uint64(20) {
			r.accept(lane, "hangs")
		}
		time.Sleep(3 * time.Second)
		assert.Len(t, r.seen(), 20+3, "three of four workers wait for an answer")
		r.accept(100, "good")
		synctest.Wait()
		assert.Equal(t, 1, r.count("sent good"))
		r.d.cancel()
		r.stop()
	})
}

func TestEveryDeliveryIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(s *Settings) { s.Retry.Enabled = false })
		r.answer = func(ctx context.Context, _ string, _ int) error { <-ctx.Done(); return ctx.Err() }
		r.accept(1, "a")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		assert.Equal(t, []time.Duration{10 * time.Second}, r.took)
		assert.Equal(t, 1, r.count("failed a: context deadline exceeded"))
		r.stop()
	})
}

// A notification of several payloads goes on with the one that failed.
func TestARetryRepeatsNoPayloadThatWasSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.answer = func(_ context.Context, _ string, nth int) error {
			if nth == 1 || nth == 2 {
				return notify.Retryablef("503", "503")
			}
			return nil
		}
		r.accept(1, "one\ntwo\nthree")
		time.Sleep(10 * time.Second)
		assert.Equal(t, []string{"one", "two", "two", "two", "three"}, r.seen())
		assert.Equal(t, 1, r.count("sent"))
		r.stop()
	})
}

func TestShutdownWithoutAStorageAttemptsEverythingOnceMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		down := true
		r.answer = func(ctx context.Context, body string, _ int) error {
			switch {
			case body == "hangs":
				<-ctx.Done()
				return notify.Retryablef("timeout", "no answer")
			case down || body == "refused":
				return notify.Retryablef("503", "503")
			}
			return nil
		}
		r.accept(1, "first")
		r.accept(1, "second")
		r.accept(2, "refused")
		r.accept(3, "hangs")
		r.accept(3, "hangs")
		synctest.Wait()
		down = false
		begun := time.Now()
		r.stop()
		assert.Equal(t, 10*time.Second+drainAttempt, time.Since(begun), "the delivery under way keeps its timeout of 10 s, the next one gets less")
		assert.Equal(t, 1, r.count("sent first"))
		assert.Equal(t, 1, r.count("sent second"))
		assert.Equal(t, 1, r.count("failed refused: dropped at shutdown, set sending_queue::storage to keep it: 503 false"))
		assert.Equal(t, 2, r.count("failed hangs: dropped at shutdown, set sending_queue::storage to keep it: no answer false"))
		assert.Zero(t, r.q.Waiting())
	})
}

func TestShutdownWithoutAStorageEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.answer = func(ctx context.Context, _ string, _ int) error {
			<-ctx.Done()
			return notify.Retryablef("timeout", "no answer")
		}
		for lane := range uint64(100) {
			r.accept(lane, "a")
		}
		begun := time.Now()
		r.stop()
		assert.Equal(t, drainTime, time.Since(begun))
		assert.Equal(t, 100, r.count("failed a: dropped at shutdown"))
		assert.Zero(t, r.q.Waiting())
	})
}

func TestShutdownWithAStorageLeavesWhatWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(s *Settings) { s.Keep = true })
		r.answer = func(ctx context.Context, body string, _ int) error {
			if body == "slow" {
				time.Sleep(3 * time.Second)
				return nil
			}
			<-ctx.Done()
			return notify.Retryablef("timeout", "no answer")
		}
		r.accept(1, "slow")
		for lane := range uint64(10) {
			r.accept(lane+2, "hangs")
		}
		synctest.Wait()
		begun := time.Now()
		r.stop()
		assert.Equal(t, keepTime, time.Since(begun))
		assert.Equal(t, 1, r.count("sent slow"))
		assert.Zero(t, r.count("failed"))
		assert.Equal(t, 10, r.q.Waiting())
		assert.Len(t, r.seen(), 4, "nothing begins after the shutdown has begun")
	})
}

func TestACallerWaitsForTheOutcome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.answer = func(ctx context.Context, body string, nth int) error {
			switch {
			case body == "bad":
				return notify.Permanentf("400", "400")
			case body == "hangs":
				<-ctx.Done()
				return notify.Retryablef("timeout", "%w", ctx.Err())
			case nth == 0:
				return notify.Retryablef("503", "503")
			}
			return nil
		}
		ctx, leave := context.WithCancel(context.Background())
		outcomes := map[string]error{}
		var mu sync.Mutex
		caller := func(name string) *outbox.Caller {
			return &outbox.Caller{Context: ctx, Done: func(err error) {
				mu.Lock()
				defer mu.Unlock()
				outcomes[name] = err
			}}
		}
		r.acceptFor(1, "good", caller("good"))
		time.Sleep(2 * time.Second)
		r.acceptFor(2, "bad", caller("bad"))
		r.acceptFor(3, "hangs", caller("hangs"))
		synctest.Wait()
		require.NoError(t, outcomes["good"])
		assert.Equal(t, notify.Permanent, notify.AsError(outcomes["bad"]).Class)
		assert.NotContains(t, outcomes, "hangs")
		leave()
		synctest.Wait()
		require.ErrorIs(t, outcomes["hangs"], context.Canceled, "a caller who leaves ends the delivery")
		assert.Empty(t, r.box.Failed())
		assert.Equal(t, 1, r.count("failed bad: 400 false"), "it has failed for good")
		r.stop()
	})
}

// A clock that was set back makes acceptance a time in the future, one that was set
// forward makes it long ago: each notification is attempted, and retried in its time.
func TestClockSteps(t *testing.T) {
	t.Parallel()
	d := New(Settings{Retry: configretry.BackOffConfig{
		Enabled: true, InitialInterval: time.Second, Multiplier: 2, MaxInterval: time.Minute, MaxElapsedTime: time.Hour,
	}}, nil)
	failed := notify.Retryablef("503", "503")
	wait, again := d.backOff(&outbox.Item{Accepted: time.Now().Add(3 * time.Hour)}, failed)
	assert.True(t, again)
	assert.Equal(t, time.Second, wait)
	_, again = d.backOff(&outbox.Item{Accepted: time.Now().Add(-time.Hour)}, failed)
	assert.False(t, again)
	wait, again = d.backOff(&outbox.Item{Accepted: time.Now(), Attempts: 3}, &notify.Error{Delay: 30 * time.Second})
	assert.True(t, again)
	assert.Equal(t, 30*time.Second, wait, "at least as long as the endpoint asks")
	wait, _ = d.backOff(&outbox.Item{Accepted: time.Now(), Attempts: 1000}, failed)
	assert.Equal(t, time.Minute, wait)
}

func TestADispatcherThatNeverStartedEnds(t *testing.T) {
	t.Parallel()
	d := New(Settings{Workers: 1}, nil)
	d.Wake()
	require.NoError(t, d.Shutdown(context.Background()))
}

// What waits for a target that cannot deliver waits on, and ends when its time has ended.
func TestATargetThatCannotDeliver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.d.SetReady("there is no Secret apps/token")
		r.accept(1, "early")
		r.accept(2, "early")
		time.Sleep(40 * time.Second)
		r.accept(2, "late")
		assert.Empty(t, r.seen())
		assert.Equal(t, 3, r.q.Waiting())
		time.Sleep(40 * time.Second)
		synctest.Wait()
		assert.Equal(t, 2, r.count("failed early: gave up after retry_on_failure::max_elapsed_time: there is no Secret apps/token false"))
		assert.Equal(t, 1, r.q.Waiting())
		r.d.SetReady("")
		synctest.Wait()
		assert.Equal(t, []string{"late"}, r.seen())
		r.stop()
	})
}

func TestWhatWaitsForAnAbandonedTargetFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.answer = unavailable
		r.accept(1, "retried")
		r.accept(1, "behind it")
		synctest.Wait()
		r.d.SetReady("deleted")
		r.accept(2, "new")
		r.d.Abandon("provider deleted")
		assert.Zero(t, r.q.Waiting())
		for _, message := range []string{"retried", "behind it", "new"} {
			assert.Equal(t, 1, r.count("failed "+message+": provider deleted false"))
		}
		begun := time.Now()
		r.stop()
		assert.Zero(t, time.Since(begun))
	})
}

// Without a storage, what waits for a target that cannot deliver is dropped at once.
func TestShutdownOfATargetThatCannotDeliver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.d.SetReady("suspended")
		r.accept(1, "a")
		begun := time.Now()
		r.stop()
		assert.Zero(t, time.Since(begun))
		assert.Equal(t, 1, r.count("failed a: dropped at shutdown"))
	})
}
