package nats_test

import (
	"context"
	"net"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/nats"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

// mute takes connections, tells of each, and never says a word.
func mute(t *testing.T, address string) (url string, callers <-chan net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	accepted := make(chan net.Conn, 10)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = conn.Close() })
			accepted <- conn
		}
	}()
	return "nats://" + listener.Addr().String(), accepted
}

// hangsUp waits until the other side of a connection closes it.
func hangsUp(t *testing.T, callers <-chan net.Conn) {
	t.Helper()
	select {
	case conn := <-callers:
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(patient)))
		_, err := conn.Read(make([]byte, 1))
		require.Error(t, err)
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
	case <-time.After(patient):
		require.Fail(t, "nobody has called")
	}
}

// briefly delivers with a context that ends soon.
func briefly(t *testing.T, p notify.Provider) *notify.Error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	return failure(t, p.Deliver(ctx, notify.Payload{Body: []byte("x")}))
}

// endlessly is a provider with a timeout that nobody could wait for.
func endlessly(t *testing.T, address string) notify.Provider {
	t.Helper()
	s := providertest.Complete(t, notify.Settings{Address: address, Channel: subject})
	s.ConnectTimeout = time.Hour
	p, err := nats.New(s)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.(notify.Stopper).Shutdown(context.Background())) })
	return p
}

// Servers that say nothing hold neither Start nor Shutdown nor a delivery.
func TestSilentServersAtStart(t *testing.T) {
	t.Parallel()
	first, callers := mute(t, "127.0.0.1:0")
	for name, address := range map[string]string{"one": first, "two": first + "," + first} {
		p := endlessly(t, address)
		require.NoError(t, p.(notify.Starter).Start(t.Context()), name)
		e := briefly(t, p)
		assert.Equal(t, notify.Retryable, e.Class)
		require.ErrorContains(t, e, "not connected: no server has answered yet")
		require.NoError(t, p.(notify.Stopper).Shutdown(t.Context()), name)
		hangsUp(t, callers)
		assert.Equal(t, notify.Retryable, briefly(t, p).Class)
	}
}

// A context that has ended before Start returns is not that of the connection.
func TestTheContextOfStart(t *testing.T) {
	t.Parallel()
	s := run(t, server.Options{})
	p, err := nats.New(providertest.Complete(t, notify.Settings{Address: s.ClientURL(), Channel: subject}))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, p.(notify.Starter).Start(ctx))
	require.NoError(t, deliver(t, p, "x"))
	require.NoError(t, p.(notify.Stopper).Shutdown(ctx))
}

// The same where a server was there before.
func TestASilentServerLater(t *testing.T) {
	t.Parallel()
	s := run(t, server.Options{})
	address := s.Addr().String()
	p := endlessly(t, s.ClientURL())
	require.NoError(t, p.(notify.Starter).Start(t.Context()))
	require.NoError(t, deliver(t, p, "before"))
	s.Shutdown()
	s.WaitForShutdown()
	_, callers := mute(t, address)
	var caller net.Conn
	select {
	case caller = <-callers:
	case <-time.After(patient):
		require.Fail(t, "the provider does not connect again")
	}
	require.ErrorContains(t, briefly(t, p), "not connected")
	require.NoError(t, p.(notify.Stopper).Shutdown(t.Context()))
	again := make(chan net.Conn, 1)
	again <- caller
	hangsUp(t, again)
}

func TestCheckOfASilentServer(t *testing.T) {
	t.Parallel()
	address, callers := mute(t, "127.0.0.1:0")
	p := endlessly(t, address)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorContains(t, p.(notify.Checker).Check(ctx), "not connected")
	hangsUp(t, callers)
}
