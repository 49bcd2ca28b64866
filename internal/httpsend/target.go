// Package httpsend is the one place that speaks HTTP to endpoints: it sends,
// bounds what it reads, decides what an answer means, and keeps secrets out of
// what it says about it.
package httpsend

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// party is whoever is spoken to: how, and what of it is secret. A Target and a
// Transport judge and redact by it alike.
type party struct {
	transport http.RoundTripper // not the client: what that adds is to follow redirects
	options   Options
	secrets   redactor
	memory    *memory
	pages     chan struct{} // the long answers that it may have in memory at once
}

// Target is an endpoint and how to speak to it. Providers embed it, and have
// Deliver by that.
type Target struct {
	party
	address *url.URL
	user    *url.Userinfo
}

// Options are what types differ in.
type Options struct {
	// Header is sent with every request.
	Header http.Header
	// Authorize gives the Authorization header where it has to be fetched first.
	// Its error is what the delivery fails with.
	Authorize func(context.Context) (string, error)
	// Heard is told how an answer took an Authorization header, so that what was
	// fetched is fetched anew where it is good no more: again says that another
	// try is worth it.
	Heard func(authorization string, status int) (again bool)
	// Sign adds credentials and signatures, last of all.
	Sign func(*http.Request, []byte)
	// Judge says what an answer means where its status code alone does not.
	// ok is false where the usual rules are right.
	Judge func(Answer) (verdict *notify.Error, ok bool)
	// Words are what the body of a refusal says to a person, where it is no
	// text. Default: all of it.
	Words func(Answer) []byte
	// Now is the clock for Retry-After dates. Default: time.Now.
	Now func() time.Time
}

// Answer is what an endpoint said.
type Answer struct {
	Status int
	Header http.Header
	// Body is its beginning, at most 64 KiB.
	Body []byte
}

// New makes a target of an address. Whatever is secret in the settings is kept
// out of the errors of Deliver.
func New(s notify.Settings, o Options) (*Target, error) {
	address, err := ParseAddress(s.Address)
	if err != nil {
		return nil, err
	}
	t := &Target{party: newParty(s, o, address)}
	t.user, address.User = address.User, nil
	t.address = address
	return t, nil
}

func newParty(s notify.Settings, o Options, address *url.URL) party {
	if o.Now == nil {
		o.Now = time.Now
	}
	return party{
		transport: s.HTTP.Transport, options: o, secrets: newRedactor(s, address),
		memory: answers, pages: make(chan struct{}, pagesOfTarget),
	}
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
	start := time.Now()
	req, err := t.request(ctx, p)
	if err != nil {
		return err
	}
	authorization := req.Header.Get("Authorization")
	sent, w := follow(req, start)
	defer w.cancel()
	res, err := t.transport.RoundTrip(sent)
	if err != nil {
		return t.transportError(w, t.address.Host, err)
	}
	defer func() { _ = res.Body.Close() }()
	w.set(phaseReading)
	answer := Answer{Status: res.StatusCode, Header: res.Header}
	accepted := answer.Status < http.StatusMultipleChoices
	if accepted && t.options.Judge == nil {
		w.drain(res)
		return t.verdict(authorization, t.address.Host, answer)
	}
	body, err := t.receive(w, res, maxAnswer)
	defer body.release()
	if err != nil && accepted {
		// The endpoint has taken it: its status says so, and a repetition would
		// be a second notification. Only a type that judges bodies needs more.
		if verdict, judges := t.options.Judge(answer); !judges || verdict == nil {
			return nil
		}
		return t.transportError(w, t.address.Host, err)
	}
	if err == nil && !body.whole {
		w.drain(res)
	}
	answer.Body = body.head()
	return t.verdict(authorization, t.address.Host, answer)
}

func (t *Target) request(ctx context.Context, p notify.Payload) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, p.Method, "", bytes.NewReader(p.Body))
	if err != nil {
		return nil, notify.Permanentf("request", "the request cannot be made: %w", err)
	}
	u := *t.address
	if p.Path != "" {
		more, err := url.PathUnescape(p.Path)
		if err != nil {
			return nil, notify.Permanentf("request", "the request cannot be made: its path is not escaped")
		}
		u.RawPath = strings.TrimSuffix(u.EscapedPath(), "/") + p.Path
		u.Path = strings.TrimSuffix(u.Path, "/") + more
	}
	req.URL, req.Host = &u, u.Host
	if len(p.Body) > 0 {
		req.Header.Set("Content-Type", "application/json") // unless the payload says otherwise
	}
	add(req.Header, p.Header)
	t.identify(req.Header)
	if err := t.authenticate(req, p.Body); err != nil {
		return nil, err
	}
	if t.user != nil && req.Header.Get("Authorization") == "" {
		password, _ := t.user.Password()
		req.SetBasicAuth(t.user.Username(), password)
	}
	return req, nil
}

// authenticate adds what says who is speaking.
func (p *party) authenticate(req *http.Request, body []byte) error {
	if p.options.Authorize != nil {
		authorization, err := p.options.Authorize(req.Context())
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", authorization)
	}
	if p.options.Sign != nil {
		p.options.Sign(req, body)
	}
	return nil
}

// verdict says what the answer to a request means, which carried an Authorization
// header or none.
func (p *party) verdict(authorization, host string, a Answer) error {
	again := p.options.Heard != nil && p.options.Heard(authorization, a.Status)
	if p.judge(host, a) == nil {
		return nil
	}
	err := p.sending(authorization).judge(host, a)
	var e *notify.Error
	if again && errors.As(err, &e) && e.Class == notify.Permanent {
		e.Class = notify.Retryable
	}
	return err
}

// sending is the party of one request. What authorises that may have been fetched
// on the way, and is no less secret than the settings.
func (p *party) sending(authorization string) *party {
	if authorization == "" {
		return p
	}
	_, credentials, _ := strings.Cut(authorization, " ")
	one := *p
	one.secrets = p.secrets.and(authorization, credentials)
	return &one
}

// Path is that of the address, escaped.
func (t *Target) Path() string { return t.address.EscapedPath() }

// At is the same endpoint under another path, which is escaped and takes the
// place of the whole of the address's own: for what is asked of an endpoint
// besides deliveries. An answer is judged by its status, or as judge says.
func (t *Target) At(path string, judge func(Answer) (*notify.Error, bool)) *Target {
	other, address := *t, *t.address
	address.RawPath = path
	if plain, err := url.PathUnescape(path); err == nil {
		address.Path = plain
	}
	other.address, other.options.Judge = &address, judge
	return &other
}

// Get asks without a body.
func (t *Target) Get(ctx context.Context) error {
	return t.Deliver(ctx, notify.Payload{Method: http.MethodGet})
}

// NoRedirects is for http.Client.CheckRedirect: an answer that points elsewhere
// is an answer, and judged as such. To follow it would turn a POST into a GET
// and carry credentials to a stranger.
func NoRedirects(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
