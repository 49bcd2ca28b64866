package azureeventhub_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

func TestRefusedToken(t *testing.T) {
	t.Parallel()
	b := run(t, options{})
	b.orders(map[string]any{"do": "behave", "refuse_token": map[string]any{
		"status": 401, "description": "InvalidSignature: The token has an invalid signature: {token}",
	}})
	p := b.sas(t)
	err := deliver(t, p, "x")
	_, signature, found := strings.Cut(b.next("token").Token, "&sig=")
	require.True(t, found)
	signature, _, _ = strings.Cut(signature, "&")
	e := failure(t, err, signature)
	assert.Equal(t, notify.Permanent, e.Class)
	assert.Equal(t, "401", e.Type)
	assert.Contains(t, e.Error(), "InvalidSignature")
	assert.Contains(t, e.Error(), "the right Send")

	b.orders(map[string]any{"do": "behave"})
	require.NoError(t, deliver(t, p, "once it is accepted"))
	assert.Equal(t, "once it is accepted", b.next("message").Body)
}

func TestWrongKey(t *testing.T) {
	t.Parallel()
	b := run(t, options{})
	p := provider(t, notify.Settings{Address: strings.Replace(b.connection(";EntityPath="+hub), keyText, "an0ther-key", 1)})
	e := failure(t, deliver(t, p, "x"), "an0ther-key")
	assert.Equal(t, notify.Permanent, e.Class)
	assert.Equal(t, "401", e.Type)
}

func TestUnknownHub(t *testing.T) {
	t.Parallel()
	b := run(t, options{})
	p := provider(t, notify.Settings{Address: b.connection(""), Channel: "another-hub"})
	e := failure(t, deliver(t, p, "x"))
	assert.Equal(t, notify.Permanent, e.Class)
	assert.Equal(t, "404", e.Type)
	assert.Contains(t, e.Error(), `has no event hub "another-hub": create it, or correct the name`)

	b.orders(map[string]any{"do": "behave", "refuse_token": map[string]any{"status": 404, "description": "no such entity"}})
	e = failure(t, deliver(t, b.sas(t), "x"))
	assert.Equal(t, notify.Permanent, e.Class)
	assert.Equal(t, "404", e.Type)
}

func TestRejections(t *testing.T) {
	t.Parallel()
	b := run(t, options{})
	p := b.sas(t)
	for _, c := range []struct {
		condition, description string
		class                  notify.Class
		errorType              string
		delay                  time.Duration
	}{
		{"com.microsoft:server-busy", "The request was terminated because the entity is being throttled. Error code : 50002. Please wait 7 seconds and try again.", notify.Throttled, "429", 7 * time.Second},
		{"com.microsoft:server-busy", "Busy.", notify.Throttled, "429", 4 * time.Second},
		{"com.microsoft:server-busy", "wait 9999 seconds", notify.Throttled, "429", time.Hour},
		{"amqp:unauthorized-access", "Send claim is required", notify.Permanent, "401", 0},
		{"amqp:link:message-size-exceeded", "too large", notify.Permanent, "too_large", 0},
		{"com.microsoft:entity-disabled", "disabled", notify.Permanent, "com.microsoft:entity-disabled", 0},
		{"com.microsoft:argument-error", "odd", notify.Permanent, "com.microsoft:argument-error", 0},
		{"amqp:resource-limit-exceeded", "the quota is used up", notify.Retryable, "amqp:resource-limit-exceeded", 0},
		{"com.microsoft:timeout", "The operation did not complete.", notify.Retryable, "com.microsoft:timeout", 0},
		{"amqp:internal-error", "please retry", notify.Retryable, "connection", 0},
	} {
		b.behave(map[string]any{"condition": c.condition, "description": c.description + "\r\n" + keyText})
		e := failure(t, deliver(t, p, "x"))
		assert.Equal(t, c.class, e.Class, c.condition)
		assert.Equal(t, c.errorType, e.Type, c.condition)
		assert.Equal(t, c.delay, e.Delay, c.condition)
		assert.Contains(t, e.Error(), c.description, c.condition)
		assert.NotContains(t, e.Error(), "\n", c.condition)
		assert.Len(t, b.all("rejected"), 1, "%s: nothing is repeated in here", c.condition)
	}
	b.behave(nil)
	require.Eventually(t, func() bool { return deliver(t, p, "well again") == nil }, patient, time.Millisecond)
	assert.Equal(t, "well again", b.next("message").Body)
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	b := run(t, options{maxMessageSize: 2000})
	p := b.sas(t)
	e := failure(t, deliver(t, p, strings.Repeat("x", 2001)))
	assert.Equal(t, notify.Permanent, e.Class)
	assert.Equal(t, "too_large", e.Type)
	assert.Contains(t, e.Error(), "the event has 2001 bytes")
	assert.Contains(t, e.Error(), "more than the 2000 that the event hub takes")
	require.NoError(t, deliver(t, p, strings.Repeat("x", 1500)), "the connection is none the worse")
	assert.Len(t, b.next("message").Body, 1500)
	assert.Len(t, b.all("open"), 1)
}

