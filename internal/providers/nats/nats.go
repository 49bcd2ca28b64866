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
	"net"
	"sync"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/version"
)

// Provider publishes to one subject.
type Provider struct {
	subject string
	stream  bool
	options nats.Options
	logger  *zap.Logger

	// life ends with Shutdown, and with it whatever the client does.
	life    context.Context
	stop    context.CancelFunc
	running sync.WaitGroup
	// asked is closed once a server has answered, or each was tried in vain.
	asked chan struct{}
	ask   func()

	mu    sync.Mutex
	link  *link // nil without a connection
	cause error // why there is none
	// deaf: the server has refused the subscription to answers.
	deaf bool
	// heard is the server's last refusal, refused ends with the next.
	heard   error
	refused context.Context
	refuse  context.CancelCauseFunc
}

// New makes a provider of the URLs of servers and a subject. Credentials are a
// creds file's content, else an nkey seed, else user name and password, else
// those in the URLs.
func New(s notify.Settings) (notify.Provider, error) {
	servers, err := parseServers(s.Address)
	if err != nil {
		return nil, err
	}
	if err := checkSubject(s.Channel); err != nil {
		return nil, err
	}
	p := &Provider{subject: s.Channel, stream: s.JetStream, logger: s.Logger, asked: make(chan struct{})}
	p.ask = sync.OnceFunc(func() { close(p.asked) })
	p.life, p.stop = context.WithCancel(context.Background())
	p.refused, p.refuse = context.WithCancelCause(context.Background())
	p.options = nats.GetDefaultOptions()
	o := &p.options
	o.Servers = servers
	o.Name = version.UserAgent() + " " + s.UID
	o.Timeout = s.ConnectTimeout
	o.CustomDialer = &dialer{net.Dialer{Timeout: s.ConnectTimeout}, p.life}
	o.SkipHostLookup = true // the dialer looks up
	o.RetryOnFailedConnect = true
	o.MaxReconnect = -1
	o.IgnoreAuthErrorAbort = true // rotated credentials may be on their way
	o.ReconnectBufSize = -1
	p.handle(o)
	if err := authenticate(o, s); err != nil {
		return nil, err
	}
	if s.TLS != nil {
		o.Secure, o.TLSConfig = true, s.TLS.Clone()
	}
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
