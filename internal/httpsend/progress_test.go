package httpsend_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// expiring is a context with a limit of 15 s, which a test lets pass when it is time.
type expiring struct {
	context.Context
	deadline time.Time
	done     chan struct{}
	expire   func()
}

func newExpiring(t *testing.T) *expiring {
	t.Helper()
	done := make(chan struct{})
	// Until the request begins up to 90 ms may pass, and are rounded away.
	return &expiring{t.Context(), time.Now().Add(15*time.Second + 40*time.Millisecond), done, sync.OnceFunc(func() { close(done) })}
}

func (e *expiring) Deadline() (time.Time, bool) { return e.deadline, true }

func (e *expiring) Done() <-chan struct{} { return e.done }

func (e *expiring) Err() error {
	select {
	case <-e.done:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// The moments at which the time of a request is up.
const (
	wanted     = "a connection is wanted"
	resolving  = "the host is being resolved"
	connecting = "the connection is being made"
	connected  = "the connection is there"
	greeting   = "the handshake begins"
	greeted    = "the handshake is done"
	sending    = "the request has a connection"
	sent       = "the request has been sent"
	answering  = "the answer is being read"
)

// at calls f at a moment, after httpsend's own trace.
func at(moment string, f func()) *httptrace.ClientTrace {
	trace := &httptrace.ClientTrace{}
	switch moment {
	case wanted:
		trace.GetConn = func(string) { f() }
	case resolving:
		trace.DNSStart = func(httptrace.DNSStartInfo) { f() }
	case connecting:
		trace.ConnectStart = func(string, string) { f() }
	case connected:
		trace.ConnectDone = func(string, string, error) { f() }
	case greeting:
		trace.TLSHandshakeStart = f
	case greeted:
		trace.TLSHandshakeDone = func(tls.ConnectionState, error) { f() }
	case sending:
		trace.GotConn = func(httptrace.GotConnInfo) { f() }
	case sent:
		trace.WroteRequest = func(httptrace.WroteRequestInfo) { f() }
	}
	return trace
}

// reading lets time pass with the first read of an answer.
type reading struct {
	http.RoundTripper
	expire func()
}

func (r reading) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := r.RoundTripper.RoundTrip(req)
	if err == nil {
		res.Body = readingBody{res.Body, r.expire}
	}
	return res, err
}

type readingBody struct {
	io.ReadCloser
	expire func()
}

func (b readingBody) Read(p []byte) (int, error) {
	b.expire()
	return b.ReadCloser.Read(p)
}

// listen accepts connections and gives them to peer, until the test ends.
func listen(t *testing.T, peer func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var group sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, conn)
			mu.Unlock()
			group.Go(func() { peer(conn) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		mu.Lock()
		for _, conn := range open {
			_ = conn.Close()
		}
		mu.Unlock()
		group.Wait()
	})
	return listener.Addr().String()
}

// silent reads whatever comes, and does not answer.
func silent(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

// deaf does not even read.
func deaf(net.Conn) {}

// opens answers a CONNECT, and nothing after it.
func opens(conn net.Conn) {
	_, _ = conn.Read(make([]byte, 4096))
	_, _ = io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
	silent(conn)
}

// begins answers with a header, and then hangs.
func begins(conn net.Conn) {
	_, _ = conn.Read(make([]byte, 4096))
	_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
	silent(conn)
}

// hook is an address that exists only where its transport leads to.
const hook = "hooks.example.com"

// to is a transport whose connections all lead to one address, by way of a proxy
// or not.
func to(address, proxy string) *http.Transport {
	t := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}, TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}}
	if proxy != "" {
		t.Proxy = http.ProxyURL(&url.URL{Scheme: proxy, User: url.UserPassword("canary", "canary"), Host: "proxy.example.com:3128"})
	}
	return t
}

// stuck is a dialer whose connections are never made, until the release.
func stuck(t *http.Transport, release <-chan struct{}) *http.Transport {
	t.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		d := net.Dialer{ControlContext: func(context.Context, string, string, syscall.RawConn) error {
			<-release
			return errors.New("released")
		}}
		return d.DialContext(ctx, network, "127.0.0.1:1")
	}
	return t
}

// unresolved is a dialer whose resolver does not answer, until the release.
func unresolved(release <-chan struct{}) *http.Transport {
	return &http.Transport{DialContext: (&net.Dialer{Resolver: &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		<-release
		return nil, errors.New("released")
	}}}).DialContext}
}

