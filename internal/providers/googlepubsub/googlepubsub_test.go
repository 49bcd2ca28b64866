package googlepubsub_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/googlepubsub"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

const (
	project = "my-project"
	topic   = "flux-events"
	named   = "projects/my-project/topics/flux-events"
	patient = 20 * time.Second
)

// surroundings are what the tests run in: the environment leads to Google, and
// here all its ways lead to this process. It is read once in the life of one.
type surroundings struct{ *testing.M }

func (s surroundings) Run() int {
	for _, name := range []string{"PUBSUB_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_API_USE_CLIENT_CERTIFICATE", "NO_PROXY", "no_proxy", "https_proxy"} {
		_ = os.Unsetenv(name)
	}
	home, err := os.MkdirTemp("", "home")
	if err != nil {
		panic(err)
	}
	_ = os.Setenv("HOME", home) // where gcloud leaves credentials
	defer func() { _ = os.RemoveAll(home) }()
	defer setProxy()()
	defer setMetadata()()
	return s.M.Run()
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(surroundings{m}) }

// reactor judges a request before the server does.
type reactor func(*pubsubpb.PublishRequest) error

func (r reactor) React(request any) (handled bool, answer any, err error) {
	err = r(request.(*pubsubpb.PublishRequest))
	return err != nil, nil, err
}

// serve runs a server that has the topic.
func serve(tb testing.TB, judges ...reactor) *pstest.Server {
	tb.Helper()
	return serveAt(tb, "127.0.0.1:0", judges...)
}

func serveAt(tb testing.TB, address string, judges ...reactor) *pstest.Server {
	tb.Helper()
	options := make([]pstest.ServerReactorOption, len(judges))
	for i, judge := range judges {
		options[i] = pstest.ServerReactorOption{FuncName: "Publish", Reactor: judge}
	}
	server := pstest.NewServerWithAddress(address, options...)
	tb.Cleanup(func() { _ = server.Close() })
	createTopic(tb, server)
	return server
}

func createTopic(tb testing.TB, server *pstest.Server) {
	tb.Helper()
	_, err := server.GServer.CreateTopic(tb.Context(), &pubsubpb.Topic{Name: named})
	require.NoError(tb, err)
}

// provider is one that has started, of the server's.
func provider(tb testing.TB, address string, s notify.Settings) notify.Provider {
	tb.Helper()
	s.Address, s.Channel = project, topic
	timeout := s.ConnectTimeout
	s = providertest.Complete(tb, s)
	if timeout > 0 {
		s.ConnectTimeout = timeout
	}
	p, err := googlepubsub.New(s)
	require.NoError(tb, err)
	googlepubsub.Reach(p, to(address)...)
	tb.Cleanup(func() { require.NoError(tb, p.(notify.Stopper).Shutdown(context.Background())) })
	require.NoError(tb, p.(notify.Starter).Start(tb.Context()))
	return p
}

func to(address string) []option.ClientOption {
	return []option.ClientOption{
		option.WithEndpoint(address), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
	}
}

func deliver(tb testing.TB, p notify.Provider, body string) error {
	tb.Helper()
	return send(tb, p, notify.Payload{Body: []byte(body)})
}

func send(tb testing.TB, p notify.Provider, payload notify.Payload) error {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patient)
	defer cancel()
	return p.Deliver(ctx, payload)
}

func failure(tb testing.TB, err error) *notify.Error {
	tb.Helper()
	var e *notify.Error
	require.ErrorAs(tb, err, &e)
	return e
}

func bodies(server *pstest.Server) []string {
	var all []string
	for _, m := range server.Messages() {
		all = append(all, string(m.Data))
	}
	return all
}

