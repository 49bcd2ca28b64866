package googlepubsub_test

import (
	"context"
	"testing"

	"cloud.google.com/go/pubsub/v2"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

// BenchmarkPublish stands beside a user of the library, with its defaults, who
// waits for the acknowledgement of every message: a hundred at once, which is
// where those defaults are at their best. With fewer, the library lets each
// request wait for more.
func BenchmarkPublish(b *testing.B) {
	server := serve(b)
	client, err := pubsub.NewClient(b.Context(), project, to(server.Addr)...)
	require.NoError(b, err)
	defer func() { _ = client.Close() }()
	publisher := client.Publisher(topic)
	defer publisher.Stop()
	providertest.Beside(b, 100, provider(b, server.Addr, notify.Settings{}), func(ctx context.Context, _ string, body []byte) error {
		_, err := publisher.Publish(ctx, &pubsub.Message{Data: body}).Get(ctx)
		return err
	})
}