// A link that the service has detached, as it does with idle ones, costs nothing.
func TestDetachedLink(t *testing.T) {
	t.Parallel()
	b := run(t, options{})
	p := b.sas(t)
	require.NoError(t, deliver(t, p, "before"))
	for range 3 {
		b.orders(map[string]any{"do": "detach", "condition": "amqp:link:detach-forced", "description": "inactive for more than the allowed 00:30:00"})
		require.NoError(t, deliver(t, p, "after"))
	}
	assert.Len(t, b.all("message"), 4)
	assert.Len(t, b.all("open"), 1, "the connection stays")
	assert.Len(t, b.all("token"), 4)
}

// What was on its way when its link was detached is sent again: the hub may have
// both.
func TestDetachedUnderWay(t *testing.T) {
	t.Parallel()
	b := run(t, options{})
	p := b.sas(t)
	b.behave(map[string]any{"detach_unsettled": true})
	require.NoError(t, send(t, p, notify.Payload{Body: []byte("twice"), Key: "the-same", Object: "K/n/o"}))
	for range 2 {
		got := b.next("message")
		assert.Equal(t, "twice", got.Body)
		assert.Equal(t, "the-same", got.ID)
	}
}

// A connection that the service has closed, as it does when its links have been
// idle, is made again by the delivery that needs it.
func TestClosedConnection(t *testing.T) {
	t.Parallel()
	b := run(t, options{})
	p := b.sas(t)
	require.NoError(t, deliver(t, p, "before"))
	const why = "The connection was inactive for more than the allowed 300000 milliseconds"
	for _, detached := range []bool{true, false} {
		if detached {
			b.orders(map[string]any{"do": "detach", "condition": "amqp:link:detach-forced", "description": "Idle timeout: 00:10:00."})
		}
		b.orders(map[string]any{"do": "close", "condition": "amqp:connection:forced", "description": why})
		b.next("gone")
		require.NoError(t, deliver(t, p, "after"), "detached: %v", detached)
	}
	assert.Len(t, b.all("message"), 3)
	assert.Len(t, b.all("open"), 3)
}

// A connection that is lost under way fails what was on it, and nothing is sent
// again that may have arrived.
func TestConnectionLostUnderWay(t *testing.T) {
	t.Parallel()
	b := run(t, options{})
	p := b.sas(t)
	b.behave(map[string]any{"ignore": true})
	lost := make(chan error, 1)
	go func() { lost <- p.Deliver(t.Context(), notify.Payload{Body: []byte("x")}) }()
	b.next("ignored")
	b.orders(map[string]any{"do": "close", "condition": "amqp:connection:forced", "description": "maintenance"})
	e := failure(t, <-lost)
	assert.Equal(t, notify.Retryable, e.Class)
	assert.Equal(t, "connection", e.Type)
	assert.Contains(t, e.Error(), "maintenance")
	assert.Empty(t, b.all("ignored"))
	b.behave(nil)
	require.NoError(t, deliver(t, p, "after"))
}

func TestAwayAtStart(t *testing.T) {
	t.Parallel()
	b := run(t, options{})
	b.kill()
	p := b.sas(t)
	e := failure(t, deliver(t, p, "too early"))
	assert.Equal(t, notify.Retryable, e.Class)
	assert.Equal(t, "connection", e.Type)
	assert.Contains(t, e.Error(), "connection refused")
	b = b.again()
	require.NoError(t, deliver(t, p, "now"))
	assert.Equal(t, "now", b.next("message").Body)
	assert.Empty(t, b.all("message"), "what failed was not kept and sent behind our back")
}

