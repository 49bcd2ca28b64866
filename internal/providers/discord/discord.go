// Package discord posts events to Discord, through the form of its webhooks
// that takes Slack's messages
// (https://discord.com/developers/docs/resources/webhook#execute-slackcompatible-webhook).
//
// Of an event's text, Discord's markdown is escaped
// (https://support.discord.com/hc/en-us/articles/210298617), and a space without
// width parts < and @ from what would make them a mention, since that form has
// no allowed_mentions. The name of the object is where Discord knows no
// markdown. What the operator wrote in the alert passes as it is.
package discord

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/text"
)

// The limits of an embed, which is what Discord makes of an attachment
// (https://discord.com/developers/docs/resources/message#embed-object-embed-limits).
// The page says characters; UTF-16 units are never fewer.
const (
	maxAuthor = 256  // author's name
	maxText   = 4096 // description
	maxTitle  = 256  // a field's name
	maxValue  = 1024 // a field's value
	maxFields = 25   // fields
	maxEmbed  = 6000 // all of these together
	// minText is what remains of the message when metadata is long.
	minText = 1000
	// minValue is what remains of a value when metadata is long.
	minValue = 40
	// maxUsername is the limit of a webhook's name, in characters
	// (https://discord.com/developers/docs/resources/webhook#create-webhook).
	maxUsername = 80
)

// Provider posts to one webhook.
type Provider struct {
	*httpsend.Target
	username string
}

// New makes a provider of a webhook's address, with or without the /slack at
// the end of its path. A channel, which Flux takes and ignores, is taken as well.
func New(s notify.Settings) (notify.Provider, error) {
	address, err := httpsend.ParseAddress(s.Address)
	if err != nil {
		return nil, err
	}
	if s.Username != "" && !allowed(s.Username) {
		return nil, errors.New("username: Discord takes no name that is longer than 80 characters or has discord or clyde in it")
	}
	if s.Channel != "" {
		s.Logger.Warn("channel is not used by the type discord: the webhook has its own")
	}
	s.Address = toSlack(address)
	target, err := httpsend.New(s, httpsend.Options{Judge: judge})
	if err != nil {
		return nil, err
	}
	return &Provider{Target: target, username: s.Username}, nil
}

func toSlack(address *url.URL) string {
	escaped := strings.TrimRight(address.EscapedPath(), "/")
	if !strings.HasSuffix(escaped, "/slack") {
		address.Path = strings.TrimRight(address.Path, "/") + "/slack"
		address.RawPath = escaped + "/slack"
	}
	return address.String()
}

// allowed tells whether Discord takes a name for a webhook's
// (https://discord.com/developers/docs/resources/user#usernames-and-nicknames).
func allowed(name string) bool {
	lower := strings.ToLower(name)
	return text.InUTF16(name) <= maxUsername && !strings.Contains(lower, "discord") && !strings.Contains(lower, "clyde")
}

type message struct {
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
	m := message{Username: p.username}
	if m.Username == "" && allowed(e.ReportingController) {
		m.Username = e.ReportingController
	}
	subject := text.Unmention(n.Subject())
	a := attachment{
		Color:      "good",
		AuthorName: text.Part{Text: subject, Limit: maxAuthor, Escape: plain}.Render(text.InUTF16),
		MrkdwnIn:   []string{"text"},
	}
	if e.IsError() {
		a.Color = "danger"
	}
	whole := e.Message
	if text.InUTF16(subject) > maxAuthor {
		whole = subject + "\n" + whole // a name that was cut tells objects no longer apart
	}
	a.Text, a.Fields = body(n, whole, maxEmbed-text.InUTF16(a.AuthorName))
	m.Attachments = []attachment{a}
	body, err := json.Marshal(m)
	if err != nil {
		return nil, errors.New("the message cannot be written as JSON")
	}
	return []notify.Payload{{Method: http.MethodPost, Body: body}}, nil
}

// plain is for what Discord shows as it is, but for Slack's <…>.
func plain(r rune) string {
	if r == '<' {
		return text.Chat(r)
	}
	return ""
}

// body fits the message and the metadata into what an embed may hold.
func body(n *notify.Notification, message string, room int) (string, []field) {
	pairs := make([]text.Pair, len(n.Fields))
	for i, f := range n.Fields {
		pairs[i] = text.Pair{Key: part(f.Key, f.Operator, maxTitle), Value: part(f.Value, f.Operator, maxValue), Whole: f.Key == "summary"}
	}
	layout := text.Layout{Size: text.InUTF16, Total: room, LeastText: minText, LeastValue: minValue}
	fitted, entries := layout.FitMost(part(message, false, maxText), pairs, maxFields)
	fields := make([]field, len(entries))
	for i, e := range entries {
		fields[i] = field{Title: e.Key, Value: e.Value}
	}
	return fitted, fields
}

func part(s string, operators bool, limit int) text.Part {
	if operators {
		return text.Part{Text: s, Limit: limit}
	}
	return text.Part{Text: text.Quiet(s), Escape: text.Chat, Limit: limit}
}

// judge reads how long to wait where only the body says it
// (https://discord.com/developers/docs/topics/rate-limits#exceeding-a-rate-limit).
func judge(a httpsend.Answer) (*notify.Error, bool) {
	if a.Status != http.StatusTooManyRequests || a.Header.Get("Retry-After") != "" {
		return nil, false
	}
	var limit struct {
		Message    string  `json:"message"`
		RetryAfter float64 `json:"retry_after"` // seconds
	}
	if err := json.Unmarshal(a.Body, &limit); err != nil || limit.RetryAfter <= 0 {
		return nil, false
	}
	seconds := min(limit.RetryAfter, time.Hour.Seconds())
	return &notify.Error{
		Class: notify.Throttled, Type: strconv.Itoa(a.Status),
		Delay: time.Duration(seconds * float64(time.Second)),
		Err:   errors.New("answered 429 Too Many Requests: " + limit.Message),
	}, true
}

// Check implements notify.Checker: the webhook tells about itself
// (https://discord.com/developers/docs/resources/webhook#get-webhook-with-token).
func (p *Provider) Check(ctx context.Context) error {
	return p.At(strings.TrimSuffix(p.Path(), "/slack"), nil).Get(ctx)
}

var (
	_ notify.Provider = (*Provider)(nil)
	_ notify.Checker  = (*Provider)(nil)
)
