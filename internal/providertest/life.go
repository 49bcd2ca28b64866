package providertest

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers"
)

// Cancels proves that the end of its context ends a delivery, whatever the
// endpoint does.
func Cancels(t *testing.T, row providers.Row) {
	t.Helper()
	arrived, release := make(chan struct{}, 1), make(chan struct{})
	server := Server(t, func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-release
	})
	defer close(release) // before the server's Close, which waits for the handler
	p := On(t, row, row.Sample, server.URL)
	payload := Payload(t, p)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- p.Deliver(ctx, payload) }()
	<-arrived
	cancel()
	select {
	case err := <-ended:
		var e *notify.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, notify.Retryable, e.Class)
	case <-time.After(10 * time.Second):
		require.Fail(t, "Deliver goes on after its context has ended")
	}
}

// Stops proves that an end is always in order: before Start, and again. What
// was never started delivers nothing, and says so.
func Stops(t *testing.T, row providers.Row) {
	t.Helper()
	p, err := row.New(Complete(t, row.Sample))
	require.NoError(t, err)
	if row.Bus {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var e *notify.Error
		require.ErrorAs(t, p.Deliver(ctx, Payload(t, p)), &e)
		assert.Equal(t, notify.Retryable, e.Class)
	}
	stopper, ok := p.(notify.Stopper)
	if !ok {
		require.False(t, row.Bus, "a bus keeps a connection, and has to let it go")
		return
	}
	require.NoError(t, stopper.Shutdown(t.Context()))
	require.NoError(t, stopper.Shutdown(t.Context()))
}

// RefusesAddresses proves that an address which cannot be one is an error of
// the configuration that names the key and does not repeat the value.
func RefusesAddresses(t *testing.T, row providers.Row) {
	t.Helper()
	bad := []string{"://" + canary, "ht tp://" + canary, "http://[::1", "https://flux:" + canary + "@/hook"}
	if row.Address == providers.Required {
		bad = append(bad, "")
	}
	for _, address := range bad {
		s := row.Sample
		s.Address = address
		_, err := row.New(Complete(t, s))
		require.Error(t, err, address)
		assert.Regexp(t, `^address: `, err.Error(), address)
		hidden(t, address, err)
		if address != "" {
			assert.NotContains(t, err.Error(), address)
		}
	}
}

// errClosed is what the client of OneTransport says to every request.
var errClosed = errors.New("this client sends nothing")

// marker is the key by which a context is recognised.
type marker struct{}

type closed struct{ requests []*http.Request }

func (c *closed) RoundTrip(r *http.Request) (*http.Response, error) {
	c.requests = append(c.requests, r)
	return nil, errClosed
}

// OneTransport proves that a type has no other way out than the client that it
// was given, with that client's proxy and TLS.
func OneTransport(t *testing.T, row providers.Row) {
	t.Helper()
	transport := &closed{}
	s := Complete(t, row.Sample)
	s.HTTP.Transport = transport
	p, err := row.New(s)
	require.NoError(t, err)
	ctx := context.WithValue(t.Context(), marker{}, "the delivery's")
	require.ErrorIs(t, p.Deliver(ctx, Payload(t, p)), errClosed)
	require.Len(t, transport.requests, 1)
	assert.Equal(t, "the delivery's", transport.requests[0].Context().Value(marker{}), "a request without its context")
}
