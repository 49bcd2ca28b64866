// Package googlepubsub publishes events as JSON to a Google Pub/Sub topic.
//
// Nothing is escaped or shortened: a machine reads it. One client and one
// publisher serve every notification. An event leaves at once; those that wait
// at the same moment share a request. The client library repeats nothing: the
// exporter does that, and knows what was delivered.
//
// Pub/Sub delivers at least once: a subscriber may see a repetition, be it
// Pub/Sub's own or one after an answer was lost.
package googlepubsub

import (
	"context"
	"fmt"
	"sync"
	"time"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/pubsub/v2"
	pubsubapi "cloud.google.com/go/pubsub/v2/apiv1"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

const (
	// gather is how long a request waits for more messages: too short beside the
	// way to Google and back to be noticed, long enough for a burst to share one.
	gather = 5 * time.Millisecond
	// most is how many messages share a request.
	most = 100
)

// Provider publishes to one topic.
type Provider struct {
	project, topic string
	attributes     map[string]string
	ordering       bool
	dial           dialing
	// quote is what an error shows of a text that somebody else wrote.
	quote func(string) string

	mu        sync.Mutex
	client    *pubsub.Client
	publisher *pubsub.Publisher
}

// New makes a provider of a project's and a topic's ID. The identity is that of
// the token, which is credentials in JSON, else the ambient one.
func New(s notify.Settings) (notify.Provider, error) {
	if err := checkProject(s.Address); err != nil {
		return nil, err
	}
	if err := checkTopic(s.Channel); err != nil {
		return nil, err
	}
	attributes, err := attributesOf(s.Headers)
	if err != nil {
		return nil, err
	}
	var identity *auth.Credentials
	secrets := []string{s.Token}
	for _, h := range s.Headers {
		secrets = append(secrets, h.Value)
	}
	if s.Token != "" {
		var inside []string
		if identity, inside, err = fromJSON(s.Token); err != nil {
			return nil, err
		}
		secrets = append(secrets, inside...)
	}
	return &Provider{
		project: s.Address, topic: s.Channel,
		attributes: attributes, ordering: s.Ordering,
		dial:  dialing{identity: identity, tls: s.TLS, timeout: s.ConnectTimeout},
		quote: httpsend.Quoter(secrets...),
	}, nil
}

// Start implements notify.Starter. It does not wait for Pub/Sub. It fails where
// there is no Google identity: the library looks for the ambient one once in the
// life of a process, so that only a restart finds one that comes later.
func (p *Provider) Start(context.Context) error {
	options, err := p.dial.options()
	if err != nil {
		return err
	}
	once := gax.WithRetry(func() gax.Retryer { return gax.OnCodes(nil, gax.Backoff{}) })
	client, err := pubsub.NewClientWithConfig(context.Background(), p.project, &pubsub.ClientConfig{
		TopicAdminCallOptions: &pubsubapi.TopicAdminCallOptions{Publish: []gax.CallOption{once}},
	}, options...)
	if err != nil {
		return fmt.Errorf("make the client: %s", p.quote(err.Error()))
	}
	publisher := client.Publisher(p.topic)
	publisher.EnableMessageOrdering = p.ordering
	publisher.PublishSettings.DelayThreshold = gather
	publisher.PublishSettings.CountThreshold = most
	if p.dial.timeout > 0 {
		publisher.PublishSettings.Timeout = p.dial.timeout
	}
	p.mu.Lock()
	p.client, p.publisher = client, publisher
	p.mu.Unlock()
	return nil
}

// Render implements notify.Provider.
func (p *Provider) Render(n *notify.Notification) ([]notify.Payload, error) {
	body, err := n.EventJSON()
	if err != nil {
		return nil, err
	}
	payload := notify.Payload{Body: body}
	if p.ordering {
		payload.Object = orderingKey(&n.Event.InvolvedObject)
	}
	return []notify.Payload{payload}, nil
}

// Deliver implements notify.Provider. It returns once Pub/Sub has the message.
// A publisher of the library keeps its own context; what has gone to it may
// still be published after this one has ended.
func (p *Provider) Deliver(ctx context.Context, payload notify.Payload) error {
	p.mu.Lock()
	client, publisher := p.client, p.publisher
	p.mu.Unlock()
	if publisher == nil {
		return notify.Retryablef("connection", "not connected")
	}
	if ctx.Err() != nil {
		return p.failure(ctx, ctx.Err())
	}
	msg := &pubsub.Message{Data: payload.Body, Attributes: p.attributes}
	if p.ordering {
		msg.OrderingKey = payload.Object
	}
	request := p.request(msg)
	if size := proto.Size(request); size > pubsub.MaxPublishRequestBytes {
		return notify.Permanentf("too_large", "the event makes a request of %d bytes, Pub/Sub takes %d", size, int(pubsub.MaxPublishRequestBytes))
	}
	if msg.OrderingKey != "" {
		// A failure has the library refuse the key from then on. The order is the
		// exporter's to keep: what comes now is what comes next.
		publisher.ResumePublish(msg.OrderingKey)
	}
	_, err := publisher.Publish(ctx, msg).Get(ctx)
	if status.Code(err) == codes.InvalidArgument {
		// One message that is refused, by a topic's schema perhaps, takes down all
		// that share its request: each is judged alone.
		_, err = client.TopicAdminClient.Publish(ctx, request)
	}
	if err != nil {
		return p.failure(ctx, err)
	}
	return nil
}

func (p *Provider) request(msg *pubsub.Message) *pubsubpb.PublishRequest {
	return &pubsubpb.PublishRequest{
		Topic:    "projects/" + p.project + "/topics/" + p.topic,
		Messages: []*pubsubpb.PubsubMessage{{Data: msg.Data, Attributes: msg.Attributes, OrderingKey: msg.OrderingKey}},
	}
}

// Shutdown implements notify.Stopper. Whatever was delivered was acknowledged.
// The connection goes first: it ends the requests on which the publisher's end
// would wait.
func (p *Provider) Shutdown(context.Context) error {
	p.mu.Lock()
	client, publisher := p.client, p.publisher
	p.client, p.publisher = nil, nil
	p.mu.Unlock()
	if client == nil {
		return nil
	}
	err := client.Close()
	publisher.Stop()
	return err
}

var (
	_ notify.Provider = (*Provider)(nil)
	_ notify.Starter  = (*Provider)(nil)
	_ notify.Stopper  = (*Provider)(nil)
)