func TestPublish(t *testing.T) {
	t.Parallel()
	server := serve(t)
	p := provider(t, server.Addr, notify.Settings{Headers: []notify.Header{{Name: "team", Value: "first"}, {Name: "env", Value: "prod"}, {Name: "team", Value: "platform"}}})
	payload := providertest.Payload(t, p)
	require.NoError(t, send(t, p, payload))
	messages := server.Messages()
	require.Len(t, messages, 1, "published once, when Deliver returns")
	assert.Equal(t, string(payload.Body), string(messages[0].Data))
	assert.Equal(t, map[string]string{"team": "platform", "env": "prod"}, messages[0].Attributes)
	assert.Equal(t, named, messages[0].Topic)
	assert.Empty(t, messages[0].OrderingKey)
	assert.Empty(t, payload.Object)
}

// A context without a deadline is a context too.
func TestNoDeadline(t *testing.T) {
	t.Parallel()
	server := serve(t)
	p := provider(t, server.Addr, notify.Settings{})
	require.NoError(t, p.Deliver(context.Background(), notify.Payload{Body: []byte("one")}))
	require.Len(t, server.Messages(), 1)
	assert.Empty(t, server.Messages()[0].Attributes)
}

func TestManyShareRequests(t *testing.T) {
	t.Parallel()
	const deliveries = 400
	var requests atomic.Int32
	server := serve(t, func(*pubsubpb.PublishRequest) error {
		requests.Add(1)
		return nil
	})
	p := provider(t, server.Addr, notify.Settings{})
	var want []string
	var group sync.WaitGroup
	for i := range deliveries {
		want = append(want, fmt.Sprint(i))
		group.Go(func() { assert.NoError(t, deliver(t, p, fmt.Sprint(i))) })
	}
	group.Wait()
	assert.ElementsMatch(t, want, bodies(server))
	assert.Less(t, requests.Load(), int32(deliveries))
}

// What is wrong with one message is not held against those that went with it.
func TestOneIsRefusedAlone(t *testing.T) {
	t.Parallel()
	var shared atomic.Bool
	server := serve(t, func(r *pubsubpb.PublishRequest) error {
		for _, m := range r.Messages {
			if string(m.Data) == "bad" {
				if len(r.Messages) > 1 {
					shared.Store(true)
				}
				return status.Error(codes.InvalidArgument, "does not match the topic's schema")
			}
		}
		return nil
	})
	p := provider(t, server.Addr, notify.Settings{})
	require.Eventually(t, func() bool {
		server.ClearMessages()
		var group sync.WaitGroup
		for i := range 50 {
			group.Go(func() { assert.NoError(t, deliver(t, p, fmt.Sprint(i))) })
		}
		e := failure(t, deliver(t, p, "bad"))
		group.Wait()
		assert.Equal(t, notify.Permanent, e.Class)
		assert.Len(t, server.Messages(), 50)
		return shared.Load()
	}, patient, time.Millisecond, "the bad one has shared a request")
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	server := serve(t, func(*pubsubpb.PublishRequest) error {
		requests.Add(1)
		return nil
	})
	p := provider(t, server.Addr, notify.Settings{})
	e := failure(t, deliver(t, p, strings.Repeat("x", 10_000_000)))
	assert.Equal(t, notify.Permanent, e.Class)
	assert.Equal(t, "too_large", e.Type)
	assert.Regexp(t, `100000\d\d bytes.* 10000000$`, e.Error())
	assert.Zero(t, requests.Load())
	require.NoError(t, deliver(t, p, strings.Repeat("x", 3<<20)))
}

func TestAfterShutdown(t *testing.T) {
	t.Parallel()
	server := serve(t)
	p := provider(t, server.Addr, notify.Settings{})
	require.NoError(t, deliver(t, p, "before"))
	require.NoError(t, p.(notify.Stopper).Shutdown(t.Context()))
	require.NoError(t, p.(notify.Stopper).Shutdown(t.Context()))
	e := failure(t, deliver(t, p, "after"))
	assert.Equal(t, notify.Retryable, e.Class)
	assert.Equal(t, []string{"before"}, bodies(server))
}
