// Package rocket posts events to an incoming webhook of Rocket.Chat
// (https://docs.rocket.chat/docs/integrations).
//
// Of an event's text, the markdown of attachments is escaped, and a space
// without width parts < and @ from what would make them a link or a mention
// (https://docs.rocket.chat/docs/format-text-messages). The name of the object
// is where Rocket.Chat knows no markdown. What the operator wrote in the alert
// passes as it is.
package rocket

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
	// maxMessage is the default of Rocket.Chat's Maximum Allowed Characters Per
	// Message, in UTF-16 units; administrators can change it
	// (https://docs.rocket.chat/use-rocket.chat/workspace-administration/settings/message).
	// The whole message keeps it, attachments and all.
	maxMessage = 5000
	// maxAuthor bounds the object's name, which is never that long, in UTF-16 units.
	maxAuthor = 1000
	// minText is what remains of the message when metadata is long, in UTF-16 units.
	minText = 1000
	// minValue is what remains of a value when metadata is long, in UTF-16 units.
	minValue = 40
)

// Provider posts to one webhook.
type Provider struct {
	*httpsend.Target
	channel  string
	username string
}

// New makes a provider of a webhook's address.
func New(s notify.Settings) (notify.Provider, error) {
	target, err := httpsend.New(s, httpsend.Options{Judge: judge})
	if err != nil {
		return nil, err
	}
	return &Provider{Target: target, channel: s.Channel, username: s.Username}, nil
}

type message struct {
	Channel     string       `json:"channel,omitempty"`
	Username    string       `json:"username,omitempty"`
	Attachments []attachment `json:"attachments"`
}

type attachment struct {
	Color      string   `json:"color"`
	AuthorName string   `json:"author_name"`
	Text       string   `json:"text"`
	MrkdwnIn   []string `json:"mrkdwn_in"`
	Fields     []field  `json:"fields,omitempty"`
}

type field struct {
	Title string `json:"title"`
	Value string `json:"value"`
	Short bool   `json:"short"`
}

// Render implements notify.Provider.
func (p *Provider) Render(n *notify.Notification) ([]notify.Payload, error) {
	e := &n.Event
	m := message{Channel: p.channel, Username: p.username}
	if m.Username == "" {
		m.Username = e.ReportingController
	}
	a := attachment{
		Color:      "#0076D7",
		AuthorName: text.Shorten(text.Unmention(n.Subject()), text.InUTF16, maxAuthor),
		MrkdwnIn:   []string{"text"},
	}
	if e.IsError() {
		a.Color = "#FF0000"
	}
	a.Text, a.Fields = body(n, maxMessage-text.InUTF16(a.AuthorName))
	m.Attachments = []attachment{a}
	body, err := json.Marshal(m)
	if err != nil {
		return nil, errors.New("the message cannot be written as JSON")
	}
	return []notify.Payload{{Method: http.MethodPost, Body: body}}, nil
}

// body fits the message and the metadata into what a message may hold.
func body(n *notify.Notification, room int) (string, []field) {
	pairs := make([]text.Pair, len(n.Fields))
	for i, f := range n.Fields {
		pairs[i] = text.Pair{Key: part(f.Key, f.Operator), Value: part(f.Value, f.Operator), Whole: f.Key == "summary"}
	}
	layout := text.Layout{Size: text.InUTF16, Total: room, LeastText: minText, LeastValue: minValue}
	fitted, entries := layout.FitMost(part(n.Event.Message, false), pairs, 0)
	fields := make([]field, len(entries))
	for i, e := range entries {
		fields[i] = field{Title: e.Key, Value: e.Value}
	}
	return fitted, fields
}

func part(s string, operators bool) text.Part {
	if operators {
		return text.Part{Text: s}
	}
	return text.Part{Text: text.Quiet(s), Escape: text.Chat}
}

// judge finds the refusal in an answer whose status tells of none: scripts of
// integrations answer what they like.
func judge(a httpsend.Answer) (*notify.Error, bool) {
	if a.Status != http.StatusOK {
		return nil, false
	}
	var answer struct {
		Success *bool  `json:"success"`
		Error   string `json:"error"`
	}
	if err := json.Unmarshal(a.Body, &answer); err != nil || answer.Success == nil || *answer.Success {
		return nil, false
	}
	if strings.Contains(answer.Error, "error-too-many-requests") {
		return &notify.Error{Class: notify.Throttled, Type: "vendor", Err: errors.New("answered that there are too many requests")}, true
	}
	return notify.Permanentf("vendor", "refused the message: %s", answer.Error), true
}

var _ notify.Provider = (*Provider)(nil)
