// Package httpsend is the one place that speaks HTTP to endpoints: it sends,
// bounds what it reads, decides what an answer means, and keeps secrets out of
// what it says about it.
package httpsend

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

const (
	// maxAnswer is how much of an answer is read to be judged, in bytes.
	maxAnswer = 64 << 10
	// maxDrain is how much more is read so that the connection can be used
	// again, in bytes; past that a new connection costs less.
	maxDrain = 256 << 10
)

// Target is an endpoint and how to speak to it. Providers embed it, and have
// Deliver by that.
type Target struct {
	client  *http.Client
	address *url.URL
	options Options
	secrets redactor
}

// Options are what types differ in.
type Options struct {
	// Header is sent with every request.
	Header http.Header
	// Sign adds credentials and signatures, last of all.
	Sign func(*http.Request, []byte)
	// Judge says what an answer means where its status code alone does not.
	// ok is false where the usual rules are right.
	Judge func(Answer) (verdict *notify.Error, ok bool)
	// Now is the clock for Retry-After dates. Default: time.Now.
	Now func() time.Time
}

// Answer is what an endpoint said.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// New makes a target of an address. Whatever is secret in the settings is kept
// out of the errors of Deliver.
func New(s notify.Settings, o Options) (*Target, error) {
	address, err := ParseAddress(s.Address)
	if err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	secrets := newRedactor(s, address)
	address.User = nil // providers that use it have read it from the settings
	return &Target{client: s.HTTP, address: address, options: o, secrets: secrets}, nil
}

// ParseAddress checks an address. Its errors do not repeat it, since it may be
// a secret.
func ParseAddress(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	switch {
	case address == "":
		return nil, errors.New("address: must be set to a URL such as https://example.com/hook")
	case err != nil, u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("address: must be a URL that begins with https:// or http://")
	case u.Hostname() == "":
		return nil, errors.New("address: the URL has no host, expected one such as https://example.com/hook")
	}
	u.Fragment = ""
	return u, nil
}

// Deliver sends one payload.
func (t *Target) Deliver(ctx context.Context, p notify.Payload) error {
	req, err := t.request(ctx, p)
	if err != nil {
		return err
	}
	res, err := t.client.Do(req)
	if err != nil {
		return t.transportError(ctx, err)
	}
	body, err := read(res)
	if err != nil && res.StatusCode < http.StatusMultipleChoices {
		// The endpoint has taken it: its status says so, and a repetition would
		// be a second notification. Only a type that judges bodies needs more.
		if t.options.Judge == nil {
			return nil
		}
		return t.transportError(ctx, err)
	}
	return t.judge(Answer{Status: res.StatusCode, Header: res.Header, Body: body})
}

func (t *Target) request(ctx context.Context, p notify.Payload) (*http.Request, error) {
	u := *t.address
	if p.Path != "" {
		u.Path, u.RawPath = strings.TrimSuffix(u.Path, "/")+p.Path, ""
	}
	req := (&http.Request{
		Method:        p.Method,
		URL:           &u,
		Host:          u.Host,
		Header:        make(http.Header, len(t.options.Header)+len(p.Header)+2),
		Body:          io.NopCloser(bytes.NewReader(p.Body)),
		ContentLength: int64(len(p.Body)),
		GetBody:       func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(p.Body)), nil },
	}).WithContext(ctx)
	req.Header.Set("Content-Type", "application/json")
	for _, header := range []http.Header{p.Header, t.options.Header} {
		for name, values := range header {
			req.Header[name] = values
		}
	}
	if t.options.Sign != nil {
		t.options.Sign(req, p.Body)
	}
	return req, nil
}

// read takes what is needed of an answer and lets the connection go on.
func read(res *http.Response) ([]byte, error) {
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return body, err
	}
	_, _ = io.CopyN(io.Discard, res.Body, maxDrain)
	return body, nil
}

// NoRedirects is for http.Client.CheckRedirect: an answer that points elsewhere
// is an answer, and judged as such. To follow it would turn a POST into a GET
// and carry credentials to a stranger.
func NoRedirects(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
