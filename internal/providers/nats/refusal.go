package nats

import (
	"context"
	"errors"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// What the server refuses it tells before its answer to what follows, and without
// saying which message it was. So a refusal concerns whatever was on its way when
// it came, and nothing that is sent later: permissions change while a connection
// stays.

// refusal makes an error of what the server has refused this user. What a stream
// cannot acknowledge it may have, but to repeat that brings no acknowledgement.
func (p *Provider) refusal(err error) error {
	if ofAnswers(err) {
		return notify.Permanentf("denied", "the server does not let this user subscribe to %q, where a stream acknowledges: "+
			"allow that, or set jetstream to false (whether the stream has the event is not known)", nats.InboxPrefix+">")
	}
	return notify.Permanentf("denied", "the server does not let this user publish to %q", p.subject)
}

// ofAnswers tells a refused subscription from a refused message: the client has one
// error for both, and subscribes to answers alone.
func ofAnswers(err error) bool {
	return strings.Contains(err.Error(), "Permissions Violation for Subscription")
}

// refusedSince is the client's last error if that is a refusal and came after
// another. It is there as soon as a later flush is answered; the handler may hear of
// it after that.
func refusedSince(before error, conn *nats.Conn) error {
	if last := conn.LastError(); errors.Is(last, nats.ErrPermissionViolation) && last != before { //nolint:errorlint // each refusal is an error of its own
		return last
	}
	return nil
}

// watch is a context that ends with the next refusal, which is its cause: no answer
// comes to a message that a stream was not allowed to see. It begins when the
// handler has heard of the refusals before.
func (p *Provider) watch(ctx context.Context, conn *nats.Conn) (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancelCause(ctx)
	for {
		p.mu.Lock()
		refused, heard := p.refused, p.heard
		p.mu.Unlock()
		if refusedSince(heard, conn) == nil {
			forget := context.AfterFunc(refused, func() { end(context.Cause(refused)) })
			return ctx, func() {
				forget()
				end(nil)
			}
		}
		select {
		case <-refused.Done():
		case <-ctx.Done():
			return ctx, func() { end(nil) }
		}
	}
}

// failed hears from the client what no call has returned.
func (p *Provider) failed(_ *nats.Conn, _ *nats.Subscription, err error) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return // a connection ends with it, and has it as its cause
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard = err
	p.deaf = p.deaf || ofAnswers(err)
	p.refuse(err)
	p.refused, p.refuse = context.WithCancelCause(context.Background())
}

// listen asks for answers again where that was refused. It comes after watch, so
// that one of them sees a refusal in between. The client subscribes once for each
// connection, and the server forgets what it has refused: who is allowed to by now
// must connect anew.
func (p *Provider) listen(ctx context.Context, conn *nats.Conn) error {
	p.mu.Lock()
	deaf := p.deaf
	p.mu.Unlock()
	if !deaf {
		return nil
	}
	before := conn.LastError()
	sub, err := conn.SubscribeSync(conn.NewInbox() + ".*")
	if err == nil {
		err = conn.FlushWithContext(ctx)
		_ = sub.Unsubscribe()
	}
	if err != nil {
		return notify.Retryablef("connection", "the server does not say whether it lets this user have acknowledgements: %w", err)
	}
	if refused := refusedSince(before, conn); refused != nil {
		return p.refusal(refused)
	}
	p.mu.Lock()
	again := p.deaf
	p.deaf = false
	p.mu.Unlock()
	if again {
		_ = conn.ForceReconnect()
	}
	return notify.Retryablef("connection", "connecting again, now that the server lets this user have acknowledgements")
}
