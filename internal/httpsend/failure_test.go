package httpsend_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/testca"
)

// roundTrip is a transport of one function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// over makes a target on a transport.
func over(t *testing.T, address string, transport http.RoundTripper, o httpsend.Options) *httpsend.Target {
	t.Helper()
	made, err := httpsend.New(notify.Settings{Address: address, HTTP: &http.Client{Transport: transport}}, o)
	require.NoError(t, err)
	return made
}

// A limit of the transport's own ends a request before the deadline.
func TestOwnLimitsOfTheTransport(t *testing.T) {
	t.Parallel()
	const limit = 20 * time.Millisecond
	handshake, header := to(listen(t, silent), ""), to(listen(t, silent), "")
	handshake.TLSHandshakeTimeout, header.ResponseHeaderTimeout = limit, limit
	dial := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: time.Nanosecond}).DialContext(ctx, network, "127.0.0.1:1")
	}}
	for _, c := range []struct {
		scheme    string
		transport *http.Transport
		want      string
	}{
		{"https", handshake, `^hooks\.example\.com: timeout after [0-9.]+m?s in the TLS handshake$`},
		{"http", header, `^hooks\.example\.com: timeout after [0-9.]+m?s while waiting for the answer$`},
		{"http", dial, `^hooks\.example\.com: timeout.*: dial tcp 127\.0\.0\.1:1: i/o timeout$`},
	} {
		e := failure(t, over(t, c.scheme+"://"+hook, c.transport, httpsend.Options{}).Deliver(t.Context(), post))
		assert.Equal(t, notify.Retryable, e.Class)
		assert.Equal(t, "timeout", e.Type)
		assert.Regexp(t, c.want, e.Error())
		c.transport.CloseIdleConnections()
	}
}

// A middleware that does not send leaves the phase unknown.
func TestDeadlineOfUnknownPhase(t *testing.T) {
	t.Parallel()
	ctx := newExpiring(t)
	middleware := roundTrip(func(r *http.Request) (*http.Response, error) {
		ctx.expire()
		<-r.Context().Done()
		return nil, r.Context().Err()
	})
	e := failure(t, over(t, "https://"+hook, middleware, httpsend.Options{}).Deliver(ctx, post))
	assert.Equal(t, hook+": timeout after 15s", e.Error())
}

func TestCanceled(t *testing.T) {
	t.Parallel()
	transport := to(listen(t, silent), "")
	ctx, cancel := context.WithCancel(t.Context())
	e := failure(t, over(t, "http://"+hook, transport, httpsend.Options{}).Deliver(httptrace.WithClientTrace(ctx, at(sent, cancel)), post))
	assert.Equal(t, notify.Retryable, e.Class)
	assert.Equal(t, "canceled", e.Type)
	assert.Equal(t, hook+": canceled while waiting for the answer", e.Error())
	assert.ErrorIs(t, e, context.Canceled)
}

// A deadline is that of the whole delivery, of which a request may be the last.
func TestDeadlineOfADelivery(t *testing.T) {
	t.Parallel()
	ctx := newExpiring(t)
	marked := httpsend.OneDelivery(ctx)
	time.Sleep(200 * time.Millisecond) // the time of earlier requests
	transport, err := httpsend.NewTransport(notify.Settings{Address: "http://" + hook, HTTP: &http.Client{Transport: to(listen(t, silent), "")}}, httpsend.Options{})
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(marked, at(sent, ctx.expire)), http.MethodGet, "http://"+hook, nil)
	require.NoError(t, err)
	_, err = transport.RoundTrip(req) //nolint:bodyclose // there is none
	assert.Equal(t, hook+": timeout after 15s while waiting for the answer", failure(t, err).Error())
}

