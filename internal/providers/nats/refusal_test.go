package nats_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	client "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// guarded is a server with a stream, and a user who may do what its operator says
// and changes later.
type guarded struct {
	*server.Server
	options server.Options
}

func guard(t *testing.T, publish, subscribe []string) guarded {
	t.Helper()
	g := guarded{options: server.Options{JetStream: true, StoreDir: t.TempDir(), Port: server.RANDOM_PORT, Users: users(publish, subscribe)}}
	g.Server = run(t, g.options)
	js := streams(t, g.Server, client.UserInfo("operator", "0perator"))
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "events", Subjects: []string{subject}})
	require.NoError(t, err)
	return g
}

func users(publish, subscribe []string) []*server.User {
	return []*server.User{
		{Username: "operator", Password: "0perator"},
		{Username: "flux", Password: "s3cret-password", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Allow: publish}, Subscribe: &server.SubjectPermission{Allow: subscribe},
		}},
	}
}

// grant changes what the user may do, as a reload of the server's configuration
// does: who still is a user stays connected.
func (g guarded) grant(t *testing.T, publish, subscribe []string) {
	t.Helper()
	o := g.options
	o.Users = users(publish, subscribe)
	o.Host, o.NoLog, o.NoSigs = "127.0.0.1", true, true
	require.NoError(t, g.ReloadOptions(&o))
}

func (g guarded) provider(t *testing.T, stream bool) notify.Provider {
	t.Helper()
	return provider(t, notify.Settings{Address: g.ClientURL(), Username: "flux", Password: "s3cret-password", JetStream: stream})
}

func (g guarded) kept(t *testing.T) uint64 {
	t.Helper()
	return kept(t, streams(t, g.Server, client.UserInfo("operator", "0perator")))
}

// together are deliveries at the same time.
func together(n int, one func(id string)) {
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() { one(fmt.Sprint(i)) })
	}
	group.Wait()
}

// Who was refused once, and may publish now, does: on the same connection.
func TestDeniedAndThenGranted(t *testing.T) {
	t.Parallel()
	for name, stream := range map[string]bool{"flushed": false, "acknowledged": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			none, all := []string{"other.>"}, []string{subject}
			answers := []string{"_INBOX.>"}
			g := guard(t, none, answers)
			p := g.provider(t, stream)
			denied := func(id string) {
				e := failure(t, send(t, p, notify.Payload{Body: []byte(id), Key: id}))
				assert.Equal(t, notify.Permanent, e.Class)
				assert.Equal(t, "denied", e.Type)
				assert.ErrorContains(t, e, `publish to "flux.events"`)
			}
			granted := func(id string) { assert.NoError(t, send(t, p, notify.Payload{Body: []byte(id), Key: id})) }
			denied("first")
			denied("second")
			before := seen(t, g.Server)
			g.grant(t, all, answers)
			granted("third")
			together(20, granted)
			g.grant(t, none, answers)
			denied("fourth")
			together(20, denied)
			g.grant(t, all, answers)
			granted("fifth")
			together(20, func(id string) { granted("again " + id) })
			assert.Equal(t, before, seen(t, g.Server), "on the connection that was refused before")
			require.Eventually(t, func() bool { return g.kept(t) >= 42 }, patient, 10*time.Millisecond)
			assert.EqualValues(t, 42, g.kept(t), "what was reported as delivered, and nothing else")
		})
	}
}

// Another subject of the same user is none the worse.
func TestOneSubjectDenied(t *testing.T) {
	t.Parallel()
	g := guard(t, []string{"other.>"}, nil)
	allowed := provider(t, notify.Settings{Address: g.ClientURL(), Username: "flux", Password: "s3cret-password", Channel: "other.events"})
	require.NoError(t, deliver(t, allowed, "x"))
}

// A stream has the event, but may not say so to this user: that is told at once, by
// the permission which is missing, and is over when the user gets it.
func TestNoAnswersAndThenGranted(t *testing.T) {
	t.Parallel()
	all, none, answers := []string{subject}, []string{"other.>"}, []string{"_INBOX.>"}
	g := guard(t, all, none)
	p := g.provider(t, true)
	deaf := func(id string) {
		ctx, cancel := context.WithTimeout(t.Context(), patient)
		defer cancel()
		e := failure(t, p.Deliver(ctx, notify.Payload{Body: []byte(id), Key: id}))
		require.NoError(t, ctx.Err(), "not after a timeout")
		assert.Equal(t, notify.Permanent, e.Class)
		assert.Equal(t, "denied", e.Type)
		assert.ErrorContains(t, e, `subscribe to "_INBOX.>"`)
	}
	acknowledged := func(id string) {
		assert.Eventually(t, func() bool {
			err := send(t, p, notify.Payload{Body: []byte(id), Key: id})
			return err == nil || !assert.Equal(t, notify.Retryable, failure(t, err).Class, err)
		}, patient, time.Millisecond)
	}
	deaf("first")
	deaf("first")
	require.Eventually(t, func() bool { return g.kept(t) == 1 }, patient, time.Millisecond)
	together(20, deaf)
	g.grant(t, all, answers)
	acknowledged("first")
	together(20, acknowledged)
	assert.EqualValues(t, 21, g.kept(t), "each once")

	g.grant(t, all, none)
	require.Eventually(t, func() bool { return send(t, p, notify.Payload{Body: []byte("x"), Key: "x"}) != nil }, patient, time.Millisecond)
	deaf("second")
	g.grant(t, all, answers)
	acknowledged("second")
}

func TestCheckOfPermissions(t *testing.T) {
	t.Parallel()
	settings := notify.Settings{Username: "flux", Password: "s3cret-password", JetStream: true}
	g := guard(t, []string{subject}, []string{"other.>"})
	settings.Address = g.ClientURL()
	require.ErrorContains(t, check(t, settings), `subscribe to "_INBOX.>"`)
	g.grant(t, []string{subject}, []string{"_INBOX.>"})
	require.NoError(t, check(t, settings), "who may publish need not be one who may look")
}
