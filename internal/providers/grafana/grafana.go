// Package grafana posts events as annotations to Grafana.
//
// In the text of an annotation <, > and & are escaped, since Grafana shows it as
// HTML. Tags it shows as they are, but cuts at the second colon: a colon in
// metadata, whoever wrote it, becomes a bar.
package grafana

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/text"
)

const (
	// maxTags is the limit of all tags of an annotation together, in bytes of a
	// JSON list, unless Grafana's administrator has raised it
	// (https://grafana.com/docs/grafana/latest/setup-grafana/configure-grafana/#tags_length).
	maxTags = 500
	// maxTag is the limit of a tag's key and of its value, in bytes. Grafana's
	// columns hold 100 characters each, and some databases refuse more
	// (https://github.com/grafana/grafana/issues/98361).
	maxTag = 100
	// perTag is what a tag adds to that list, in bytes: quotes and a comma.
	perTag = 3
	// minValue is what remains of a long value of the metadata, in bytes.
	minValue = 20
	// maxText bounds the text, in characters. The API has no limit; Kubernetes'
	// names stay below this.
	maxText = 1000
)

// Provider posts to one Grafana.
type Provider struct{ *httpsend.Target }

// New makes a provider of an address that ends in /api/annotations. Credentials
// are a bearer token, else user name and password where both are set, else those
// in the address.
func New(s notify.Settings) (notify.Provider, error) {
	target, err := httpsend.New(s, httpsend.Options{Sign: func(r *http.Request, _ []byte) {
		switch {
		case s.Token != "":
			r.Header.Set("Authorization", "Bearer "+s.Token)
		case s.Username != "" && s.Password != "":
			r.SetBasicAuth(s.Username, s.Password)
		}
	}})
	if err != nil {
		return nil, err
	}
	return &Provider{Target: target}, nil
}

type annotation struct {
	Text string   `json:"text"`
	Tags []string `json:"tags"`
	// When is the time of Graphite's events, in seconds since 1970.
	When int64 `json:"when"`
	// Time is that of Grafana's own API, in milliseconds since 1970.
	Time int64 `json:"time"`
}

// Render implements notify.Provider.
func (*Provider) Render(n *notify.Notification) ([]notify.Payload, error) {
	at := n.Time()
	body, err := json.Marshal(annotation{
		Text: text.Part{Text: n.Subject(), Escape: escape, Limit: maxText}.Render(text.InRunes),
		Tags: tags(n),
		When: at.Unix(),
		Time: at.UnixMilli(),
	})
	if err != nil {
		return nil, errors.New("the annotation cannot be written as JSON")
	}
	return []notify.Payload{{Method: http.MethodPost, Body: body}}, nil
}

// tags puts the metadata between what every annotation has.
func tags(n *notify.Notification) []string {
	o := &n.Event.InvolvedObject
	all := make([]string, 0, 5+len(n.Fields))
	all = append(all, "flux", short(n.Event.ReportingController))
	last := [...]string{"kind: " + short(o.Kind), "name: " + short(o.Name), "namespace: " + short(o.Namespace)}

	room := maxTags - len("[]")
	for _, tag := range [...]string{all[0], all[1], last[0], last[1], last[2]} {
		room -= len(tag) + perTag
	}
	pairs := make([]text.Pair, 0, len(n.Fields))
	for _, f := range n.Fields {
		pairs = append(pairs, text.Pair{
			Key:   text.Part{Text: strings.ReplaceAll(f.Key, ":", "|"), Limit: maxTag},
			Value: text.Part{Text: strings.ReplaceAll(f.Value, ":", "|"), Limit: maxTag},
			Whole: f.Key == "summary",
		})
	}
	layout := text.Layout{Size: text.InBytes, Total: room, Each: perTag + len(": "), LeastValue: minValue}
	_, entries := layout.Fit(text.Part{}, pairs)
	for _, e := range entries {
		all = append(all, e.Key+": "+e.Value)
	}
	return append(all, last[:]...)
}

func short(s string) string { return text.Shorten(s, text.InBytes, maxTag) }

func escape(r rune) string {
	switch r {
	case '&':
		return "&amp;"
	case '<':
		return "&lt;"
	case '>':
		return "&gt;"
	}
	return ""
}

// Check implements notify.Checker: it reads annotations, which needs no more
// than to write them (https://grafana.com/docs/grafana/latest/developers/http_api/annotations/#find-annotations).
func (p *Provider) Check(ctx context.Context) error { return p.Get(ctx) }

var (
	_ notify.Provider = (*Provider)(nil)
	_ notify.Checker  = (*Provider)(nil)
)
