package httpsend

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"time"

	"golang.org/x/net/http/httpguts"
)

// phase is what a request waits for. The phases up to phaseHandshake end with a
// connection.
type phase uint8

const (
	phaseUnknown    phase = iota
	phaseConnection       // one that is free
	phaseResolving
	phaseConnecting
	phaseTunnel // CONNECT, also that of SOCKS
	phaseHandshake
	phaseSending
	phaseAnswer
	phaseReading
	phaseMemory
)

// progress follows one request, so that an error can name what the request waited
// for. The transport dials in the background: its callbacks come from other
// goroutines, and may come after the request has got another connection or has
// ended.
type progress struct {
	ctx    context.Context // that of the request, without cancel
	cancel context.CancelFunc
	trace  httptrace.ClientTrace
	target string    // host:port of the endpoint
	begun  time.Time // the delivery

	mu    sync.Mutex
	phase phase
	since time.Time
	// peer is the host:port that is dialled: the proxy's, where there is one. An
	// authenticator that sends its own requests with this context changes it too, so
	// an error names the peer and does not call it a proxy.
	peer string
	name string // the host that is resolved
	// dialled: a dial for this request has begun. stray: it continues although the
	// request uses another connection, so that later callbacks may be about it.
	dialled, stray bool
}

// follow makes the request that is sent in place of another one, and follows it.
// begun is when the delivery began, where its context does not know it. cancel must
// be called when the answer has been read.
func follow(req *http.Request, begun time.Time) (*http.Request, *progress) {
	ctx := req.Context()
	p := &progress{ctx: ctx, target: hostPort(req.URL), begun: begun, since: time.Now()}
	if at := begunAt(ctx); !at.IsZero() {
		p.begun = at
	}
	p.trace = httptrace.ClientTrace{
		GetConn:           p.getConn,
		GotConn:           p.gotConn,
		DNSStart:          p.dnsStart,
		ConnectStart:      p.connectStart,
		ConnectDone:       p.connectDone,
		TLSHandshakeStart: p.handshakeStart,
		TLSHandshakeDone:  p.handshakeDone,
		WroteRequest:      p.wroteRequest,
	}
	ctx, p.cancel = context.WithCancel(ctx)
	return req.WithContext(httptrace.WithClientTrace(ctx, &p.trace)), p
}

// hostPort is an address as the transport writes it.
func hostPort(u *url.URL) string {
	host := u.Hostname()
	if ascii, err := httpguts.PunycodeHostPort(host); err == nil {
		host = ascii
	}
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	return net.JoinHostPort(host, port)
}

// enter begins a phase. The caller holds mu.
func (p *progress) enter(next phase) { p.phase, p.since = next, time.Now() }

// set begins a phase.
func (p *progress) set(next phase) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.enter(next)
}

// getConn begins an attempt: the transport repeats a request whose idle connection
// was closed by the endpoint.
func (p *progress) getConn(peer string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.peer = peer
	p.enter(phaseConnection)
}

func (p *progress) gotConn(info httptrace.GotConnInfo) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// A dial begins unless a connection is idle. A connection that another request
	// has returned meanwhile leaves that dial without a use.
	p.stray = p.stray || info.Reused && (p.dialled || !info.WasIdle)
	p.dialled = false
	p.enter(phaseSending)
}

// dialling begins a phase of the dial of this attempt.
func (p *progress) dialling(next phase) {
	if p.phase >= phaseSending || p.stray {
		return
	}
	p.dialled = true
	p.enter(next)
}

func (p *progress) dnsStart(info httptrace.DNSStartInfo) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.name = info.Host
	p.dialling(phaseResolving)
}

func (p *progress) connectStart(string, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dialling(phaseConnecting)
}

func (p *progress) connectDone(_, _ string, err error) {
	if err != nil {
		return // another of the host's addresses may be connecting
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.connected()
}

// connected is followed at once by the handshake or the request, except where a proxy
// connects first.
func (p *progress) connected() {
	if p.detour() {
		p.dialling(phaseTunnel)
	}
}

func (p *progress) handshakeStart() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dialling(phaseHandshake)
}

// handshakeDone may be about the handshake with an https proxy.
func (p *progress) handshakeDone(_ tls.ConnectionState, err error) {
	if err != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.connected()
}

func (p *progress) wroteRequest(info httptrace.WroteRequestInfo) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.phase == phaseSending && info.Err == nil {
		p.enter(phaseAnswer)
	}
}

// detour reports whether the peer is not the endpoint.
func (p *progress) detour() bool { return p.peer != "" && p.peer != p.target }

// proxyPeer is the peer if that is not the endpoint, and the phase.
func (p *progress) proxyPeer() (peer string, at phase) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.detour() {
		return "", p.phase
	}
	return p.peer, p.phase
}

// timeout describes a request that exceeded a limit.
func (p *progress) timeout() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	limit := time.Since(p.since) // a limit of the transport's own, of this phase
	if deadline, ok := p.ctx.Deadline(); ok && p.ctx.Err() != nil {
		limit = deadline.Sub(p.begun)
	}
	described := "timeout"
	if limit = rounded(limit); limit > 0 {
		described += " after " + limit.String()
	}
	return described + p.waiting()
}

// canceled describes a request whose context was canceled.
func (p *progress) canceled() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return "canceled" + p.waiting()
}

// rounded drops the digits that do not matter.
func rounded(d time.Duration) time.Duration {
	if d >= time.Second {
		return d.Round(100 * time.Millisecond)
	}
	return d.Round(time.Millisecond)
}

// waiting describes the phase; "" where it is not known. The caller holds mu.
func (p *progress) waiting() string {
	var words string
	switch p.phase {
	case phaseUnknown:
		return ""
	case phaseConnection:
		return " while waiting for a free connection"
	case phaseResolving:
		return " while resolving " + p.name
	case phaseConnecting:
		return " while connecting to " + p.peer
	case phaseTunnel:
		return " while " + p.peer + " opened the connection (CONNECT)"
	case phaseHandshake:
		words = " in the TLS handshake"
	case phaseSending:
		words = " while sending the request"
	case phaseAnswer:
		words = " while waiting for the answer"
	case phaseReading:
		words = " while reading the answer"
	case phaseMemory:
		return " while waiting for memory for the answer"
	}
	if p.detour() {
		words += " (connected to " + p.peer + ")"
	}
	return words
}
