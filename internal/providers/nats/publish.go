package nats

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// flushTimeout bounds the wait for the server where the context does not: the
// client refuses to wait without an end, after the message is on its way.
const flushTimeout = time.Minute

// Deliver implements notify.Provider. It returns once the server has the
// message: the answer to a flush comes after all that was sent before it.
func (p *Provider) Deliver(ctx context.Context, payload notify.Payload) error {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, flushTimeout)
		defer cancel()
	}
	l, err := p.reach(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.alive, cancel)()
	msg := nats.NewMsg(p.subject)
	msg.Data = payload.Body
	if payload.Key != "" && l.conn.HeadersSupported() {
		msg.Header.Set(nats.MsgIdHdr, payload.Key)
	}
	err = p.send(ctx, l, msg)
	if err != nil && l.alive.Err() != nil {
		return notify.Retryablef("connection", "the connection was lost before the server had answered")
	}
	return err
}

func (p *Provider) send(ctx context.Context, l *link, msg *nats.Msg) error {
	var err error
	if p.stream {
		err = p.store(ctx, l, msg)
	} else {
		err = p.publish(ctx, l.conn, msg)
	}
	if errors.Is(err, nats.ErrMaxPayload) {
		return notify.Permanentf("too_large", "the event has %d bytes with its headers, the server takes %d: raise max_payload there", size(msg), l.conn.MaxPayload())
	}
	return err
}

// size is what limits are about: the body and the headers.
func size(msg *nats.Msg) int { return msg.Size() - len(msg.Subject) - len(msg.Reply) }

func (p *Provider) publish(ctx context.Context, conn *nats.Conn, msg *nats.Msg) error {
	before := conn.LastError()
	if err := conn.PublishMsg(msg); err != nil {
		return notify.Retryablef("connection", "publish: %w", err)
	}
	if err := conn.FlushWithContext(ctx); err != nil {
		if ctx.Err() != nil {
			return notify.Retryablef("timeout", "the server does not answer: %w", err)
		}
		return notify.Retryablef("connection", "flush: %w", err)
	}
	if err := refusedSince(before, conn); err != nil {
		return p.refusal(err)
	}
	return nil
}

// store waits until a stream has the message.
func (p *Provider) store(ctx context.Context, l *link, msg *nats.Msg) error {
	watched, done := p.watch(ctx, l.conn)
	defer done()
	if err := p.listen(ctx, l.conn); err != nil {
		return err
	}
	_, err := l.js.PublishMsg(watched, msg)
	switch {
	case err == nil:
		return nil
	case errors.Is(context.Cause(watched), nats.ErrPermissionViolation):
		_ = l.conn.FlushWithContext(ctx) // the refusals of what was sent beside it are not those of the next
		return p.refusal(context.Cause(watched))
	case errors.Is(err, jetstream.ErrStreamMessageExceedsMaximum):
		return notify.Permanentf("too_large", "the event has %d bytes with its headers, more than the stream takes: raise its max_msg_size", size(msg))
	case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, nats.ErrNoResponders):
		return notify.Retryablef("no_stream", "no stream takes the subject %q: create one, or set jetstream to false", p.subject)
	case ctx.Err() != nil:
		return notify.Retryablef("timeout", "the stream does not acknowledge: %w", err)
	}
	return notify.Retryablef("stream", "the stream refuses: %w", err)
}
