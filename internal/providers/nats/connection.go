package nats

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

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
