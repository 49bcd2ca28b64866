// Package zulip sends events to a channel of Zulip (https://zulip.com/api/send-message).
//
// Zulip's markdown knows no backslash: of an event's text, the characters of
// its markup (https://zulip.com/help/format-your-message-using-markdown) are
// written as HTML's character references, which it resolves, and a space without
// width parts @ from a name and takes lines that would begin a list or a quote
// for text. Keys of metadata are code. What the operator wrote in the alert
// passes as it is.
package zulip

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/report"
	"github.com/fluxnotify/otelcol-flux/internal/text"
)

const (
	// maxMessage is the limit of a message, in characters
	// (https://zulip.com/api/send-message#parameter-content; servers name theirs
	// as max_message_length in https://zulip.com/api/register-queue).
	maxMessage = 10000
	// maxTopic is the limit of a topic, in characters
	// (https://zulip.com/api/send-message#parameter-topic).
	maxTopic = 60
)

// Provider sends to one topic.
type Provider struct {
	*httpsend.Target
	channel string
	topic   string
}

// errTopic is of a channel without a topic, which Flux accepts and then sends
// nothing to; here it starts too, and every notification says why it fails.
var errTopic = errors.New("channel: must be a channel and a topic with a slash between them, such as flux/production")

// New makes a provider of a server's address, of which scheme, host and query
// are used, a bot's name and key, and a channel with a topic.
func New(s notify.Settings) (notify.Provider, error) {
	channel, topic, _ := strings.Cut(s.Channel, "/")
	if channel == "" {
		return nil, errTopic
	}
	if topic == "" {
		s.Logger.Warn(errTopic.Error() + "; until then notifications fail")
	}
	address, err := httpsend.ParseAddress(s.Address)
	if err != nil {
		return nil, err
	}
	address.Path, address.RawPath = "", ""
	s.Address = address.String()
	target, err := httpsend.New(s, httpsend.Options{Judge: judge, Sign: func(r *http.Request, _ []byte) {
		if s.Username != "" || s.Password != "" {
			r.SetBasicAuth(s.Username, s.Password)
		}
	}})
	if err != nil {
		return nil, err
	}
	return &Provider{Target: target, channel: channel, topic: text.Shorten(topic, text.InRunes, maxTopic)}, nil
}

var form = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}

// Render implements notify.Provider.
func (p *Provider) Render(n *notify.Notification) ([]notify.Payload, error) {
	if p.topic == "" {
		return nil, errTopic
	}
	values := url.Values{"type": {"stream"}, "to": {p.channel}, "topic": {p.topic}, "content": {report.Write(n, "", style)}}
	return []notify.Payload{{
		Method: http.MethodPost, Path: "/api/v1/messages", Header: form, Body: []byte(values.Encode()),
	}}, nil
}

var style = report.Style{Size: text.InRunes, Total: maxMessage, Stranger: part}

func part(s string) text.Part {
	return text.Part{Text: text.Unmention(text.Inert(s)), Escape: escape}
}

func escape(r rune) string {
	switch r {
	case '&':
		return "&amp;"
	case '<':
		return "&lt;"
	case '>':
		return "&gt;"
	case '*':
		return "&#42;"
	case '`':
		return "&#96;"
	case '~':
		return "&#126;"
	case '$':
		return "&#36;"
	case '|':
		return "&#124;"
	}
	return ""
}

// judge reads Zulip's answer, which names an error in its body as well as by
// its status (https://zulip.com/api/rest-error-handling).
func judge(a httpsend.Answer) (*notify.Error, bool) {
	if a.Status < 200 || a.Status > 299 {
		return nil, false
	}
	var answer struct {
		Result  string `json:"result"`
		Message string `json:"msg"`
	}
	if err := json.Unmarshal(a.Body, &answer); err != nil || answer.Result != "error" {
		return nil, false
	}
	return notify.Permanentf("vendor", "refused the message: %s", answer.Message), true
}

// Check implements notify.Checker: the server tells whose the key is
// (https://zulip.com/api/get-own-user).
func (p *Provider) Check(ctx context.Context) error {
	return p.At("/api/v1/users/me", judge).Get(ctx)
}

var (
	_ notify.Provider = (*Provider)(nil)
	_ notify.Checker  = (*Provider)(nil)
)
