// Package azureeventhub sends events as JSON to an Azure event hub, over AMQP.
//
// Nothing is escaped or shortened: a machine reads it. One producer serves every
// notification. It connects with the first, and again with the next one after a
// loss. The partition key is the object, so that a hub keeps the order of its
// events. Nothing is repeated in here but what met a link that the service had
// detached, or a connection that it had closed.
//
// Event Hubs keeps repetitions. An event whose acknowledgement was lost arrives
// twice, with the same message ID.
package azureeventhub

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/text"
	"github.com/fluxnotify/otelcol-flux/internal/version"
)

const (
	// maxPartitionKey is the longest partition key, in characters as .NET counts
	// them: https://learn.microsoft.com/dotnet/api/azure.messaging.servicebus.servicebusmessage.partitionkey
	// (the protocol's, which Event Hubs shares with Service Bus).
	maxPartitionKey = 128
	// closeTimeout is how long the service may take to say goodbye.
	closeTimeout = 2 * time.Second
)

// Provider sends to one event hub.
type Provider struct {
	endpoint endpoint
	token    *staticToken // nil: another credential
	line     *line
	client   *azeventhubs.ProducerClient
	// life ends with Shutdown, and with it whatever the SDK does unasked.
	life context.Context
	end  context.CancelFunc

	mu      sync.Mutex
	closed  bool
	sending sync.WaitGroup
}

// New makes a provider of a connection string, or of the names of an event hub
// and its namespace with a token or an ambient identity.
func New(s notify.Settings) (notify.Provider, error) {
	e, err := parse(s)
	if err != nil {
		return nil, err
	}
	p := &Provider{endpoint: e, line: newLine(e, s)}
	p.life, p.end = context.WithCancel(context.Background())
	options := &azeventhubs.ProducerClientOptions{
		ApplicationID: version.UserAgent(),
		// The exporter repeats, and knows how long.
		RetryOptions:     azeventhubs.RetryOptions{MaxRetries: -1},
		NewWebSocketConn: p.line.dial,
	}
	if e.connection != "" {
		p.client, err = azeventhubs.NewProducerClientFromConnectionString(e.connection, e.hubBeside(), options)
		if err != nil {
			return nil, errConnectionString // the SDK's error may repeat the address
		}
		return p, nil
	}
	credential, err := p.credential(s)
	if err != nil {
		return nil, err
	}
	p.client, err = azeventhubs.NewProducerClient(e.host, e.hub, credential, options)
	return p, err
}

// Render implements notify.Provider.
func (*Provider) Render(n *notify.Notification) ([]notify.Payload, error) {
	body, err := n.EventJSON()
	if err != nil {
		return nil, err
	}
	o := &n.Event.InvolvedObject
	return []notify.Payload{{
		Body:   body,
		Key:    n.MessageID(body),
		Object: o.Kind + "/" + o.Namespace + "/" + o.Name,
	}}, nil
}

// Deliver implements notify.Provider. It returns once the event hub has accepted
// the event. The SDK waits for some things, such as a token or who else is
// connecting, without regard to a context: that is left behind when ours ends.
func (p *Provider) Deliver(ctx context.Context, payload notify.Payload) error {
	if p.token != nil && p.token.expired() {
		return p.token.refusal()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.life, cancel)()
	done := make(chan error, 1)
	if !p.begin(func() { done <- p.sendAnew(ctx, payload) }) {
		return notify.Retryablef("connection", "not connected: the exporter has stopped")
	}
	select {
	case err := <-done:
		return p.explain(ctx, err)
	case <-ctx.Done():
	}
	select {
	case err := <-done: // both at once: the answer counts
		return p.explain(ctx, err)
	default:
		return p.explain(ctx, ctx.Err())
	}
}

// begin runs f beside its caller, unless Shutdown has been called.
func (p *Provider) begin(f func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.sending.Go(f)
	return true
}

// sendAnew sends on a new connection where the one before was lost earlier. The
// service closes what is idle for a quarter of an hour, as Flux may well be; the
// SDK notices when it sends, and fails:
// https://learn.microsoft.com/azure/service-bus-messaging/service-bus-amqp-troubleshoot
func (p *Provider) sendAnew(ctx context.Context, payload notify.Payload) error {
	lost := p.line.lost()
	err := p.send(ctx, payload)
	var known *azeventhubs.Error
	if lost && errors.As(err, &known) && known.Code == azeventhubs.ErrorCodeConnectionLost {
		return p.send(ctx, payload)
	}
	return err
}

func (p *Provider) send(ctx context.Context, payload notify.Payload) error {
	var options azeventhubs.EventDataBatchOptions
	if key := partitionKey(payload.Object); key != "" {
		options.PartitionKey = &key
	}
	// A batch of one: the SDK sends nothing else. It connects to learn the size.
	batch, err := p.client.NewEventDataBatch(ctx, &options)
	if err != nil {
		return err
	}
	event := &azeventhubs.EventData{Body: payload.Body}
	if payload.Key != "" {
		event.MessageID = &payload.Key
	}
	err = batch.AddEventData(event, nil)
	if errors.Is(err, azeventhubs.ErrEventDataTooLarge) {
		return p.tooLarge(ctx, len(payload.Body))
	}
	if err != nil {
		return notify.Permanentf("message", "the event is no message: %w", err)
	}
	return p.client.SendEventDataBatch(ctx, batch, nil)
}

// partitionKey keeps the events of an object in one partition, and so in order.
func partitionKey(object string) string {
	key := strings.ToValidUTF8(object, "\uFFFD")
	if text.InUTF16(key) <= maxPartitionKey {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// limitInWords finds the limit of the link in the SDK's words: it has no other
// way to ask.
var limitInWords = regexp.MustCompile(`allowed by link \((\d+)\)`)

func (p *Provider) tooLarge(ctx context.Context, size int) error {
	const advice = "shorten the message where it is made, or use a tier that takes more"
	var limit string
	_, err := p.client.NewEventDataBatch(ctx, &azeventhubs.EventDataBatchOptions{MaxBytes: math.MaxUint64})
	if err != nil {
		if found := limitInWords.FindStringSubmatch(err.Error()); found != nil {
			limit = found[1]
		}
	}
	switch limit {
	case "":
		return notify.Permanentf("too_large", "the event has %d bytes, more than the event hub takes: %s", size, advice)
	case "0": // the link is one that is being refused
		return notify.Retryablef("connection", "%s has not said what size it takes", p.endpoint.host)
	}
	return notify.Permanentf("too_large", "the event has %d bytes, with its envelope more than the %s that the event hub takes: %s", size, limit, advice)
}

// Shutdown implements notify.Stopper. A service that does not answer is left
// after closeTimeout.
func (p *Provider) Shutdown(ctx context.Context) error {
	p.mu.Lock()
	again := p.closed
	p.closed = true
	p.mu.Unlock()
	if again {
		return nil
	}
	p.end()
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.sending.Wait()
		_ = p.client.Close(ctx) // it has nothing left to lose
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		p.line.cut()
		<-ended
	}
	return nil
}

var (
	_ notify.Provider = (*Provider)(nil)
	_ notify.Stopper  = (*Provider)(nil)
)
