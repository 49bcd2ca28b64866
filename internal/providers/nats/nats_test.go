package nats_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	client "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/nats"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
	"github.com/fluxnotify/otelcol-flux/internal/version"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	subject = "flux.events"
	patient = 20 * time.Second
)

// run starts a server on a free port, or on the one that the options name.
func run(tb testing.TB, o server.Options) *server.Server {
	tb.Helper()
	o.Host, o.NoLog, o.NoSigs = "127.0.0.1", true, true
	if o.Port == 0 {
		o.Port = server.RANDOM_PORT
	}
	s, err := server.NewServer(&o)
	require.NoError(tb, err)
	s.Start()
	tb.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	require.True(tb, s.ReadyForConnections(patient))
	return s
}

func provider(tb testing.TB, s notify.Settings) notify.Provider {
	tb.Helper()
	if s.Channel == "" {
		s.Channel = subject
	}
	p, err := nats.New(providertest.Complete(tb, s))
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, p.(notify.Stopper).Shutdown(context.Background())) })
	require.NoError(tb, p.(notify.Starter).Start(tb.Context()))
	return p
}

// subscribe listens as somebody else does.
func subscribe(t *testing.T, url string, options ...client.Option) <-chan *client.Msg {
	t.Helper()
	conn, err := client.Connect(url, options...)
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	messages := make(chan *client.Msg, 1000)
	_, err = conn.ChanSubscribe(subject, messages)
	require.NoError(t, err)
	require.NoError(t, conn.Flush())
	return messages
}

func next(t *testing.T, messages <-chan *client.Msg) string {
	t.Helper()
	select {
	case m := <-messages:
		return string(m.Data)
	case <-time.After(patient):
		require.Fail(t, "nothing was published")
		return ""
	}
}

func deliver(tb testing.TB, p notify.Provider, body string) error {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patient)
	defer cancel()
	return p.Deliver(ctx, notify.Payload{Body: []byte(body)})
}

func failure(t *testing.T, err error) *notify.Error {
	t.Helper()
	var e *notify.Error
	require.ErrorAs(t, err, &e)
	return e
}

// reports waits until a delivery fails for a reason that the client needs a
// moment to find out, and again once that is known.
func reports(t *testing.T, p notify.Provider, cause string) {
	t.Helper()
	var e *notify.Error
	require.Eventually(t, func() bool {
		e = failure(t, deliver(t, p, "x"))
		return strings.Contains(strings.ToLower(e.Error()), cause)
	}, patient, time.Millisecond, cause)
	assert.Equal(t, notify.Retryable, e.Class)
	for _, secret := range []string{"an0ther", "s3cret"} {
		assert.NotContains(t, fmt.Sprintf("%+v", e), secret)
	}
}

func TestPublish(t *testing.T) {
	t.Parallel()
	s := run(t, server.Options{})
	messages := subscribe(t, s.ClientURL())
	p := provider(t, notify.Settings{Address: s.ClientURL()})
	payload := providertest.Payload(t, p)
	require.NoError(t, deliver(t, p, string(payload.Body)))
	clients, err := s.Connz(nil)
	require.NoError(t, err)
	assert.True(t, slices.ContainsFunc(clients.Conns, func(c *server.ConnInfo) bool {
		return strings.HasPrefix(c.Name, "otelcol-flux/"+version.String()+" ")
	}), "the client names itself")
	all, err := s.Varz(nil)
	require.NoError(t, err)
	assert.EqualValues(t, 1, all.InMsgs, "the server has it when Deliver returns")
	assert.Equal(t, string(payload.Body), next(t, messages))
	assert.Empty(t, messages, "published once")
}

// A context without a deadline is a context too.
func TestNoDeadline(t *testing.T) {
	t.Parallel()
	s := run(t, server.Options{})
	messages := subscribe(t, s.ClientURL())
	p := provider(t, notify.Settings{Address: s.ClientURL()})
	require.NoError(t, p.Deliver(context.Background(), notify.Payload{Body: []byte("one")}))
	assert.Equal(t, "one", next(t, messages))
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	pair, err := nkeys.CreateUser()
	require.NoError(t, err)
	public, err := pair.PublicKey()
	require.NoError(t, err)
	seed, err := pair.Seed()
	require.NoError(t, err)
	s := run(t, server.Options{
		Users: []*server.User{{Username: "flux", Password: "s3cret-password"}},
		Nkeys: []*server.NkeyUser{{Nkey: public}},
	})
	at := s.ClientURL()
	withUser := strings.Replace(at, "nats://", "nats://flux:s3cret-password@", 1)
	for name, settings := range map[string]notify.Settings{
		"user and password": {Address: at, Username: "flux", Password: "s3cret-password"},
		"in the address":    {Address: withUser},
		"nkey":              {Address: at, Secrets: map[string]string{"nkey": string(seed)}},
		"nkey before user":  {Address: at, Username: "flux", Password: "wrong", Secrets: map[string]string{"nkey": string(seed)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			messages := subscribe(t, withUser)
			require.NoError(t, deliver(t, provider(t, settings), name))
			for next(t, messages) != name { // others publish at the same time
			}
		})
	}
}

func TestWrongPassword(t *testing.T) {
	t.Parallel()
	s := run(t, server.Options{Username: "flux", Password: "s3cret-password"})
	for _, settings := range []notify.Settings{
		{Address: s.ClientURL(), Username: "flux", Password: "an0ther-password"},
		{Address: strings.Replace(s.ClientURL(), "nats://", "nats://flux:an0ther-password@", 1)},
	} {
		reports(t, provider(t, settings), "authorization violation")
	}
}

