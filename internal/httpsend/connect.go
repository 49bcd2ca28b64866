package httpsend

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// Connect opens a connection to an address, through the proxy and with the TLS
// that a delivery would use, and closes it before any request is on it.
func Connect(ctx context.Context, s notify.Settings) error {
	t, err := New(s, Options{})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var connected atomic.Bool
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		// The transport calls this before it writes the request, and finds that
		// there is nothing left to write it to.
		GotConn: func(info httptrace.GotConnInfo) {
			connected.Store(true)
			_ = info.Conn.Close()
			cancel()
		},
	})
	req, err := t.request(traced, notify.Payload{Method: http.MethodHead})
	if err != nil {
		return err
	}
	sent, w := follow(req, time.Now())
	defer w.cancel()
	res, err := t.transport.RoundTrip(sent)
	switch {
	case connected.Load():
		err = nil
	case err != nil:
		return t.transportError(w, t.address.Host, err)
	}
	if res == nil {
		return err
	}
	return errors.Join(err, res.Body.Close())
}
