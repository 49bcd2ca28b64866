// Package datadog posts events to Datadog's stream of events.
//
// An event's text is made unable to begin a block of markdown (%%%, see
// https://docs.datadoghq.com/api/latest/events/#post-an-event) or to address
// somebody (@name): a zero-width space parts such characters. Title and tags
// have no markup.
package datadog

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"unicode"

	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/text"
)

const (
	// maxTitle is the limit of a title, in characters. The first version of the
	// API names none any more; the second one names this
	// (https://docs.datadoghq.com/api/latest/events/#post-an-event).
	maxTitle = 500
	// maxText is the limit of an event's text, in characters (the same page).
	maxText = 4000
	// maxTag is the limit of a tag, in characters
	// (https://docs.datadoghq.com/getting_started/tagging/#define-tags).
	maxTag = 200
)

// apart stands between characters that together would be markup.
const apart = "\u200b"

// Provider posts to one Datadog site.
type Provider struct{ *httpsend.Target }

// New makes a provider of the address of a site's API and an API key. The
// address stands for its host alone: a path in it is not used, as in Flux.
func New(s notify.Settings) (notify.Provider, error) {
	address, err := httpsend.ParseAddress(s.Address)
	if err != nil {
		return nil, err
	}
	address.Path, address.RawPath = "", ""
	s.Address = address.String()
	target, err := httpsend.New(s, httpsend.Options{
		Sign: func(r *http.Request, _ []byte) { r.Header.Set("Dd-Api-Key", s.Token) },
	})
	if err != nil {
		return nil, err
	}
	return &Provider{Target: target}, nil
}

type event struct {
	Title          string   `json:"title"`
	Text           string   `json:"text"`
	Tags           []string `json:"tags"`
	SourceTypeName string   `json:"source_type_name"`
	DateHappened   int64    `json:"date_happened"`
	AlertType      string   `json:"alert_type"`
}

// Render implements notify.Provider.
func (*Provider) Render(n *notify.Notification) ([]notify.Payload, error) {
	e := &n.Event
	o := &e.InvolvedObject
	alertType := "info"
	if e.IsError() {
		alertType = "error"
	}
	tags := make([]string, 0, 5+len(n.Fields))
	tags = append(
		tags,
		tag("flux_reporting_controller", e.ReportingController),
		tag("flux_reason", e.Reason),
		tag("kube_kind", o.Kind),
		tag("kube_name", o.Name),
		tag("kube_namespace", o.Namespace),
	)
	for _, f := range n.Fields {
		tags = append(tags, tag(f.Key, f.Value))
	}
	body, err := json.Marshal(event{
		Title:          text.Shorten("Events from the "+o.Kind+" "+o.Name+"/"+o.Namespace, text.InRunes, maxTitle),
		Text:           text.Shorten(inert(e.Message), text.InRunes, maxText),
		Tags:           tags,
		SourceTypeName: "fluxcd",
		DateHappened:   n.Time().Unix(),
		AlertType:      alertType,
	})
	if err != nil {
		return nil, errors.New("the event cannot be written as JSON")
	}
	return []notify.Payload{{Method: http.MethodPost, Path: "/api/v1/events", Body: body}}, nil
}

func tag(key, value string) string {
	return text.Shorten(strings.ToLower(key+":"+value), text.InRunes, maxTag)
}

// inert parts what Datadog would take for markup. An @ within a word, as in
// chart@6.5.0, is none.
func inert(s string) string {
	if !strings.ContainsRune(s, '@') && !strings.Contains(s, "%%") {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 8*len(apart))
	before := ' '
	for _, r := range s {
		if r == '%' && before == '%' {
			b.WriteString(apart)
		}
		b.WriteRune(r)
		if r == '@' && !unicode.IsLetter(before) && !unicode.IsDigit(before) {
			b.WriteString(apart)
		}
		before = r
	}
	return b.String()
}

// Check implements notify.Checker: it has the key validated
// (https://docs.datadoghq.com/api/latest/authentication/#validate-api-key).
func (p *Provider) Check(ctx context.Context) error {
	return p.At("/api/v1/validate", nil).Get(ctx)
}

var (
	_ notify.Provider = (*Provider)(nil)
	_ notify.Checker  = (*Provider)(nil)
)