// script calls the hooks of a request's trace, as transports do, and lets time pass.
func script(ctx *expiring, steps ...func(*httptrace.ClientTrace)) roundTrip {
	return func(r *http.Request) (*http.Response, error) {
		trace := httptrace.ContextClientTrace(r.Context())
		for _, step := range steps {
			step(trace)
		}
		ctx.expire()
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
}

// Dials continue in the background. A request does not wait for what they report
// late.
func TestStrayDials(t *testing.T) {
	t.Parallel()
	wants := func(c *httptrace.ClientTrace) { c.GetConn(hook + ":443") }
	dials := func(c *httptrace.ClientTrace) { c.ConnectStart("tcp", "192.0.2.1:443") }
	refused := func(c *httptrace.ClientTrace) { c.ConnectDone("tcp", "192.0.2.1:443", errors.New("refused")) }
	byProxy := func(c *httptrace.ClientTrace) { c.GetConn("proxy.example.com:3128") }
	greets := func(c *httptrace.ClientTrace) { c.TLSHandshakeStart() }
	gets := func(info httptrace.GotConnInfo) func(*httptrace.ClientTrace) {
		return func(c *httptrace.ClientTrace) { c.GotConn(info) }
	}
	fresh, idle, returned := gets(httptrace.GotConnInfo{}), gets(httptrace.GotConnInfo{Reused: true, WasIdle: true}), gets(httptrace.GotConnInfo{Reused: true})
	writes := func(err error) func(*httptrace.ClientTrace) {
		return func(c *httptrace.ClientTrace) { c.WroteRequest(httptrace.WroteRequestInfo{Err: err}) }
	}
	type steps = []func(*httptrace.ClientTrace)
	for name, c := range map[string]struct {
		steps steps
		want  string
	}{
		"nothing":                                 {nil, ""},
		"one of several addresses":                {steps{wants, dials, dials, refused}, " while connecting to hooks.example.com:443"},
		"one of a proxy's addresses":              {steps{byProxy, dials, dials, refused}, " while connecting to proxy.example.com:3128"},
		"a dial after another connection":         {steps{wants, dials, returned, greets}, " while sending the request"},
		"a dial after the request":                {steps{wants, fresh, writes(nil), greets, dials}, " while waiting for the answer"},
		"a second attempt, whose dial is its own": {steps{wants, idle, wants, dials, greets}, " in the TLS handshake"},
		"a second attempt, with a stray dial":     {steps{wants, dials, returned, wants, greets}, " while waiting for a free connection"},
		"a second attempt, with a late dial":      {steps{wants, returned, wants, dials}, " while waiting for a free connection"},
		"a stray dial, and a connection":          {steps{wants, returned, wants, fresh, dials}, " while sending the request"},
		"a failed write":                          {steps{wants, fresh, writes(errors.New("broken pipe"))}, " while sending the request"},
		"a late write":                            {steps{wants, fresh, wants, writes(nil)}, " while waiting for a free connection"},
	} {
		ctx := newExpiring(t)
		e := failure(t, over(t, "https://"+hook, script(ctx, c.steps...), httpsend.Options{}).Deliver(ctx, post))
		assert.Equal(t, hook+": timeout after 15s"+c.want, e.Error(), name)
	}
}

func TestProxyFailures(t *testing.T) {
	t.Parallel()
	ca := testca.New(t)
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{ca.Issue(t, testca.Leaf{})}}
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0) // the handshake is meant to fail
	untrusted.StartTLS()
	t.Cleanup(untrusted.Close)
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusProxyAuthRequired) }))
	t.Cleanup(refusing.Close)
	socks := listen(t, func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 4096))
		_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
	})
	for name, c := range map[string]struct {
		proxy, errorType, want string
	}{
		"refused":         {"http://127.0.0.1:1", "connection", ": no connection to the proxy 127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused"},
		"not let in":      {refusing.URL, "connection", ": " + refusing.Listener.Addr().String() + " did not open the connection (CONNECT): Proxy Authentication Required"},
		"not trusted":     {untrusted.URL, "tls", ": the certificate could not be verified: x509: certificate signed by unknown authority (connected to " + untrusted.Listener.Addr().String() + ")"},
		"of another kind": {"socks5://" + socks, "connection", ": " + socks + " did not open the connection (CONNECT): "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy, err := url.Parse(c.proxy)
			require.NoError(t, err)
			proxy.User = url.UserPassword("canary", "canary")
			transport := &http.Transport{Proxy: http.ProxyURL(proxy)}
			defer transport.CloseIdleConnections()
			s := notify.Settings{Address: "https://" + hook + "/secret-path", HTTP: &http.Client{Transport: transport}}
			for _, err := range []error{over(t, s.Address, transport, httpsend.Options{}).Deliver(t.Context(), post), httpsend.Connect(t.Context(), s)} {
				e := failure(t, err)
				assert.Equal(t, notify.Retryable, e.Class)
				assert.Equal(t, c.errorType, e.Type)
				assert.Contains(t, e.Error(), hook+c.want)
				assert.NotContains(t, e.Error(), "canary")
			}
		})
	}
}

// Over HTTP/2 many requests share a connection, which the first has dialled.
func TestDeadlineOverHTTP2(t *testing.T) {
	t.Parallel()
	ca := testca.New(t)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{ca.Issue(t, testca.Leaf{})}}
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: ca.Pool(), MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	for range 3 {
		ctx := newExpiring(t)
		e := failure(t, over(t, server.URL, transport, httpsend.Options{}).Deliver(httptrace.WithClientTrace(ctx, at(sent, ctx.expire)), post))
		assert.Equal(t, server.Listener.Addr().String()+": timeout after 15s while waiting for the answer", e.Error())
	}
}

// Many requests with little time over few connections: whatever each waits for, it
// is one of the phases that there are here.
func TestDeadlinesAtOnce(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(2 * time.Millisecond):
			_, _ = io.WriteString(w, strings.Repeat("x", 10_000))
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(server.Close)
	transport := &http.Transport{MaxConnsPerHost: 2}
	t.Cleanup(transport.CloseIdleConnections)
	p := over(t, server.URL, transport, httpsend.Options{Judge: func(httpsend.Answer) (*notify.Error, bool) { return nil, true }})
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for i := range 50 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(worker+i)*100*time.Microsecond)
				err := p.Deliver(ctx, post)
				cancel()
				var e *notify.Error
				if errors.As(err, &e) {
					assert.Equal(t, "timeout", e.Type)
					assert.Regexp(t, `: timeout( after [0-9.]+[mµ]?s)?( while (waiting for a free connection|connecting to 127\.0\.0\.1:\d+|sending the request|waiting for the answer|reading the answer))?$`, e.Error())
				}
			}
		})
	}
	group.Wait()
}
