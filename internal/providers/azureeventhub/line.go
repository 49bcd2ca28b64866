package azureeventhub

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"

	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// line makes the connections of the SDK, and can cut them. The SDK lets its
// caller do that, meaning WebSockets, but takes every connection. On its own it
// would dial without a limit of time, and have no way to leave a service that
// hangs.
type line struct {
	address string
	tls     *tls.Config // nil: none
	timeout time.Duration
	quote   func(string) string
	// token is the latest that an identity was given, never to be shown.
	token atomic.Pointer[string]

	mu   sync.Mutex
	made bool
	cuts bool
	open map[*connection]struct{}
}

func newLine(e endpoint, s notify.Settings) *line {
	port := "5671" // amqps
	if e.plain {
		port = "5672"
	}
	l := &line{address: e.host, timeout: s.ConnectTimeout, open: map[*connection]struct{}{}}
	if _, _, err := net.SplitHostPort(e.host); err != nil {
		l.address = net.JoinHostPort(e.host, port)
	}
	l.quote = httpsend.Quoter(append([]string{s.Token, e.connection}, e.secrets...)...)
	switch {
	case e.plain:
	case s.TLS != nil:
		l.tls = s.TLS.Clone()
	default:
		l.tls = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return l
}

// dial is the SDK's NewWebSocketConn.
func (l *line) dial(ctx context.Context, _ azeventhubs.WebSocketConnParams) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	plain := &net.Dialer{}
	dial := plain.DialContext
	if l.tls != nil {
		dial = (&tls.Dialer{NetDialer: plain, Config: l.tls}).DialContext
	}
	conn, err := dial(ctx, "tcp", l.address)
	if err != nil {
		return nil, final{l.failed(err)}
	}
	// The SDK reads the service's first bytes without a limit of time, and sets its
	// own limits from then on.
	_ = conn.SetDeadline(time.Now().Add(l.timeout))
	return l.keep(conn)
}

// failed has no error inside that the SDK would take for a lost connection.
func (l *line) failed(err error) *notify.Error {
	e := notify.Retryablef("connection", "%s: not connected: %s", l.address, l.quote(err.Error()))
	if reason, untrusted := httpsend.Untrusted(err); untrusted {
		return notify.Retryablef("tls", "%s: the certificate could not be verified: %s", l.address, l.quote(reason))
	}
	var timeout net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		e.Type = "timeout"
	}
	return e
}

// connection is one that its line can cut.
type connection struct {
	net.Conn
	line *line
}

func (l *line) keep(conn net.Conn) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cuts {
		_ = conn.Close()
		return nil, final{notify.Retryablef("connection", "not connected: the exporter has stopped")}
	}
	c := &connection{Conn: conn, line: l}
	l.made, l.open[c] = true, struct{}{}
	return c, nil
}

// Close implements net.Conn.
func (c *connection) Close() error {
	c.line.mu.Lock()
	delete(c.line.open, c)
	c.line.mu.Unlock()
	if err := c.Conn.Close(); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	return nil
}

// lost tells whether there was a connection, and is none.
func (l *line) lost() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.made && len(l.open) == 0
}

// cut ends every connection, and makes no more.
func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cuts = true
	for c := range l.open {
		_ = c.Conn.Close()
	}
}