// Events flow while the service is killed and started again: whatever Deliver
// calls delivered is there.
func TestKilledWhileEventsFlow(t *testing.T) {
	t.Parallel()
	const writers, each = 4, 100
	first := run(t, options{})
	p := first.sas(t)
	var group sync.WaitGroup
	var failed sync.Map
	half := make(chan struct{}, writers*each)
	for w := range writers {
		group.Go(func() {
			for i := range each {
				body := fmt.Sprintf("%d-%d", w, i)
				assert.Eventually(t, func() bool {
					err := deliver(t, p, body)
					if err != nil {
						failed.Store(body, failure(t, err).Class)
					}
					return err == nil
				}, patient, 10*time.Millisecond, body)
				half <- struct{}{}
			}
		})
	}
	for range writers * each / 4 {
		<-half
	}
	first.kill()
	second := first.again()
	group.Wait()

	count := map[string]int{}
	repeated := 0
	for _, m := range append(first.all("message"), second.all("message")...) {
		count[m.Body]++
		if count[m.Body] > 1 {
			repeated++
		}
	}
	assert.Len(t, count, writers*each, "nothing is lost")
	failed.Range(func(body, class any) bool {
		assert.Equal(t, notify.Retryable, class, body)
		return true
	})
	t.Logf("%d events arrived twice: their acknowledgement was lost with the process", repeated)
}

// A service that takes an event and never says so does not hold a delivery past
// its context, nor the next one.
func TestNoAcknowledgement(t *testing.T) {
	t.Parallel()
	b := run(t, options{})
	p := b.sas(t)
	require.NoError(t, deliver(t, p, "before"))
	b.behave(map[string]any{"ignore": true})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	e := failure(t, p.Deliver(ctx, notify.Payload{Body: []byte("x")}))
	assert.Equal(t, notify.Retryable, e.Class)
	assert.Equal(t, "timeout", e.Type)
	require.ErrorIs(t, e, context.DeadlineExceeded)
	b.behave(nil)
	require.NoError(t, deliver(t, p, "after"))
}

// shutsDown within five seconds, whatever the service does.
func shutsDown(t *testing.T, p notify.Provider) {
	t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- p.(notify.Stopper).Shutdown(context.Background()) }()
	select {
	case err := <-ended:
		require.NoError(t, err)
	case <-time.After(5 * time.Second):
		require.Fail(t, "Shutdown goes on")
	}
}

func TestShutdownWithAFrozenService(t *testing.T) {
	t.Parallel()
	b := run(t, options{})
	p := b.sas(t)
	require.NoError(t, deliver(t, p, "before"))
	require.NoError(t, b.command.Process.Signal(syscall.SIGSTOP))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	assert.Equal(t, "timeout", failure(t, p.Deliver(ctx, notify.Payload{Body: []byte("x")})).Type)
	shutsDown(t, p)
	shutsDown(t, p)
}

// A service that accepts connections and says nothing holds neither a delivery,
// nor those that wait for the same connection, nor the end.
func TestSilentService(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	silent := broker{port: listener.Addr().(*net.TCPAddr).Port}
	plain := silent.connection(";EntityPath=" + hub)
	for _, address := range []string{plain, strings.Replace(plain, ";UseDevelopmentEmulator=true", "", 1)} {
		p := provider(t, notify.Settings{Address: address})
		var group sync.WaitGroup
		begun := time.Now()
		for range 3 {
			group.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
				defer cancel()
				e := failure(t, p.Deliver(ctx, notify.Payload{Body: []byte("x")}))
				assert.Equal(t, notify.Retryable, e.Class)
				assert.Equal(t, "timeout", e.Type)
			})
		}
		group.Wait()
		assert.Less(t, time.Since(begun), patient)
		shutsDown(t, p)
	}
}

func TestShutdownEndsDeliveries(t *testing.T) {
	t.Parallel()
	b := run(t, options{})
	p := b.sas(t)
	b.behave(map[string]any{"ignore": true})
	ended := make(chan error, 1)
	go func() { ended <- p.Deliver(context.Background(), notify.Payload{Body: []byte("x")}) }()
	b.next("ignored")
	shutsDown(t, p)
	assert.Equal(t, notify.Retryable, failure(t, <-ended).Class)
	assert.Equal(t, notify.Retryable, failure(t, deliver(t, p, "x")).Class)
	assert.Contains(t, failure(t, deliver(t, p, "x")).Error(), "the exporter has stopped")
}