// busy is a transport whose only connection is in use.
func busy(t *testing.T) *http.Transport {
	t.Helper()
	transport := to(listen(t, silent), "")
	transport.MaxConnsPerHost = 1
	ctx, cancel := context.WithCancel(context.Background())
	ended, begun := make(chan struct{}), make(chan struct{})
	traced := httptrace.WithClientTrace(ctx, at(sending, func() { close(begun) }))
	req, err := http.NewRequestWithContext(traced, http.MethodGet, "http://"+hook, nil)
	require.NoError(t, err)
	go func() {
		defer close(ended)
		if res, err := transport.RoundTrip(req); err == nil {
			_ = res.Body.Close()
		}
	}()
	<-begun
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return transport
}

func TestDeadlineNamesItsPhase(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	tlsProxy := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	tlsProxy.StartTLS()
	t.Cleanup(tlsProxy.Close)

	for name, c := range map[string]struct {
		scheme    string
		transport *http.Transport
		body      int
		moment    string
		want      string
	}{
		"resolver":             {"https", unresolved(release), 1, resolving, "while resolving hooks.example.com"},
		"free connection":      {"http", busy(t), 1, wanted, "while waiting for a free connection"},
		"connection":           {"http", stuck(to("", ""), release), 1, connecting, "while connecting to hooks.example.com:80"},
		"connection to proxy":  {"https", stuck(to("", "http"), release), 1, connecting, "while connecting to proxy.example.com:3128"},
		"CONNECT":              {"https", to(listen(t, silent), "http"), 1, connected, "while proxy.example.com:3128 opened the connection (CONNECT)"},
		"SOCKS":                {"http", to(listen(t, silent), "socks5"), 1, connected, "while proxy.example.com:3128 opened the connection (CONNECT)"},
		"CONNECT over TLS":     {"https", to(tlsProxy.Listener.Addr().String(), "https"), 1, greeted, "while proxy.example.com:3128 opened the connection (CONNECT)"},
		"handshake":            {"https", to(listen(t, silent), ""), 1, greeting, "in the TLS handshake"},
		"handshake by CONNECT": {"https", to(listen(t, opens), "http"), 1, greeting, "in the TLS handshake (connected to proxy.example.com:3128)"},
		"sending":              {"http", to(listen(t, deaf), ""), 16 << 20, sending, "while sending the request"},
		"answer":               {"http", to(listen(t, silent), ""), 1, sent, "while waiting for the answer"},
		"answer by proxy":      {"http", to(listen(t, silent), "http"), 1, sent, "while waiting for the answer (connected to proxy.example.com:3128)"},
		"rest of the answer":   {"http", to(listen(t, begins), ""), 1, answering, "while reading the answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Cleanup(c.transport.CloseIdleConnections)
			body := make([]byte, c.body)
			for kind, deliver := range map[string]func(context.Context, notify.Settings) error{
				"target": func(ctx context.Context, s notify.Settings) error {
					p, err := httpsend.New(s, httpsend.Options{Judge: func(httpsend.Answer) (*notify.Error, bool) { return notify.Permanentf("judged", "judged"), true }})
					require.NoError(t, err)
					return p.Deliver(ctx, notify.Payload{Method: http.MethodPost, Body: body})
				},
				"SDK": func(ctx context.Context, s notify.Settings) error {
					p, err := httpsend.NewTransport(s, httpsend.Options{})
					require.NoError(t, err)
					req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.Address, bytes.NewReader(body))
					require.NoError(t, err)
					_, err = p.RoundTrip(req) //nolint:bodyclose // there is none
					return err
				},
				"check": httpsend.Connect,
			} {
				if kind == "check" && (strings.Contains(c.want, "answer") || strings.Contains(c.want, "sending")) {
					continue // it ends with the connection
				}
				ctx := newExpiring(t)
				traced := httptrace.WithClientTrace(ctx, at(c.moment, ctx.expire))
				s := notify.Settings{Address: c.scheme + "://" + hook + "/secret-path", HTTP: &http.Client{Transport: c.transport}}
				if c.moment == answering {
					s.HTTP.Transport = reading{c.transport, ctx.expire}
				}
				e := failure(t, deliver(traced, s))
				assert.Equal(t, notify.Retryable, e.Class, kind)
				assert.Equal(t, "timeout", e.Type, kind)
				assert.Equal(t, hook+": timeout after 15s "+c.want, e.Error(), kind)
				require.ErrorIs(t, e, context.DeadlineExceeded, kind)
			}
		})
	}
}
