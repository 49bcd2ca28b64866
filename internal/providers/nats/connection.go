package nats

import (
	"context"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// link is the connection while it is up.
type link struct {
	conn *nats.Conn
	js   jetstream.JetStream
	// alive ends with it: whoever waits for an answer waits no longer.
	alive context.Context
	lose  context.CancelFunc
}

// Start implements notify.Starter. It waits for no server: deliveries do, until
// each was asked once.
func (p *Provider) Start(context.Context) error {
	p.running.Go(p.connect)
	return nil
}

// connect has the connection until Shutdown. What becomes of it, the client tells
// the handlers, one at a time and in order.
func (p *Provider) connect() {
	conn, err := p.options.Connect()
	if err != nil {
		p.remember(nil, err)
		return
	}
	<-p.life.Done()
	conn.Close()
}

func (p *Provider) handle(o *nats.Options) {
	o.ConnectedCB, o.ReconnectedCB = p.up, p.up
	o.ReconnectErrCB = p.remember
	o.DisconnectedErrCB = p.down
	o.AsyncErrorCB = p.failed
}

func (p *Provider) up(conn *nats.Conn) {
	js, err := jetstream.New(conn)
	if err != nil {
		p.remember(conn, err)
		return
	}
	l := &link{conn: conn, js: js}
	l.alive, l.lose = context.WithCancel(p.life)
	p.mu.Lock()
	p.link = l
	p.mu.Unlock()
	p.ask()
}

func (p *Provider) down(conn *nats.Conn, err error) {
	p.lost()
	p.mu.Lock()
	p.deaf = false // it is asked again with the next
	p.mu.Unlock()
	p.remember(conn, err)
	if err != nil && p.life.Err() == nil {
		p.logger.Debug("nats connection lost, reconnecting", zap.Error(err))
	}
}

// lost tells those who wait for an answer that it will not come.
func (p *Provider) lost() *nats.Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.link == nil {
		return nil
	}
	conn := p.link.conn
	p.link.lose()
	p.link = nil
	return conn
}

// remember keeps why there is no connection. The client forgets it between its
// attempts.
func (p *Provider) remember(_ *nats.Conn, err error) {
	p.mu.Lock()
	p.cause = err
	p.mu.Unlock()
	p.ask()
}

// reach gives the connection, or says why there is none. It asks the client for
// nothing, which does not answer while it waits for a server.
func (p *Provider) reach(ctx context.Context) (*link, error) {
	select {
	case <-p.asked:
	case <-ctx.Done():
	case <-p.life.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.link != nil:
		return p.link, nil
	case p.cause != nil:
		return nil, notConnected(p.cause)
	case ctx.Err() != nil:
		return nil, notify.Retryablef("connection", "not connected: no server has answered yet: %w", ctx.Err())
	}
	return nil, notify.Retryablef("connection", "not connected")
}

// notConnected is the error without a connection. A certificate that does not verify
// is retryable too: during the rotation of a CA it may verify a moment later.
func notConnected(cause error) *notify.Error {
	if reason, untrusted := httpsend.Untrusted(cause); untrusted {
		return notify.Retryablef("tls", "not connected: the certificate could not be verified: %s", reason)
	}
	return notify.Retryablef("connection", "not connected: %w", cause)
}

// Shutdown implements notify.Stopper. Whatever was delivered was flushed.
func (p *Provider) Shutdown(context.Context) error {
	if conn := p.lost(); conn != nil {
		conn.Close() // before its line is cut: with a goodbye
	}
	p.stop()
	p.running.Wait()
	return nil
}
