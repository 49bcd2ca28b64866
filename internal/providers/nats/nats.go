// Package nats publishes events as JSON to a NATS subject.
//
// Nothing is escaped or shortened: a machine reads it. One connection serves
// every notification and reconnects for ever. Nothing is buffered while it is
// away: the exporter's queue does that, and knows what was delivered.
//
// Every message has a Nats-Msg-Id, so that a stream does not keep a repetition
// (within its duplicate window, two minutes by default). Subscribers without a
// stream may see a repetition after an answer was lost.
package nats

import (
	"context"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// Provider publishes to one subject.
type Provider struct {
	servers string
	subject string
	stream  bool
	options []nats.Option

	mu   sync.Mutex
	conn *nats.Conn
	js   jetstream.JetStream // where stream is set
	// cause is why there is no connection. The client forgets it between its
	// attempts.
	cause error
	// connected ends with the connection: whoever waits for an answer on it
	// waits no longer.
	connected context.Context
	lose      context.CancelFunc
}

// New makes a provider of the URLs of servers and a subject. Credentials are a
// creds file's content, else an nkey seed, else user name and password, else
// those in the URLs.
func New(s notify.Settings) (notify.Provider, error) {
	if err := checkServers(s.Address); err != nil {
		return nil, err
	}
	if err := checkSubject(s.Channel); err != nil {
		return nil, err
	}
	p := &Provider{servers: s.Address, subject: s.Channel, stream: s.JetStream}
	p.connected, p.lose = context.WithCancel(context.Background())
	options := []nats.Option{
		nats.Name("otelcol-flux " + s.UID),
		nats.Timeout(s.ConnectTimeout),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(), // rotated credentials may be on their way
		nats.ReconnectBufSize(-1),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}), // Deliver reports them
		nats.ReconnectErrHandler(p.remember),
		nats.DisconnectErrHandler(func(conn *nats.Conn, err error) {
			p.remember(conn, err)
			p.lost()
			if err != nil {
				s.Logger.Debug("nats connection lost, reconnecting", zap.Error(err))
			}
		}),
	}
	auth, err := authenticate(s)
	if err != nil {
		return nil, err
	}
	if auth != nil {
		options = append(options, auth)
	}
	if s.TLS != nil {
		options = append(options, nats.Secure(s.TLS.Clone()))
	}
	p.options = options
	return p, nil
}

// Render implements notify.Provider.
func (*Provider) Render(n *notify.Notification) ([]notify.Payload, error) {
	body, err := n.EventJSON()
	if err != nil {
		return nil, err
	}
	return []notify.Payload{{Body: body, Key: n.MessageID(body)}}, nil
}

var (
	_ notify.Provider = (*Provider)(nil)
	_ notify.Starter  = (*Provider)(nil)
	_ notify.Stopper  = (*Provider)(nil)
)
