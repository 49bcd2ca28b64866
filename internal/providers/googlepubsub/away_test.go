package googlepubsub_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/googlepubsub"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

func within(tb testing.TB, p notify.Provider, payload notify.Payload, d time.Duration) error {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), d)
	defer cancel()
	return p.Deliver(ctx, payload)
}

// free is an address on which nobody listens.
func free(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return listener.Addr().String()
}

// mute accepts connections and says nothing.
func mute(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var group sync.WaitGroup
	var open []net.Conn
	group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			open = append(open, conn)
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		group.Wait()
		for _, conn := range open {
			_ = conn.Close()
		}
	})
	return listener.Addr().String()
}

func TestAwayAtStart(t *testing.T) {
	t.Parallel()
	address := free(t)
	p := provider(t, address, notify.Settings{})
	e := failure(t, deliver(t, p, "too early"))
	assert.Equal(t, notify.Retryable, e.Class)
	assert.Equal(t, "unavailable", e.Type)
	assert.Contains(t, e.Error(), "connection refused")
	server := serveAt(t, address)
	require.Eventually(t, func() bool { return deliver(t, p, "now") == nil }, patient, 50*time.Millisecond)
	assert.Equal(t, []string{"now"}, bodies(server), "what failed was not kept and sent behind our back")
}

// Whatever was said to be delivered is with one of the two, and what was not is
// repeated until it is.
func TestRestartInMidStream(t *testing.T) {
	t.Parallel()
	const events = 300
	address := free(t)
	first := serveAt(t, address)
	p := provider(t, address, notify.Settings{Ordering: true})
	queue := make(chan string, events)
	var want []string
	for i := range events {
		want = append(want, fmt.Sprint(i))
		queue <- fmt.Sprint(i)
	}
	close(queue)
	var group, half sync.WaitGroup
	half.Add(events / 2)
	var done atomic.Int32
	for range 10 {
		group.Go(func() {
			for body := range queue {
				payload := notify.Payload{Body: []byte(body), Object: "object " + body[:1]}
				for send(t, p, payload) != nil {
					time.Sleep(10 * time.Millisecond) // as the exporter's retry does
				}
				if done.Add(1) <= events/2 {
					half.Done()
				}
			}
		})
	}
	half.Wait()
	require.NoError(t, first.Close())
	second := serveAt(t, address)
	group.Wait()
	got := map[string]bool{}
	for _, body := range append(bodies(first), bodies(second)...) {
		got[body] = true
	}
	assert.Len(t, got, events)
	for _, body := range want {
		assert.True(t, got[body], "%s is lost", body)
	}
	assert.NotEmpty(t, bodies(second), "the second has had some")
}

// A peer that says nothing holds no delivery past its context, nor an end.
func TestHangingPeer(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	hanging := serve(t, func(*pubsubpb.PublishRequest) error {
		<-release
		return nil
	})
	t.Cleanup(func() { close(release) })
	for name, address := range map[string]string{"never speaks": mute(t), "never answers": hanging.Addr} {
		for _, ordering := range []bool{false, true} {
			p := provider(t, address, notify.Settings{Ordering: ordering, ConnectTimeout: time.Hour})
			payload := notify.Payload{Body: []byte("x"), Object: "a"}
			for range 2 {
				e := failure(t, within(t, p, payload, 100*time.Millisecond))
				assert.Equal(t, notify.Retryable, e.Class, name)
				assert.Equal(t, "timeout", e.Type, name)
				require.ErrorIs(t, e, context.DeadlineExceeded, name)
			}
			ends(t, p)
		}
	}
}

func ends(t *testing.T, p notify.Provider) {
	t.Helper()
	ended := make(chan error, 2)
	go func() {
		ended <- p.(notify.Stopper).Shutdown(context.Background())
		ended <- p.(notify.Stopper).Shutdown(context.Background())
	}()
	for range 2 {
		select {
		case err := <-ended:
			require.NoError(t, err)
		case <-time.After(5 * time.Second):
			require.Fail(t, "Shutdown waits for a peer that hangs")
		}
	}
}

// The settings' timeout bounds what no context does.
func TestTimeoutWithoutADeadline(t *testing.T) {
	t.Parallel()
	p := provider(t, mute(t), notify.Settings{ConnectTimeout: 100 * time.Millisecond})
	e := failure(t, p.Deliver(context.Background(), notify.Payload{Body: []byte("x")}))
	assert.Equal(t, notify.Retryable, e.Class)
}

func TestShutdownBeforeStart(t *testing.T) {
	t.Parallel()
	p, err := googlepubsub.New(providertest.Complete(t, notify.Settings{Address: project, Channel: topic}))
	require.NoError(t, err)
	ends(t, p)
	assert.Equal(t, notify.Retryable, failure(t, deliver(t, p, "x")).Class)
}
