package nats

import (
	"context"
	"net"
)

// dialer opens connections that end with a context, whatever the client is
// waiting for on them: it has no context of its own.
type dialer struct {
	net.Dialer
	life context.Context
}

// Dial implements nats.CustomDialer.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	conn, err := d.DialContext(d.life, network, address)
	if err != nil {
		return nil, err
	}
	return &line{conn, context.AfterFunc(d.life, func() { _ = conn.Close() })}, nil
}

// line is a connection that forgets the context when it is closed.
type line struct {
	net.Conn
	forget func() bool
}

// Close implements net.Conn.
func (l *line) Close() error {
	l.forget()
	return l.Conn.Close()
}
