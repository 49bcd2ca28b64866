package nats_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	client "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

// withStream runs a server that keeps what is published to the subject.
func withStream(tb testing.TB, config *jetstream.StreamConfig) (*server.Server, jetstream.JetStream) {
	tb.Helper()
	s := run(tb, server.Options{JetStream: true, StoreDir: tb.TempDir()})
	js := streams(tb, s)
	if config != nil {
		_, err := js.CreateStream(tb.Context(), *config)
		require.NoError(tb, err)
	}
	return s, js
}

// streams looks into a server as its operator does.
func streams(tb testing.TB, s *server.Server, options ...client.Option) jetstream.JetStream {
	tb.Helper()
	conn, err := client.Connect(s.ClientURL(), options...)
	require.NoError(tb, err)
	tb.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	require.NoError(tb, err)
	return js
}

func kept(t *testing.T, js jetstream.JetStream) uint64 {
	t.Helper()
	stream, err := js.Stream(t.Context(), "events")
	require.NoError(t, err)
	info, err := stream.Info(t.Context())
	require.NoError(t, err)
	return info.State.Msgs
}

func TestAStreamKeepsNoRepetition(t *testing.T) {
	t.Parallel()
	for name, acknowledged := range map[string]bool{"acknowledged": true, "flushed": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, js := withStream(t, &jetstream.StreamConfig{Name: "events", Subjects: []string{"flux.>"}})
			p := provider(t, notify.Settings{Address: s.ClientURL(), JetStream: acknowledged})
			payload := providertest.Payload(t, p)
			for range 3 {
				require.NoError(t, send(t, p, payload))
			}
			require.Eventually(t, func() bool { return kept(t, js) == 1 }, patient, time.Millisecond)

			n := providertest.Notification(t, providertest.Event(t, "kustomization-failed"))
			n.Alert.UID = "another alert"
			other, err := p.Render(n)
			require.NoError(t, err)
			require.NoError(t, send(t, p, other[0]))
			require.Eventually(t, func() bool { return kept(t, js) == 2 }, patient, time.Millisecond, "the same event for another alert is another message")
		})
	}
}

func send(t *testing.T, p notify.Provider, payload notify.Payload) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	return p.Deliver(ctx, payload)
}

func TestAStreamThatIsMissing(t *testing.T) {
	t.Parallel()
	s, js := withStream(t, nil)
	p := provider(t, notify.Settings{Address: s.ClientURL(), JetStream: true})
	payload := providertest.Payload(t, p)
	e := failure(t, send(t, p, payload))
	assert.Equal(t, notify.Retryable, e.Class)
	assert.Equal(t, "no_stream", e.Type)
	require.ErrorContains(t, e, subject)
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "events", Subjects: []string{subject}})
	require.NoError(t, err)
	require.NoError(t, send(t, p, payload))
	assert.EqualValues(t, 1, kept(t, js))
}

func TestAFullStreamIsTriedAgain(t *testing.T) {
	t.Parallel()
	s, _ := withStream(t, &jetstream.StreamConfig{Name: "events", Subjects: []string{subject}, MaxMsgs: 1, Discard: jetstream.DiscardNew})
	p := provider(t, notify.Settings{Address: s.ClientURL(), JetStream: true})
	require.NoError(t, deliver(t, p, "one"))
	e := failure(t, deliver(t, p, "two"))
	assert.Equal(t, notify.Retryable, e.Class)
	require.ErrorContains(t, e, "maximum messages exceeded")
}
