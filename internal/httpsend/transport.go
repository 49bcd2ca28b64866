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
	start := time.Now()
	if err := t.mayBegin(req); err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	out, err := t.prepare(req)
	if err != nil {
		return nil, err
	}
	host, authorization := out.URL.Host, out.Header.Get("Authorization")
	sent, w := follow(out, start)
	defer w.cancel()
	res, err := t.transport.RoundTrip(sent)
	if err != nil {
		return nil, t.sending(authorization).transportError(w, host, err)
	}
	network := res.Body
	defer func() { _ = network.Close() }()
	w.set(phaseReading)
	body, err := t.page(w, res, host)
	if err != nil {
		return nil, t.sending(authorization).transportError(w, host, err)
	}
	answer := Answer{Status: res.StatusCode, Header: res.Header, Body: body.head()}
	if err := t.verdict(authorization, host, answer); err != nil {
		body.release()
		return nil, err
	}
	t.slowDown(res.Header)
	res.Body, res.ContentLength, res.Request = body.open(req.Context()), body.size, req
	return res, nil
}

// page reads an answer: a success as a whole, a refusal up to maxAnswer. A success
// longer than maxPage is a permanent error: the SDK cannot read a part of it, and a
// retry would get it again, or do again what has succeeded.
func (t *Transport) page(w *progress, res *http.Response, host string) (*content, error) {
	if res.StatusCode >= http.StatusMultipleChoices {
		body, err := t.receive(w, res, maxAnswer)
		if err == nil && !body.whole {
			w.drain(res)
		}
		return body, nil
	}
	body, err := t.receive(w, res, maxPage)
	if err == nil && !body.whole {
		err = notify.Permanentf("too_large", "%s: the answer exceeds the limit of %d MiB", host, maxPage>>20)
	}
	if err != nil {
		body.release()
		return nil, err
	}
	return body, nil
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
	t.identify(out.Header)
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

// mayBegin refuses to begin a delivery before the endpoint's Retry-After has passed.
// One that has begun goes on: it would begin again with the request that was
// answered so, and never come to its end.
func (t *Transport) mayBegin(req *http.Request) error {
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
		Err: errors.New(req.URL.Host + ": paused, as its last answer requested (Retry-After or rate limit)"),
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
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &notify.Error{Class: notify.Retryable, Type: "timeout", Err: reworded{ctx.Err(), t.host + ": timeout"}}
	case ctx.Err() != nil:
		return &notify.Error{Class: notify.Retryable, Type: "canceled", Err: reworded{ctx.Err(), t.host + ": canceled"}}
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

// NotFound reports that a delivery's error is an endpoint's word that what was asked
// for is not there.
func NotFound(err error) bool {
	var e *notify.Error
	return errors.As(err, &e) && e.Type == strconv.Itoa(http.StatusNotFound)
}
