package nats

import (
	"context"
	"errors"
	"net"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// Check implements notify.Checker: it connects as Start does, but tries once.
// Where a stream is to acknowledge, one must take the subject.
func (p *Provider) Check(ctx context.Context) error {
	o := p.options
	o.CustomDialer = &dialer{net.Dialer{Timeout: o.Timeout}, ctx}
	o.RetryOnFailedConnect, o.AllowReconnect = false, false
	ctx, refuse := context.WithCancelCause(ctx)
	defer refuse(nil)
	o.AsyncErrorCB = func(_ *nats.Conn, _ *nats.Subscription, err error) {
		if errors.Is(err, nats.ErrPermissionViolation) {
			refuse(err)
		}
	}
	o.ConnectedCB, o.DisconnectedErrCB = nil, nil // it is not the connection of deliveries
	conn, err := o.Connect()
	if err != nil {
		return notConnected(err)
	}
	defer conn.Close()
	if err := conn.FlushWithContext(ctx); err != nil {
		return notify.Retryablef("timeout", "the server does not answer: %w", err)
	}
	if !p.stream {
		return nil
	}
	js, err := jetstream.New(conn)
	if err == nil {
		_, err = js.StreamNameBySubject(ctx, p.subject)
	}
	switch {
	case err == nil:
		return nil
	case !errors.Is(context.Cause(ctx), nats.ErrPermissionViolation):
		return notify.Retryablef("no_stream", "no stream takes the subject %q: create one, or set jetstream to false (%w)", p.subject, err)
	case ofAnswers(context.Cause(ctx)):
		return p.refusal(context.Cause(ctx))
	default:
		return nil // who may publish need not be one who may look
	}
}

var _ notify.Checker = (*Provider)(nil)
