// Package webex posts events to a Webex space, through its messages API.
//
// The message is markdown with HTML
// (https://developer.webex.com/docs/basics#formatting-messages). Of an event's
// text, all of markdown is escaped, and tags and mentions such as
// <@personEmail:…> and <@all> are parted after their first bracket. What the
// operator wrote in the alert passes as it is.
package webex

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
	// maxMarkdown is the limit of a message, in bytes
	// (https://developer.webex.com/docs/api/v1/messages/create-a-message).
	maxMarkdown = 7439
	// maxSubject is what a name may take that is no Kubernetes object's, in
	// bytes. Those have 380 at most.
	maxSubject = 1000
	// minText is what remains of the message when metadata is long, in bytes.
	minText = 1000
	// minValue is what remains of each metadata value, in bytes.
	minValue = 20
)

// Provider posts to one space.
type Provider struct {
	*httpsend.Target
	room string
}

// New makes a provider of the API's address, a space and a bot's token.
func New(s notify.Settings) (notify.Provider, error) {
	target, err := httpsend.New(s, httpsend.Options{Sign: httpsend.Bearer(s.Token)})
	if err != nil {
		return nil, err
	}
	if s.Channel == "" {
		return nil, errors.New("channel: must be set to the ID of a Webex space")
	}
	return &Provider{Target: target, room: s.Channel}, nil
}

type message struct {
	RoomID   string `json:"roomId"`
	Markdown string `json:"markdown"`
}

// Render implements notify.Provider.
func (p *Provider) Render(n *notify.Notification) ([]notify.Payload, error) {
	body, err := json.Marshal(message{RoomID: p.room, Markdown: markdown(n)})
	if err != nil {
		return nil, errors.New("the message cannot be written as JSON")
	}
	return []notify.Payload{{Method: http.MethodPost, Body: body}}, nil
}

func markdown(n *notify.Notification) string {
	emoji := "✅"
	if n.Event.IsError() {
		emoji = "💣"
	}
	subject := text.Part{Text: text.Inert(n.Subject()), Escape: text.Markdown, Limit: maxSubject}
	head := emoji + " **" + subject.Render(text.InBytes) + "**\n"
	pairs := make([]text.Pair, len(n.Fields))
	for i, f := range n.Fields {
		pairs[i] = text.Pair{Key: part(f.Key, f.Operator), Value: part(f.Value, f.Operator), Whole: f.Key == "summary"}
	}
	layout := text.Layout{
		Size: text.InBytes, Total: maxMarkdown - len(head) - len("\n"), Each: len(">****: \n"),
		LeastText: minText, LeastValue: minValue,
	}
	told, entries := layout.Fit(part(n.Event.Message, false), pairs)
	var b strings.Builder
	b.Grow(len(head) + len(told) + 64*len(entries))
	b.WriteString(head)
	b.WriteString(told)
	b.WriteByte('\n')
	for _, e := range entries {
		b.WriteString(">**")
		b.WriteString(e.Key)
		b.WriteString("**: ")
		b.WriteString(e.Value)
		b.WriteByte('\n')
	}
	return b.String()
}

func part(s string, markup bool) text.Part {
	if markup {
		return text.Part{Text: s}
	}
	return text.Part{Text: text.Inert(s), Escape: text.Markdown}
}

// Check implements notify.Checker: the API tells whose the token is
// (https://developer.webex.com/docs/api/v1/people/get-my-own-details).
func (p *Provider) Check(ctx context.Context) error {
	base, ok := strings.CutSuffix(strings.TrimSuffix(p.Path(), "/"), "/messages")
	if !ok {
		return notify.ErrUncheckable
	}
	return p.At(base+"/people/me", nil).Get(ctx)
}

var (
	_ notify.Provider = (*Provider)(nil)
	_ notify.Checker  = (*Provider)(nil)
)
