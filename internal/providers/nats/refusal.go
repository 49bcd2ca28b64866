package nats

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// What the server refuses it tells before its answer to what follows, and without
// saying which message it was. So a refusal concerns whatever was on its way when
// it came, and nothing that is sent later: permissions change while a connection
// stays.

// refusal makes an error of what the server has refused this user.
func (p *Provider) refusal(err error) error {
	return notify.Permanentf("denied", "the server does not let this user publish to %q", p.subject)
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
	p.refuse(err)
	p.refused, p.refuse = context.WithCancelCause(context.Background())
}
