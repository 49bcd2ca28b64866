// Package pagerduty sends events to PagerDuty's Events API v2: an error
// triggers an alert, everything else resolves the alert of the same object, and
// what is worth a line in the timeline of the service is sent as a change event
// too.
//
// Nothing is escaped: PagerDuty shows all of it as plain text
// (https://developer.pagerduty.com/docs/send-alert-event).
package pagerduty

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/text"
)

const (
	// maxSummary is the limit of payload.summary, in characters
	// (https://developer.pagerduty.com/docs/send-alert-event: parameters).
	maxSummary = 1024
	// maxDedupKey is the limit of dedup_key, in characters (the same page).
	maxDedupKey = 255
	// maxEvent is the limit of a request's body, in bytes: 512 KB, the smaller
	// of the two things that this can mean
	// (https://developer.pagerduty.com/docs/events-api-v2-overview: size limits).
	maxEvent = 512_000
	// minText is what remains of the message when metadata is long, in bytes.
	minText = 4096

	pathAlert  = "/v2/enqueue"
	pathChange = "/v2/change/enqueue"
)

// Provider sends to one integration.
type Provider struct {
	*httpsend.Target
	routingKey string
}

// New makes a provider of an address, of which only scheme and host count, and
// of the integration's routing key, which is the channel.
func New(s notify.Settings) (notify.Provider, error) {
	address, err := httpsend.ParseAddress(s.Address)
	if err != nil {
		return nil, err
	}
	address.Path, address.RawPath, address.RawQuery = "", "", ""
	s.Address = address.String()
	// The key is all that is needed to wake somebody: no error may quote it.
	s.Secrets = maps.Clone(s.Secrets)
	if s.Secrets == nil {
		s.Secrets = map[string]string{}
	}
	s.Secrets["routing_key"] = s.Channel
	target, err := httpsend.New(s, httpsend.Options{})
	if err != nil {
		return nil, err
	}
	return &Provider{Target: target, routingKey: s.Channel}, nil
}

type alertEvent struct {
	RoutingKey  string `json:"routing_key"`
	EventAction string `json:"event_action"`
	DedupKey    string `json:"dedup_key"`
	Payload     *alert `json:"payload,omitempty"`
}

type alert struct {
	Summary       string  `json:"summary"`
	Source        string  `json:"source"`
	Severity      string  `json:"severity"`
	Timestamp     string  `json:"timestamp"`
	Component     string  `json:"component"`
	Group         string  `json:"group"`
	CustomDetails details `json:"custom_details"`
}

type changeEvent struct {
	RoutingKey string `json:"routing_key"`
	Payload    change `json:"payload"`
}

type change struct {
	Summary       string  `json:"summary"`
	Source        string  `json:"source"`
	Timestamp     string  `json:"timestamp"`
	CustomDetails details `json:"custom_details"`
}

type details struct {
	Message  string            `json:"message"`
	Metadata map[string]string `json:"metadata,omitempty"`
}

// Render implements notify.Provider.
func (p *Provider) Render(n *notify.Notification) ([]notify.Payload, error) {
	e := &n.Event
	event := alertEvent{RoutingKey: p.routingKey, EventAction: "resolve", DedupKey: dedupKey(e.InvolvedObject)}
	whole := details{Message: e.Message, Metadata: e.Metadata}
	if e.IsError() {
		event.EventAction = "trigger"
		event.Payload = &alert{
			Summary: summary(e), Source: source(e), Severity: "error", Timestamp: timestamp(n),
			Component: e.InvolvedObject.Name, Group: e.InvolvedObject.Kind, CustomDetails: whole,
		}
		return payloads(n, &event.Payload.CustomDetails, pathAlert, &event)
	}
	both, err := payloads(n, nil, pathAlert, &event)
	if err != nil || e.Severity == fluxevent.SeverityTrace {
		return both, err // a trace is too little for the timeline
	}
	told := changeEvent{RoutingKey: p.routingKey, Payload: change{
		Summary: summary(e), Source: source(e), Timestamp: timestamp(n), CustomDetails: whole,
	}}
	more, err := payloads(n, &told.Payload.CustomDetails, pathChange, &told)
	return append(both, more...), err
}

// payloads writes one event as JSON. Where that is too long its details are
// shortened, as much as the length of everything else asks for.
func payloads(n *notify.Notification, d *details, path string, event any) ([]notify.Payload, error) {
	body, err := json.Marshal(event)
	if err == nil && d != nil && len(body) > maxEvent {
		shorten(n, d, maxEvent-len(body))
		body, err = json.Marshal(event)
	}
	if err != nil {
		return nil, errors.New("the event cannot be written as JSON")
	}
	return []notify.Payload{{Method: http.MethodPost, Path: path, Body: body}}, nil
}

// shorten makes details shorter: the message first, then the longest values of
// the metadata but for the summary. room is below zero: by how much.
func shorten(n *notify.Notification, d *details, room int) {
	parts := []text.Part{{Text: d.Message}}
	room += text.InJSON(d.Message)
	for _, f := range n.Fields {
		if f.Key != "summary" {
			parts = append(parts, text.Part{Text: f.Value})
			room += text.InJSON(f.Value)
		}
	}
	fitted := text.Fit(parts, text.InJSON, room, minText)
	d.Message, fitted = fitted[0], fitted[1:]
	d.Metadata = maps.Clone(d.Metadata)
	for _, f := range n.Fields {
		if f.Key != "summary" {
			d.Metadata[f.Key], fitted = fitted[0], fitted[1:]
		}
	}
}

// summary is the title of the alert. Of a long one the reason is cut, since the
// object is what it is about.
func summary(e *fluxevent.Event) string {
	object := ": " + strings.ToLower(e.InvolvedObject.Kind) + "/" + e.InvolvedObject.Name
	room := max(maxSummary-utf8.RuneCountInString(object), 1)
	return text.Shorten(text.Shorten(text.Description(e.Reason), text.InRunes, room)+object, text.InRunes, maxSummary)
}

func source(e *fluxevent.Event) string { return "Flux " + e.ReportingController }

func timestamp(n *notify.Notification) string { return n.Time().UTC().Format(time.RFC3339) }

// dedupKey is the same for all events of an object and of no other object:
// without a UID it is made of the names, since an empty one would have
// PagerDuty make up a key that nothing resolves.
func dedupKey(o fluxevent.Object) string {
	key := o.UID
	if strings.TrimSpace(key) == "" {
		key = o.Kind + "/" + o.Namespace + "/" + o.Name
	}
	if utf8.RuneCountInString(key) <= maxDedupKey {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

var _ notify.Provider = (*Provider)(nil)
