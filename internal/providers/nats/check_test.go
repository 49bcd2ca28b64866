package nats_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/nats"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

// check asks a provider that was never started.
func check(t *testing.T, s notify.Settings) error {
	t.Helper()
	s.Channel = subject
	p, err := nats.New(providertest.Complete(t, s))
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	return p.(notify.Checker).Check(ctx)
}

func TestCheck(t *testing.T) {
	t.Parallel()
	s := run(t, server.Options{Username: "flux", Password: "canary-right"})
	messages := s.NumSubscriptions()
	require.NoError(t, check(t, notify.Settings{Address: s.ClientURL(), Username: "flux", Password: "canary-right"}))
	require.Equal(t, messages, s.NumSubscriptions())
	require.Eventually(t, func() bool { return s.NumClients() == 0 }, patient, 5*time.Millisecond, "the connection is closed")

	err := check(t, notify.Settings{Address: s.ClientURL(), Username: "flux", Password: "canary-wrong"})
	require.ErrorContains(t, err, "Authorization Violation")
	require.NotContains(t, err.Error(), "canary")
	s.Shutdown()
	s.WaitForShutdown()
	require.ErrorContains(t, check(t, notify.Settings{Address: s.ClientURL()}), "not connected: nats: no servers available")
}

func TestCheckOfAStream(t *testing.T) {
	t.Parallel()
	s, js := withStream(t, nil)
	require.ErrorContains(t, check(t, notify.Settings{Address: s.ClientURL(), JetStream: true}), "no stream takes the subject")
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "events", Subjects: []string{subject}})
	require.NoError(t, err)
	require.NoError(t, check(t, notify.Settings{Address: s.ClientURL(), JetStream: true}))
	require.Zero(t, kept(t, js), "nobody was told anything")
	none := run(t, server.Options{})
	require.ErrorContains(t, check(t, notify.Settings{Address: none.ClientURL(), JetStream: true}), "no stream takes the subject")
}
