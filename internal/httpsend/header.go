package httpsend

import (
	"net/http"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/net/http/httpguts"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/version"
)

// OperatorHeader makes the header that an operator asks for. What the payload
// and its signature depend on is not his to set, and a Host is part of the
// address.
func OperatorHeader(headers []notify.Header) http.Header {
	h := make(http.Header, len(headers))
	for _, header := range headers {
		switch name := http.CanonicalHeaderKey(header.Name); name {
		case "Content-Type", "X-Signature", "Host":
		default:
			h.Set(name, header.Value)
		}
	}
	return h
}

// identify adds the User-Agent, which replaces that of an SDK, and the headers of the
// options, which may replace it in turn.
func (p *party) identify(h http.Header) {
	h.Set("User-Agent", version.UserAgent())
	add(h, p.options.Header)
}

// add sets headers to copies of the values, so that a middleware that changes those
// of one request does not change another.
func add(to, from http.Header) {
	for name, values := range from {
		to[name] = slices.Clone(values)
	}
}

// HeaderValue makes any text of an event fit for a header.
func HeaderValue(s string) string {
	if httpguts.ValidHeaderFieldValue(s) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}

// Bearer signs with a bearer token; without a token it does nothing.
func Bearer(token string) func(*http.Request, []byte) {
	return func(r *http.Request, _ []byte) {
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
	}
}
