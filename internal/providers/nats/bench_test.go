package nats_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	client "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

// widths are how many deliveries there are at once: as the exporter has them by
// default, and with as many consumers as a busy one may have.
var widths = []int{10, 100}

// BenchmarkPublish stands beside a user of the library who gives every message an
// identity and flushes after it.
func BenchmarkPublish(b *testing.B) {
	s := run(b, server.Options{})
	conn, err := client.Connect(s.ClientURL())
	require.NoError(b, err)
	defer conn.Close()
	p := connected(b, notify.Settings{Address: s.ClientURL()})
	for _, atOnce := range widths {
		b.Run(fmt.Sprint(atOnce, " at once"), func(b *testing.B) {
			providertest.Beside(b, atOnce, p, func(ctx context.Context, id string, body []byte) error {
				msg := &client.Msg{Subject: subject, Data: body, Header: client.Header{client.MsgIdHdr: {id}}}
				if err := conn.PublishMsg(msg); err != nil {
					return err
				}
				return conn.FlushWithContext(ctx)
			})
		})
	}
}

// BenchmarkStream stands beside a user of the library who gives every message an
// identity and waits for the stream's acknowledgement of it.
func BenchmarkStream(b *testing.B) {
	s, js := withStream(b, &jetstream.StreamConfig{Name: "events", Subjects: []string{"flux.>"}, Storage: jetstream.MemoryStorage})
	p := connected(b, notify.Settings{Address: s.ClientURL(), JetStream: true})
	for _, atOnce := range widths {
		b.Run(fmt.Sprint(atOnce, " at once"), func(b *testing.B) {
			providertest.Beside(b, atOnce, p, func(ctx context.Context, id string, body []byte) error {
				_, err := js.Publish(ctx, subject, body, jetstream.WithMsgID(id))
				return err
			})
		})
	}
}

// connected is a provider with its connection up.
func connected(b *testing.B, s notify.Settings) notify.Provider {
	b.Helper()
	p := provider(b, s)
	for deliver(b, p, "first") != nil {
		continue
	}
	return p
}