// A server that has refused the password again and again is asked again: its
// own users may be what is late.
func TestPasswordAcceptedLater(t *testing.T) {
	t.Parallel()
	s := run(t, server.Options{Username: "flux", Password: "an0ther-password"})
	port := s.Addr().(*net.TCPAddr).Port
	p := provider(t, notify.Settings{Address: s.ClientURL(), Username: "flux", Password: "s3cret-password"})
	require.Eventually(t, func() bool {
		all, err := s.Varz(nil)
		return err == nil && all.TotalConnections >= 3
	}, patient, 50*time.Millisecond)
	s.Shutdown()
	s.WaitForShutdown()
	run(t, server.Options{Port: port, Username: "flux", Password: "s3cret-password"})
	require.Eventually(t, func() bool { return deliver(t, p, "now") == nil }, patient, 50*time.Millisecond)
}

// The server counts the headers too.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	const limit = 1000
	headers := len("NATS/1.0\r\nNats-Msg-Id: key\r\n\r\n")
	for name, stream := range map[string]bool{"flushed": false, "acknowledged": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := run(t, server.Options{MaxPayload: limit, JetStream: true, StoreDir: t.TempDir()})
			_, err := streams(t, s).CreateStream(t.Context(), jetstream.StreamConfig{Name: "events", Subjects: []string{subject}})
			require.NoError(t, err)
			messages := subscribe(t, s.ClientURL())
			p := provider(t, notify.Settings{Address: s.ClientURL(), JetStream: stream})
			for _, over := range []int{1, headers, 5000} {
				e := failure(t, send(t, p, notify.Payload{Key: "key", Body: make([]byte, limit-headers+over)}))
				assert.Equal(t, notify.Permanent, e.Class)
				assert.Equal(t, "too_large", e.Type)
				require.ErrorContains(t, e, fmt.Sprintf("has %d bytes with its headers, the server takes 1000", limit+over))
			}
			require.NoError(t, send(t, p, notify.Payload{Key: "key", Body: make([]byte, limit-headers)}), "the connection is none the worse")
			assert.Len(t, next(t, messages), limit-headers)
			require.NoError(t, deliver(t, p, strings.Repeat("x", limit)), "without headers")
		})
	}
}

func TestRestart(t *testing.T) {
	t.Parallel()
	s := run(t, server.Options{})
	port := s.Addr().(*net.TCPAddr).Port
	p := provider(t, notify.Settings{Address: s.ClientURL()})
	require.NoError(t, deliver(t, p, "before"))
	s.Shutdown()
	s.WaitForShutdown()
	e := failure(t, deliver(t, p, "while it is away"))
	assert.Equal(t, notify.Retryable, e.Class)

	s = run(t, server.Options{Port: port})
	messages := subscribe(t, s.ClientURL())
	require.Eventually(t, func() bool { return deliver(t, p, "after") == nil }, patient, 50*time.Millisecond)
	assert.Equal(t, "after", next(t, messages))
	assert.Empty(t, messages, "what failed was not kept and sent behind our back")
}

func TestServerAwayAtStart(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := listener.Addr().(*net.TCPAddr).Port
	require.NoError(t, listener.Close())

	p := provider(t, notify.Settings{Address: fmt.Sprintf("nats://flux:s3cret-password@127.0.0.1:%d", port)})
	e := failure(t, deliver(t, p, "too early"))
	assert.Equal(t, notify.Retryable, e.Class)
	assert.Contains(t, e.Error(), "not connected")
	reports(t, p, "connection refused")

	run(t, server.Options{Port: port})
	require.Eventually(t, func() bool { return deliver(t, p, "now") == nil }, patient, 50*time.Millisecond)
}

// A server that says nothing does not hold a delivery past its context.
func TestSilentServer(t *testing.T) {
	t.Parallel()
	s := run(t, server.Options{})
	silent := newTunnel(t, s.Addr().String())
	p := provider(t, notify.Settings{Address: "nats://" + silent.listener.Addr().String()})
	require.NoError(t, deliver(t, p, "through"))
	silent.stall()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	e := failure(t, p.Deliver(ctx, notify.Payload{Body: []byte("x")}))
	assert.Equal(t, notify.Retryable, e.Class)
	assert.Equal(t, "timeout", e.Type)
	assert.ErrorIs(t, e, context.DeadlineExceeded)
}

func TestOneConnectionForAll(t *testing.T) {
	t.Parallel()
	const deliveries = 200
	s := run(t, server.Options{})
	messages := subscribe(t, s.ClientURL())
	p := provider(t, notify.Settings{Address: s.ClientURL()})
	var group sync.WaitGroup
	for i := range deliveries {
		group.Go(func() { assert.NoError(t, deliver(t, p, fmt.Sprint(i))) })
	}
	group.Wait()
	seen := map[string]bool{}
	for range deliveries {
		seen[next(t, messages)] = true
	}
	assert.Len(t, seen, deliveries)
	all, err := s.Varz(nil)
	require.NoError(t, err)
	assert.EqualValues(t, 2, all.TotalConnections, "the subscriber's and ours")
}

func TestAfterShutdown(t *testing.T) {
	t.Parallel()
	s := run(t, server.Options{})
	p := provider(t, notify.Settings{Address: s.ClientURL()})
	require.NoError(t, p.(notify.Stopper).Shutdown(t.Context()))
	assert.Equal(t, notify.Retryable, failure(t, deliver(t, p, "x")).Class)
	require.Eventually(t, func() bool { return s.NumClients() == 0 }, patient, time.Millisecond)
}
