// Package googlechat posts events to the incoming webhook of a Google Chat
// space, as a card.
//
// A card's texts read a few HTML tags
// (https://developers.google.com/workspace/chat/format-messages#card-formatting),
// so of an event's text &, < and > are escaped. Mentions are a matter of a
// message's text, of which a card has none. What the operator wrote in the
// alert passes as it is; the card's header is plain text.
package googlechat

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/text"
)

const (
	// maxMessage is the limit of a message, in bytes
	// (https://developers.google.com/workspace/chat/api/reference/rest/v1/spaces.messages/create).
	// The 4,096 characters are for messages of text alone.
	maxMessage = 32000
	// maxWidgets is how many widgets of a card are shown
	// (https://developers.google.com/workspace/chat/api/reference/rest/v1/cards).
	maxWidgets = 100
	// maxHeader is what a name may take that is no Kubernetes object's, in bytes
	// of the request. Those have 380 at most.
	maxHeader = 2000
	// minText is what remains of the message when metadata is long, in bytes of
	// the request.
	minText = 2000
	// minValue is what remains of each metadata value, in bytes of the request.
	minValue = 20
)

// Provider posts to one space.
type Provider struct{ *httpsend.Target }

// New makes a provider of a webhook's address.
func New(s notify.Settings) (notify.Provider, error) {
	target, err := httpsend.New(s, httpsend.Options{})
	if err != nil {
		return nil, err
	}
	return &Provider{Target: target}, nil
}

type message struct {
	Cards []card `json:"cards"`
}

type card struct {
	Header   header    `json:"header"`
	Sections []section `json:"sections"`
}

type header struct {
	Title    string `json:"title"`
	Subtitle string `json:"subtitle"`
}

type section struct {
	Widgets []widget `json:"widgets"`
}

type widget struct {
	TextParagraph *paragraph `json:"textParagraph,omitempty"`
	KeyValue      *keyValue  `json:"keyValue,omitempty"`
}

type paragraph struct {
	Text string `json:"text"`
}

type keyValue struct {
	TopLabel         string `json:"topLabel"`
	Content          string `json:"content"`
	ContentMultiline bool   `json:"contentMultiline"`
}

// Render implements notify.Provider.
func (*Provider) Render(n *notify.Notification) ([]notify.Payload, error) {
	c := card{Header: header{Title: plain(n.Subject()), Subtitle: plain(n.Event.ReportingController)}}
	before, after := "", ""
	if n.Event.IsError() {
		before, after = `<font color="#ff0000">`, "</font>"
	}
	c.Sections = sections(before+after, make([]text.Entry, 1))
	frame, err := json.Marshal(message{Cards: []card{c}})
	if err != nil {
		return nil, errors.New("the card cannot be written as JSON")
	}
	layout := text.Layout{
		Size: text.InJSON, Total: maxMessage - len(frame),
		Each:      len(`{"keyValue":{"topLabel":"","content":"","contentMultiline":false}},`),
		LeastText: minText, LeastValue: minValue,
	}
	body, entries := layout.Fit(text.Part{Text: n.Event.Message, Escape: escape}, pairs(n.Fields))
	c.Sections = sections(before+body+after, entries)
	payload, err := json.Marshal(message{Cards: []card{c}})
	if err != nil {
		return nil, errors.New("the card cannot be written as JSON")
	}
	return []notify.Payload{{Method: http.MethodPost, Body: payload}}, nil
}

func plain(s string) string {
	return text.Part{Text: s, Limit: maxHeader}.Render(text.InJSON)
}

func pairs(fields []notify.Field) []text.Pair {
	all := make([]text.Pair, len(fields))
	for i, f := range fields {
		all[i] = text.Pair{Key: text.Part{Text: f.Key}, Value: text.Part{Text: f.Value}, Whole: f.Key == "summary"}
		if !f.Operator {
			all[i].Key.Escape, all[i].Value.Escape = escape, escape
		}
	}
	return all
}

// sections are the message and the metadata. A section without a widget is
// refused, so there is no second one without metadata.
func sections(body string, entries []text.Entry) []section {
	told := section{Widgets: []widget{{TextParagraph: &paragraph{Text: body}}}}
	if len(entries) == 0 {
		return []section{told}
	}
	own, rest := entries, entries[:0]
	if room := maxWidgets - len(told.Widgets); len(entries) > room {
		own, rest = entries[:room-1], entries[room-1:]
	}
	widgets := make([]widget, 0, len(own)+1)
	for _, e := range own {
		widgets = append(widgets, widget{KeyValue: &keyValue{TopLabel: e.Key, Content: e.Value}})
	}
	if len(rest) > 0 {
		widgets = append(widgets, widget{TextParagraph: &paragraph{Text: list(rest)}})
	}
	return []section{told, {Widgets: widgets}}
}

// list is what would be more widgets than are shown, in one.
func list(entries []text.Entry) string {
	var b strings.Builder
	for i, e := range entries {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString("<b>" + e.Key + "</b>: " + e.Value)
	}
	return b.String()
}

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

var _ notify.Provider = (*Provider)(nil)
