package httpsend

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// maxPage is how much of an answer a vendor's SDK gets to read, in bytes: a
// hundred comments of GitHub, each of 65,536 characters, may be 26 MB.
const maxPage = 32 << 20

// Transport lets a vendor's SDK do the calls, and keeps to the rules of a Target
// meanwhile: the exporter's own client, one judgement of answers, no redirect,
// no secret in an error. Whatever is no success comes out of it as an error, so
// that an SDK neither interprets nor repeats it; Failure finds that error in
// what the SDK makes of it.
type Transport struct {
	party
	host string // of the address, for what concerns no single request
	// until is when the endpoint wants to hear of us again, in Unix nanoseconds.
	until atomic.Int64
}

// NewTransport makes a transport for the API of an address. Whatever is secret
// in the settings is kept out of its errors.
func NewTransport(s notify.Settings, o Options) (*Transport, error) {
	address, err := ParseAddress(s.Address)
	if err != nil {
		return nil, err
	}
	return &Transport{party: newParty(s, o, address), host: address.Host}, nil
}

// Client is an HTTP client for an SDK. It never comes to following a redirect.
func (t *Transport) Client() *http.Client {
	return &http.Client{Transport: t, CheckRedirect: NoRedirects}
}

// RoundTrip implements http.RoundTripper. The answer's body has been read: what
// the network can do to it has been done.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := t.patience(req); err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	out, err := t.prepare(req)
	if err != nil {
		return nil, err
	}
	host := out.URL.Host
	res, err := t.transport.RoundTrip(out)
	if err != nil {
		return nil, t.sending(out).transportError(out.Context(), host, err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := read(res, maxPage)
	if err != nil && res.StatusCode < http.StatusMultipleChoices {
		return nil, t.sending(out).transportError(out.Context(), host, err)
	}
	answer := Answer{Status: res.StatusCode, Header: res.Header, Body: body}
	if err := t.verdict(out, host, answer); err != nil {
		return nil, err
	}
	t.slowDown(res.Header)
	res.Body, res.ContentLength, res.Request = io.NopCloser(bytes.NewReader(body)), int64(len(body)), req
	return res, nil
}

// prepare adds what the options say, to a request of its own: that of the caller
// is not to be changed.
func (t *Transport) prepare(req *http.Request) (*http.Request, error) {
	out := req.Clone(req.Context())
	var body []byte
	if req.Body != nil {
		var err error
		body, err = io.ReadAll(req.Body)
		_ = req.Body.Close()
		if err != nil {
			return nil, notify.Permanentf("request", "the request cannot be made: its body cannot be read")
		}
		out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	}
	for name, values := range t.options.Header {
		out.Header[name] = values
	}
	return out, t.authenticate(out, body)
}

// slowDown heeds an answer that is a success and asks for patience: the next
// delivery would be refused, or delayed until it times out. Azure DevOps says
// so by Retry-After
// (https://learn.microsoft.com/en-us/azure/devops/integrate/concepts/rate-limits#api-client-experience),
// others by a limit of which nothing is left.
func (t *Transport) slowDown(h http.Header) {
	if h.Get("Retry-After") == "" && !usedUp(h) {
		return
	}
	now := t.options.Now()
	if delay, asked := RetryAfter(h, now); asked && delay > 0 {
		t.until.Store(now.Add(delay).UnixNano())
	}
}

// patience refuses to begin a delivery while the endpoint wants to be left alone.
// One that has begun goes on: it would begin again with the request that was
// answered so, and never come to its end.
func (t *Transport) patience(req *http.Request) error {
	if begun(req.Context(), t) {
		return nil
	}
	until := t.until.Load()
	delay := time.Unix(0, until).Sub(t.options.Now())
	if until == 0 || delay <= 0 {
		t.until.CompareAndSwap(until, 0)
		begin(req.Context(), t)
		return nil
	}
	return &notify.Error{
		Class: notify.Throttled, Type: "rate_limit", Delay: clamp(delay),
		Err: errors.New(req.URL.Host + " has asked for patience with its last answer"),
	}
}

// Failure is what a delivery returns for the error of an SDK's call: the
// judgement of this transport, however deep in the SDK's own words, which may
// quote addresses. Without one, the endpoint has answered something that the
// SDK cannot read.
func (t *Transport) Failure(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	var judged *notify.Error
	if errors.As(err, &judged) {
		return judged
	}
	if ctx.Err() != nil {
		return notify.Retryablef("timeout", "%s: %w", t.host, ctx.Err())
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err // its text holds the whole address
	}
	return &notify.Error{
		Class: notify.Retryable, Type: "answer",
		Err: errors.New(t.host + " answered what cannot be used: " + t.secrets.quote([]byte(err.Error()))),
	}
}

// NotFound tells that a delivery's error is an endpoint's word that what was asked
// for is not there.
func NotFound(err error) bool {
	var e *notify.Error
	return errors.As(err, &e) && e.Type == strconv.Itoa(http.StatusNotFound)
}
