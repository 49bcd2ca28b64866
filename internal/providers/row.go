package providers

import (
	"net/http"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// Use says what a type makes of a setting.
type Use int

// What a type makes of a setting.
const (
	Unused Use = iota
	Optional
	// Expected may be missing at the start; until it is there, notifications
	// fail and say so, as they do in Flux.
	Expected
	Required
)

// Row is a provider type.
type Row struct {
	// Type is its name in configurations, the same as in Flux.
	Type string
	// Words describe it in one line.
	Words string
	// Takes is the class of events that it is told.
	Takes notify.Takes
	// Skips leaves out further events that the type has no use for, and names
	// the rule. nil: none.
	Skips func(*fluxevent.Event) (rule string, skip bool)
	// Bus marks what is not spoken over HTTP: settings of the HTTP client but
	// tls and timeout mean nothing to it.
	Bus bool
	// What the type makes of these settings.
	Address, Channel, Username, Password, Token, Headers, JetStream, Ordering, CommitStatusExpr Use
	// OpenAddress marks an address that is no secret: that of an API, whose path
	// may be shown. A webhook's is all that is needed to post.
	OpenAddress bool
	// SecretChannel marks a channel that is a key.
	SecretChannel bool
	// RawToken marks a token that is bytes, not text: a line break at its end
	// is part of it.
	RawToken bool
	// OwnIdentity reports whether, with these settings, the type uses the identity of the
	// collector itself. nil: it never does.
	OwnIdentity func(notify.Settings) bool
	// Secrets are further keys of a secret folder that the type reads.
	Secrets []string
	// New makes a provider, or says what is wrong with which setting.
	New func(notify.Settings) (notify.Provider, error)
	// MaxRequest is the vendor's limit of a request, in bytes, where it is one of
	// requests and not of the texts in them. 0: there is none.
	MaxRequest int
	// OKBody is what the endpoint answers when it is content, where the type
	// looks further than the status code.
	OKBody string
	// OK answers every request of a delivery as a content endpoint does, where a
	// delivery is more than one request. nil: all get OKBody.
	OK http.HandlerFunc
	// OneHost marks a type that knows its endpoint's host whatever the address.
	OneHost bool
	// Show writes a body that is no text as JSON, for people. nil: bodies are text.
	Show func(body []byte) ([]byte, error)
	// Sample is a configuration that uses every setting of the type.
	Sample notify.Settings
}

// Filters tells whether the type leaves the event out, and by which rule.
func (r *Row) Filters(e *fluxevent.Event) (rule string, filtered bool) {
	if rule, filtered := r.Takes.Filters(e); filtered {
		return rule, true
	}
	if r.Skips == nil {
		return "", false
	}
	return r.Skips(e)
}
