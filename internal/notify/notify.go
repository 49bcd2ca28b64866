// Package notify says what a provider is: what it is given, what it gives
// back, and how it fails.
//
// The life of a provider:
//
//  1. Its row's New checks the settings and makes it. Nothing is dialled yet.
//  2. Start dials, where the provider keeps a connection of its own.
//  3. Render makes the payloads of a notification, Deliver sends each. Both are
//     called from many goroutines at once.
//  4. Shutdown ends it, when the collector stops or when rotated secrets have
//     made a successor. Deliveries under way have ended by then.
package notify

import (
	"context"
	"crypto/tls"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
)

// Provider tells one endpoint of one type.
type Provider interface {
	// Render makes what is to be sent, in the order in which to send it; none
	// where this type has nothing to say of the event. It is pure: the same
	// notification makes the same bytes, whatever the clock, the environment
	// or the order of a map, and the notification is left as it was.
	Render(n *Notification) ([]Payload, error)

	// Deliver sends one payload and returns once the endpoint has taken it.
	// Its error is an *Error, whose class says what to do next, and never
	// holds a secret. It obeys the context.
	Deliver(ctx context.Context, payload Payload) error
}

// Starter is a provider that keeps a connection of its own. Start does not fail
// because the endpoint is away: it keeps trying.
type Starter interface {
	Start(ctx context.Context) error
}

// Stopper is a provider that holds something to be let go. Shutdown may be
// called twice, and before Start.
type Stopper interface {
	Shutdown(ctx context.Context) error
}

// Payload is plain data: what to send, without the address, credentials and
// signatures that Deliver adds.
type Payload struct {
	// Method of the HTTP request; empty for what is not HTTP.
	Method string
	// Path is appended to that of the address; its segments are escaped.
	Path string
	// Header holds what this notification alone needs.
	Header http.Header
	Body   []byte
	// Key tells repetitions of this payload from other payloads, where the
	// transport can make use of it.
	Key string
	// Object names what the payload tells of, for a transport that keeps an
	// order or partitions by it.
	Object string
	// Time is its place in the order of what happened, for an endpoint on which something older must
	// not overwrite something newer.
	Time time.Time
}

// Alert names the alert that wanted a notification. All its fields are empty
// where an exporter without alerts sends everything.
type Alert struct {
	Name      string
	Namespace string
	UID       string
}

// Field is one entry of a notification's metadata.
type Field struct {
	Key   string
	Value string
	// Operator marks what the alert's author wrote. It is the only text that
	// may use the markup of the endpoint.
	Operator bool
}

// Notification is one event as one alert wants it told.
type Notification struct {
	// Event is a copy of the event, its metadata replaced by that of Fields.
	Event fluxevent.Event
	// Fields is the metadata that the alert combined, sorted by key.
	Fields []Field
	// Own is the metadata that the event itself brought, under its full keys:
	// for what no alert may decide. It is the event's, and only to be read.
	Own   map[string]string
	Alert Alert
}

// New makes a notification out of an event and its combined metadata. The
// event's own map is left alone.
func New(event *fluxevent.Event, fields []Field, alert Alert) *Notification {
	slices.SortFunc(fields, func(a, b Field) int { return strings.Compare(a.Key, b.Key) })
	n := &Notification{Event: *event, Fields: fields, Own: event.Metadata, Alert: alert}
	n.Event.Metadata = nil
	if len(fields) > 0 {
		n.Event.Metadata = make(map[string]string, len(fields))
	}
	for _, f := range fields {
		n.Event.Metadata[f.Key] = f.Value
	}
	return n
}

// Subject is the involved object as chat messages name it:
// "kustomization/webapp.apps".
func (n *Notification) Subject() string {
	o := &n.Event.InvolvedObject
	return strings.ToLower(o.Kind) + "/" + o.Name + "." + o.Namespace
}

// Time is when the event happened, or arrived when it does not say.
func (n *Notification) Time() time.Time { return n.Event.Time() }

// Place is where in the order of what happened the event belongs: its time, or
// that of its arrival where that is earlier. A clock that is ahead must not make
// an object's later events look older.
func (n *Notification) Place() time.Time {
	at, arrived := n.Time(), n.Event.Observed
	if !arrived.IsZero() && arrived.Before(at) {
		return arrived.UTC()
	}
	return at
}

// Settings is what a provider is made of: the exporter's configuration with
// the values of its secret folder in place.
type Settings struct {
	Address  string
	Channel  string
	Username string
	Password string
	Token    string
	Headers  []Header
	// Secrets are the further keys of the secret folder, by name.
	Secrets map[string]string
	// Type is that of the provider's row; Name and Namespace are what expressions
	// know it by.
	Type, Name, Namespace string
	// UID is the provider's identity, stable over restarts.
	UID string
	// JetStream waits for a NATS stream's acknowledgement.
	JetStream bool
	// Ordering keeps the order of an object's events in Google Pub/Sub.
	Ordering bool
	// CommitStatusExpr is the CEL expression of a commit status's identity.
	CommitStatusExpr string

	// HTTP is the client for every HTTP request, with the exporter's proxy,
	// TLS and connection limits; it follows no redirect.
	HTTP *http.Client
	// TLS is set where the exporter configures TLS, for what is not HTTP.
	TLS *tls.Config
	// ConnectTimeout bounds a dial that no context bounds.
	ConnectTimeout time.Duration
	Logger         *zap.Logger
	// Memory is shared with the providers before and after this one.
	Memory *Memory
}

// Header is a header of the operator's.
type Header struct{ Name, Value string }
