package nats_test

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	client "github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/nats"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

func TestBadSettings(t *testing.T) {
	t.Parallel()
	const good = "nats://127.0.0.1:4222"
	for _, c := range []struct {
		name     string
		settings notify.Settings
		want     string
	}{
		{"no subject", notify.Settings{Address: good}, "channel: must be set"},
		{"a space", notify.Settings{Address: good, Channel: "flux events"}, `channel: "flux events"`},
		{"a line break", notify.Settings{Address: good, Channel: "flux\r\nPUB x 1"}, `channel: "flux\r\nPUB x 1"`},
		{"a star", notify.Settings{Address: good, Channel: "flux.*"}, "no wildcards"},
		{"an arrow", notify.Settings{Address: good, Channel: "flux.>"}, "no wildcards"},
		{"an empty part", notify.Settings{Address: good, Channel: "flux..events"}, "no empty parts"},
		{"a dot at the end", notify.Settings{Address: good, Channel: "flux."}, "no empty parts"},
		{"a dot at the start", notify.Settings{Address: good, Channel: ".flux"}, "no empty parts"},
		{"no address", notify.Settings{Channel: "flux"}, "address: must be set"},
		{"another protocol", notify.Settings{Address: "https://flux:s3cret@127.0.0.1", Channel: "flux"}, `address: the scheme "https"`},
		{"a bad second server", notify.Settings{Address: good + ",nats://", Channel: "flux"}, "address: every server"},
		{"two protocols", notify.Settings{Address: good + ",wss://a.example.com", Channel: "flux"}, "address: servers of ws or wss cannot be mixed"},
		{"no seed", notify.Settings{Address: good, Channel: "flux", Secrets: map[string]string{"nkey": "s3cret"}}, "nkey: is not"},
	} {
		_, err := nats.New(providertest.Complete(t, c.settings))
		require.ErrorContains(t, err, c.want, c.name)
		assert.NotContains(t, err.Error(), "s3cret", c.name)
	}
	for _, address := range []string{"127.0.0.1", "localhost:4222", "tls://a.example.com, nats://b.example.com:4223", "wss://a.example.com", "nats://a.example.com/"} {
		_, err := nats.New(providertest.Complete(t, notify.Settings{Address: address, Channel: "flux.events"}))
		require.NoError(t, err, address)
	}
}

// operator is a chain of trust: who signs accounts, an account, and a user of it.
type operator struct {
	options server.Options
	creds   string
}

func newOperator(t *testing.T) operator {
	t.Helper()
	create := func(make func() (nkeys.KeyPair, error)) (nkeys.KeyPair, string) {
		pair, err := make()
		require.NoError(t, err)
		public, err := pair.PublicKey()
		require.NoError(t, err)
		return pair, public
	}
	signer, signerKey := create(nkeys.CreateOperator)
	account, accountKey := create(nkeys.CreateAccount)
	user, userKey := create(nkeys.CreateUser)

	accountJWT, err := jwt.NewAccountClaims(accountKey).Encode(signer)
	require.NoError(t, err)
	userJWT, err := jwt.NewUserClaims(userKey).Encode(account)
	require.NoError(t, err)
	seed, err := user.Seed()
	require.NoError(t, err)
	creds, err := jwt.FormatUserConfig(userJWT, seed)
	require.NoError(t, err)

	resolver := &server.MemAccResolver{}
	require.NoError(t, resolver.Store(accountKey, accountJWT))
	return operator{server.Options{TrustedKeys: []string{signerKey}, AccountResolver: resolver}, string(creds)}
}

func TestCreds(t *testing.T) {
	t.Parallel()
	known, unknown := newOperator(t), newOperator(t)
	s := run(t, known.options)
	userJWT, err := jwt.ParseDecoratedJWT([]byte(known.creds))
	require.NoError(t, err)
	pair, err := jwt.ParseDecoratedUserNKey([]byte(known.creds))
	require.NoError(t, err)
	messages := subscribe(t, s.ClientURL(), client.UserJWT(func() (string, error) { return userJWT, nil }, pair.Sign))

	p := provider(t, notify.Settings{
		Address: s.ClientURL(), Username: "flux", Password: "wrong",
		Secrets: map[string]string{"creds": known.creds},
	})
	require.NoError(t, deliver(t, p, "by creds"))
	assert.Equal(t, "by creds", next(t, messages))

	p = provider(t, notify.Settings{Address: s.ClientURL(), Secrets: map[string]string{"creds": unknown.creds}})
	reports(t, p, "authorization violation")
}

// tunnel leads to a server, until it is stalled: then bytes go no further, and
// the connection stays.
type tunnel struct {
	listener net.Listener
	stalled  atomic.Bool
}

func newTunnel(t *testing.T, to string) *tunnel {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	tun := &tunnel{listener: listener}
	var group sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	group.Go(func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				_ = from.Close()
				continue
			}
			mu.Lock()
			open = append(open, from, server)
			mu.Unlock()
			group.Go(func() { _, _ = io.Copy(server, from) })
			group.Go(func() { tun.answer(from, server) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		mu.Lock()
		for _, c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		group.Wait()
	})
	return tun
}

func (t *tunnel) stall() { t.stalled.Store(true) }

func (t *tunnel) answer(to io.Writer, from io.Reader) {
	buffer := make([]byte, 4096)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if t.stalled.Load() {
			continue
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}
