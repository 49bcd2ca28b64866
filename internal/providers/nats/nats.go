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
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
	"go.uber.org/zap"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// flushTimeout bounds the wait for the server where the context does not: the
// client refuses to wait without an end, after the message is on its way.
const flushTimeout = time.Minute

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

func checkServers(address string) error {
	if address == "" {
		return errors.New("address: must be set to the URL of a NATS server such as nats://nats.example.com:4222, or to several with commas between them")
	}
	for _, server := range strings.Split(address, ",") {
		server = strings.TrimSpace(server)
		if !strings.Contains(server, "://") {
			server = "nats://" + server
		}
		u, err := url.Parse(server)
		if err != nil || u.Hostname() == "" {
			return errors.New("address: every server must be a URL such as nats://nats.example.com:4222")
		}
		switch u.Scheme {
		case "nats", "tls", "ws", "wss":
		default:
			return fmt.Errorf("address: the scheme %q is not one of nats, tls, ws, wss", u.Scheme)
		}
	}
	return nil
}

func checkSubject(subject string) error {
	if subject == "" {
		return errors.New("channel: must be set to the subject to publish to, such as flux.events")
	}
	for _, token := range strings.Split(subject, ".") {
		if token == "" || strings.ContainsAny(token, "*> \t\r\n") {
			return fmt.Errorf("channel: %q is not a subject that can be published to: no spaces, no wildcards, no empty parts between dots", subject)
		}
	}
	return nil
}

func authenticate(s notify.Settings) (nats.Option, error) {
	switch {
	case s.Secrets["creds"] != "":
		return nats.UserCredentialBytes([]byte(s.Secrets["creds"])), nil
	case s.Secrets["nkey"] != "":
		pair, err := nkeys.FromSeed([]byte(s.Secrets["nkey"]))
		if err != nil {
			return nil, errors.New("nkey: is not an nkey seed (SU…)")
		}
		public, err := pair.PublicKey()
		if err != nil {
			return nil, errors.New("nkey: is not an nkey seed (SU…)")
		}
		return nats.Nkey(public, pair.Sign), nil
	case s.Username != "" || s.Password != "":
		return nats.UserInfo(s.Username, s.Password), nil
	}
	return nil, nil
}

// Start implements notify.Starter. It does not wait for the server.
func (p *Provider) Start(context.Context) error {
	conn, err := nats.Connect(p.servers, p.options...)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	var js jetstream.JetStream
	if p.stream {
		if js, err = jetstream.New(conn); err != nil {
			conn.Close()
			return fmt.Errorf("jetstream: %w", err)
		}
	}
	p.mu.Lock()
	p.conn, p.js = conn, js
	p.mu.Unlock()
	return nil
}

// Render implements notify.Provider.
func (*Provider) Render(n *notify.Notification) ([]notify.Payload, error) {
	body, err := n.EventJSON()
	if err != nil {
		return nil, err
	}
	return []notify.Payload{{Body: body, Key: n.MessageID(body)}}, nil
}

// Deliver implements notify.Provider. It returns once the server has the
// message: the answer to a flush comes after all that was sent before it.
func (p *Provider) Deliver(ctx context.Context, payload notify.Payload) error {
	p.mu.Lock()
	conn, js, cause, connected := p.conn, p.js, p.cause, p.connected
	p.mu.Unlock()
	if conn == nil || conn.IsClosed() {
		return notify.Retryablef("connection", "not connected")
	}
	if !conn.IsConnected() {
		return notConnected(conn, cause)
	}
	if size, limit := int64(len(payload.Body)), conn.MaxPayload(); size > limit {
		return notify.Permanentf("too_large", "the event has %d bytes, the server takes %d: raise max_payload there", size, limit)
	}
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, flushTimeout)
		defer cancel()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(connected, cancel)()
	msg := nats.NewMsg(p.subject)
	msg.Data = payload.Body
	if payload.Key != "" && conn.HeadersSupported() {
		msg.Header.Set(nats.MsgIdHdr, payload.Key)
	}
	err := p.send(ctx, conn, js, msg)
	if err != nil && connected.Err() != nil {
		return notify.Retryablef("connection", "the connection was lost before the server had answered")
	}
	return err
}

func (p *Provider) send(ctx context.Context, conn *nats.Conn, js jetstream.JetStream, msg *nats.Msg) error {
	if p.stream {
		return p.store(ctx, js, msg)
	}
	return p.publish(ctx, conn, msg)
}

func (p *Provider) publish(ctx context.Context, conn *nats.Conn, msg *nats.Msg) error {
	if err := conn.PublishMsg(msg); err != nil {
		return notify.Retryablef("connection", "publish: %w", err)
	}
	if err := conn.FlushWithContext(ctx); err != nil {
		if ctx.Err() != nil {
			return notify.Retryablef("timeout", "the server does not answer: %w", err)
		}
		return notify.Retryablef("connection", "flush: %w", err)
	}
	return p.denied(conn)
}

// store waits until a stream has the message.
func (p *Provider) store(ctx context.Context, js jetstream.JetStream, msg *nats.Msg) error {
	_, err := js.PublishMsg(ctx, msg)
	switch {
	case err == nil:
		return nil
	case p.denied(js.Conn()) != nil:
		return p.denied(js.Conn())
	case errors.Is(err, jetstream.ErrStreamMessageExceedsMaximum):
		return notify.Permanentf("too_large", "the event has %d bytes with its headers, more than the stream takes: raise its max_msg_size", msg.Size())
	case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, nats.ErrNoResponders):
		return notify.Retryablef("no_stream", "no stream takes the subject %q: create one, or set jetstream to false", p.subject)
	case ctx.Err() != nil:
		return notify.Retryablef("timeout", "the stream does not acknowledge: %w", err)
	}
	return notify.Retryablef("stream", "the stream refuses: %w", err)
}

// denied tells whether the server has refused the subject. The refusal comes
// before the answer to what follows it, and stays until the server, its
// permissions changed, has made the client connect again.
func (p *Provider) denied(conn *nats.Conn) error {
	if errors.Is(conn.LastError(), nats.ErrPermissionViolation) {
		return notify.Permanentf("denied", "the server does not let this user publish to %q", p.subject)
	}
	return nil
}

func (p *Provider) remember(_ *nats.Conn, err error) {
	p.mu.Lock()
	p.cause = err
	p.mu.Unlock()
}

// lost tells those who wait for an answer that it will not come.
func (p *Provider) lost() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lose()
	p.connected, p.lose = context.WithCancel(context.Background())
}

func notConnected(conn *nats.Conn, cause error) error {
	if cause == nil {
		cause = conn.LastError()
	}
	if cause != nil {
		return notify.Retryablef("connection", "not connected: %w", cause)
	}
	return notify.Retryablef("connection", "not connected")
}

// Shutdown implements notify.Stopper. Whatever was delivered was flushed.
func (p *Provider) Shutdown(context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lose()
	if p.conn != nil {
		p.conn.Close()
	}
	return nil
}

var (
	_ notify.Provider = (*Provider)(nil)
	_ notify.Starter  = (*Provider)(nil)
	_ notify.Stopper  = (*Provider)(nil)
)
