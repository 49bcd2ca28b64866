// Package slack posts events to Slack: to its API, or to an incoming webhook.
//
// Of an event's text, &, < and > are escaped, which is all of Slack's syntax
// for mentions, channels and links
// (https://docs.slack.dev/messaging/formatting-message-text/#escaping). What the
// operator wrote in the alert passes as it is.
package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/text"
)

const (
	// maxText is where Slack cuts the text of an attachment, in characters. Its
	// reference does not say; this is what users of the API measured
	// (https://github.com/ErikKalkoken/slackApiDoc, message_limits.md).
	maxText = 8000
	// maxField is the limit of a field's text, in characters
	// (https://docs.slack.dev/reference/block-kit/blocks/section-block/: fields).
	maxField = 2000
	// maxMessage is where Slack cuts a whole message, in characters
	// (https://docs.slack.dev/changelog/2018-truncating-really-long-messages/).
	maxMessage = 40000
	// minText is what remains of the message when metadata is long, in characters.
	minText = 1000
	// minValue is what remains of a value when metadata is long, in characters.
	minValue = 60
	// maxFallback bounds what a mobile notification shows, in characters.
	maxFallback = 300
)

// Provider posts to one channel.
type Provider struct {
	*httpsend.Target
	channel  string
	username string
}

// New makes a provider of a webhook's address, or of the API's and a token.
func New(s notify.Settings) (notify.Provider, error) {
	address, err := httpsend.ParseAddress(s.Address)
	if err != nil {
		return nil, err
	}
	options := httpsend.Options{Sign: httpsend.Bearer(s.Token)}
	if strings.HasSuffix(address.Path, "/api/chat.postMessage") {
		options.Judge = judge("message")
	}
	target, err := httpsend.New(s, options)
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
	Fallback   string   `json:"fallback"`
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
	color := "good"
	if e.IsError() {
		color = "danger"
	}
	a := attachment{
		Fallback:   escaped(n.Subject()+": "+text.FirstLine(e.Message), maxFallback),
		Color:      color,
		AuthorName: escaped(n.Subject(), 0),
		MrkdwnIn:   []string{"text"},
	}
	a.Text, a.Fields = body(n, maxMessage-len(a.Fallback)-len(a.AuthorName))
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
		key, value := text.Part{Text: f.Key, Limit: maxField}, text.Part{Text: f.Value, Limit: maxField}
		if !f.Operator {
			key.Escape, value.Escape = escape, escape
		}
		pairs[i] = text.Pair{Key: key, Value: value, Whole: f.Key == "summary"}
	}
	layout := text.Layout{Size: text.InRunes, Total: room, LeastText: minText, LeastValue: minValue}
	fitted, entries := layout.Fit(text.Part{Text: n.Event.Message, Escape: escape, Limit: maxText}, pairs)
	fields := make([]field, len(entries))
	for i, e := range entries {
		fields[i] = field{Title: e.Key, Value: e.Value}
	}
	return fitted, fields
}

func escaped(s string, limit int) string {
	return text.Part{Text: s, Escape: escape, Limit: limit}.Render(text.InRunes)
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

// judge reads the API's answer, which has the status 200 whatever happened. It
// names what was refused.
func judge(what string) func(httpsend.Answer) (*notify.Error, bool) {
	return func(a httpsend.Answer) (*notify.Error, bool) {
		if a.Status != http.StatusOK {
			return nil, false
		}
		var answer struct {
			OK    bool   `json:"ok"`
			Error string `json:"error"`
		}
		if err := json.Unmarshal(a.Body, &answer); err != nil {
			return notify.Permanentf("no_answer", "answered 200 without Slack's JSON: address does not lead to Slack's API"), true
		}
		if answer.OK {
			return nil, true
		}
		if answer.Error == "ratelimited" {
			delay, _ := httpsend.RetryAfter(a.Header, time.Now())
			return &notify.Error{Class: notify.Throttled, Type: answer.Error, Delay: delay, Err: errors.New("answered that it is rate limited")}, true
		}
		return notify.Permanentf("vendor", "refused the %s: %s%s", what, answer.Error, advice(answer.Error)), true
	}
}

// advice says what to do about the errors that configurations cause.
func advice(slackError string) string {
	hint, ok := map[string]string{
		"channel_not_found": "set channel to one that exists, and invite the app if it is private",
		"not_in_channel":    "invite the app to the channel",
		"invalid_auth":      "token is not one of Slack's bot tokens (xoxb-…)",
		"not_authed":        "token must be set",
		"token_revoked":     "token must be renewed",
		"missing_scope":     "the app needs the scope chat:write, and chat:write.customize for a username",
	}[slackError]
	if !ok {
		return ""
	}
	return fmt.Sprintf(" (%s)", hint)
}

// Check implements notify.Checker: the API tells whose the token is
// (https://docs.slack.dev/reference/methods/auth.test). Of a webhook nothing can
// be asked.
func (p *Provider) Check(ctx context.Context) error {
	base, ok := strings.CutSuffix(p.Path(), "/chat.postMessage")
	if !ok {
		return notify.ErrUncheckable
	}
	return p.At(base+"/auth.test", judge("token")).Deliver(ctx, notify.Payload{Method: http.MethodPost})
}

var (
	_ notify.Provider = (*Provider)(nil)
	_ notify.Checker  = (*Provider)(nil)
)
