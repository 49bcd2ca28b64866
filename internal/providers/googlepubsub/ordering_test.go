package googlepubsub_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

func TestOrderingKey(t *testing.T) {
	t.Parallel()
	server := serve(t)
	p := provider(t, server.Addr, notify.Settings{Ordering: true})
	key := func(kind, namespace, name string) string {
		n := providertest.Notification(t, fluxevent.Event{InvolvedObject: fluxevent.Object{Kind: kind, Namespace: namespace, Name: name}})
		payloads, err := p.Render(n)
		require.NoError(t, err)
		require.NoError(t, send(t, p, payloads[0]))
		messages := server.Messages()
		assert.Equal(t, payloads[0].Object, messages[len(messages)-1].OrderingKey)
		return payloads[0].Object
	}
	assert.Equal(t, "Kustomization/apps/webapp", key("Kustomization", "apps", "webapp"))
	assert.NotEqual(t, key("a", "b/c", "d"), key("a/b", "c", "d"))
	assert.NotEqual(t, key("a", "b%2Fc", "d"), key("a", "b/c", "d"))
	assert.NotEmpty(t, key("", "", ""))
	assert.NotContains(t, key("\xff", "ä", "🚀"), "\xff", "a key is UTF-8")

	long := strings.Repeat("n", 1000)
	assert.Len(t, key("K", strings.Repeat("n", 20), long), 1023)
	assert.Len(t, key("K", strings.Repeat("n", 22), long), 64, "over 1,024 bytes")
	assert.NotEqual(t, key("K", long, long), key("L", long, long))
}

// The library refuses a key after a failure; what fails here is repeated, and
// what follows it goes on.
func TestOrderingGoesOnAfterAFailure(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	server := serve(t, func(*pubsubpb.PublishRequest) error {
		if broken.Load() {
			return status.Error(codes.Unavailable, "not now")
		}
		return nil
	})
	p := provider(t, server.Addr, notify.Settings{Ordering: true})
	about := func(object, body string) error {
		return send(t, p, notify.Payload{Object: object, Body: []byte(body)})
	}
	require.NoError(t, about("a", "1"))
	broken.Store(true)
	for range 3 {
		assert.Equal(t, "unavailable", failure(t, about("a", "2")).Type)
		assert.Equal(t, "unavailable", failure(t, about("b", "2")).Type)
	}
	broken.Store(false)
	for _, body := range []string{"2", "3", "4"} {
		require.NoError(t, about("a", body))
	}
	assert.Equal(t, []string{"1", "2", "3", "4"}, bodies(server))
}

// A request that hangs fails after its delivery has ended: what has come since
// is refused, and what comes then is not.
func TestOrderingGoesOnAfterAHang(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	server := serve(t, func(*pubsubpb.PublishRequest) error {
		<-release
		return nil
	})
	t.Cleanup(func() {
		select {
		case <-release:
		default:
			close(release)
		}
	})
	p := provider(t, server.Addr, notify.Settings{Ordering: true, ConnectTimeout: 300 * time.Millisecond})
	payload := notify.Payload{Object: "a", Body: []byte("1")}
	assert.Equal(t, "timeout", failure(t, within(t, p, payload, 50*time.Millisecond)).Type)
	e := failure(t, send(t, p, payload))
	assert.Equal(t, "paused", e.Type)
	assert.Equal(t, notify.Retryable, e.Class)
	close(release)
	require.NoError(t, send(t, p, payload))
	assert.Contains(t, bodies(server), "1")
}

func TestWithoutOrderingThereIsNoKey(t *testing.T) {
	t.Parallel()
	server := serve(t)
	p := provider(t, server.Addr, notify.Settings{})
	for i := range 3 {
		require.NoError(t, send(t, p, notify.Payload{Object: "somebody's", Body: []byte(fmt.Sprint(i))}))
	}
	for _, m := range server.Messages() {
		assert.Empty(t, m.OrderingKey)
	}
}
