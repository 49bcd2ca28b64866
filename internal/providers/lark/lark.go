// Package lark posts events to the webhook of a custom bot in a Lark or Feishu
// group, as a card.
//
// The card's text is lark_md, a small markdown with tags for mentions, colours
// and links. Of an event's text, its characters are escaped as HTML entities,
// as Lark wants it
// (https://open.feishu.cn/document/common-capabilities/message-card/message-cards-content/using-markdown-tags),
// and :EMOJI: is parted. What the operator wrote in the alert passes as it is;
// the card's header is plain text.
package lark

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/text"
)

const (
	// maxRequest is the limit of a request, in bytes
	// (https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot: 20 KB).
	maxRequest = 20000
	// maxHeader is what a name may take that is no Kubernetes object's, in bytes
	// of the request. Those have 380 at most.
	maxHeader = 2000
	// minText is what remains of the message when metadata is long, in bytes of
	// the request.
	minText = 2000
	// minValue is what remains of each metadata value, in bytes of the request.
	minValue = 20
)

// Codes of Lark's that ask for patience.
const (
	// codeBusy is a bot's limit of 5 requests a second and 100 a minute, or
	// Lark's own when all bots tell the full hour
	// (https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot).
	codeBusy = 11232
	// codeFrequency is the limit of the platform's APIs
	// (https://open.feishu.cn/document/server-docs/api-call-guide/frequency-control).
	codeFrequency = 99991400
	// codeBad is a bad request, says the bots' page. It comes with the words
	// "too many request" for another reason.
	codeBad = 9499
)

// Provider posts to one group.
type Provider struct{ *httpsend.Target }

// New makes a provider of a webhook's address.
func New(s notify.Settings) (notify.Provider, error) {
	target, err := httpsend.New(s, httpsend.Options{Judge: judge})
	if err != nil {
		return nil, err
	}
	return &Provider{Target: target}, nil
}

type message struct {
	MsgType string `json:"msg_type"`
	Card    card   `json:"card"`
}

type card struct {
	Config   config    `json:"config"`
	Header   header    `json:"header"`
	Elements []element `json:"elements"`
}

type config struct {
	WideScreenMode bool `json:"wide_screen_mode"`
}

type header struct {
	Title    content `json:"title"`
	Template string  `json:"template"`
}

type element struct {
	Tag  string  `json:"tag"`
	Text content `json:"text"`
}

type content struct {
	Tag     string `json:"tag"`
	Content string `json:"content"`
}

// Render implements notify.Provider.
func (*Provider) Render(n *notify.Notification) ([]notify.Payload, error) {
	emoji, template := "💫", "turquoise"
	if n.Event.IsError() {
		emoji, template = "🚨", "red"
	}
	title := text.Part{Text: n.Subject(), Limit: maxHeader}.Render(text.InJSON)
	m := message{MsgType: "interactive", Card: card{
		Config:   config{WideScreenMode: true},
		Header:   header{Title: content{Tag: "plain_text", Content: emoji + " " + title}, Template: template},
		Elements: []element{{Tag: "div", Text: content{Tag: "lark_md"}}},
	}}
	frame, err := json.Marshal(m)
	if err != nil {
		return nil, errors.New("the card cannot be written as JSON")
	}
	m.Card.Elements[0].Text.Content = body(n, maxRequest-len(frame))
	payload, err := json.Marshal(m)
	if err != nil {
		return nil, errors.New("the card cannot be written as JSON")
	}
	return []notify.Payload{{Method: http.MethodPost, Body: payload}}, nil
}

// body is the message and the metadata in lark_md.
func body(n *notify.Notification, room int) string {
	pairs := make([]text.Pair, len(n.Fields))
	for i, f := range n.Fields {
		if f.Operator {
			pairs[i] = text.Pair{Key: text.Part{Text: f.Key}, Value: text.Part{Text: f.Value}}
		} else {
			pairs[i] = text.Pair{
				Key:   text.Part{Text: noEmoji(f.Key), Escape: escape},
				Value: text.Part{Text: noEmoji(f.Value), Escape: escape},
			}
		}
		pairs[i].Whole = f.Key == "summary"
	}
	layout := text.Layout{
		Size: text.InJSON, Total: room - len(`****\n\n`), Each: len(`: \n`),
		LeastText: minText, LeastValue: minValue,
	}
	told, entries := layout.Fit(text.Part{Text: noEmoji(n.Event.Message), Escape: escape}, pairs)
	var b strings.Builder
	b.WriteString("**" + told + "**\n\n")
	for _, e := range entries {
		b.WriteString(e.Key)
		b.WriteString(": ")
		b.WriteString(e.Value)
		b.WriteByte('\n')
	}
	return b.String()
}

func escape(r rune) string {
	switch r {
	case '&':
		return "&#38;"
	case '<':
		return "&#60;"
	case '>':
		return "&#62;"
	case '*':
		return "&#42;"
	case '_':
		return "&#95;"
	case '~':
		return "&#126;"
	case '`':
		return "&#96;"
	case '[':
		return "&#91;"
	case ']':
		return "&#93;"
	case '\\':
		return "&#92;"
	case '$':
		return "&#36;"
	}
	return ""
}

// noEmoji parts a :NAME: with a space that nobody sees. Names of Lark's emoji
// begin with a capital; any other colon is left alone.
func noEmoji(s string) string {
	if strings.Count(s, ":") < 2 {
		return s
	}
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, ":")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteByte(':')
		name := strings.TrimLeft(after, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")
		if after != "" && after[0] >= 'A' && after[0] <= 'Z' && strings.HasPrefix(name, ":") {
			b.WriteString("\u200b")
		}
		s = after
	}
}

// judge reads Lark's answer, which has the status 200 for most refusals.
func judge(a httpsend.Answer) (*notify.Error, bool) {
	var answer struct {
		Code *int `json:"code"`
		// StatusCode is what older webhooks say instead.
		StatusCode *int   `json:"StatusCode"`
		Msg        string `json:"msg"`
	}
	err := json.Unmarshal(a.Body, &answer)
	if answer.Code == nil {
		answer.Code = answer.StatusCode
	}
	if err != nil || answer.Code == nil {
		if a.Status == http.StatusOK {
			return notify.Permanentf("no_answer", "answered 200 without Lark's JSON: address does not lead to a custom bot's webhook"), true
		}
		return nil, false
	}
	code := *answer.Code
	throttled := code == codeBusy || code == codeFrequency ||
		code == codeBad && strings.Contains(strings.ToLower(answer.Msg), "too many")
	switch {
	case throttled:
		e := notify.Retryablef("rate_limit", "answered that it is rate limited: %d %s", code, answer.Msg)
		e.Class, e.Delay = notify.Throttled, delay(a.Header)
		return e, true
	case a.Status != http.StatusOK:
		return nil, false
	case code == 0:
		return nil, true
	}
	return notify.Permanentf("vendor", "refused the message: %d %s%s", code, answer.Msg, advice[code]), true
}

// delay is how long to wait, in Lark's own header or the usual one.
func delay(h http.Header) time.Duration {
	if reset := h.Get("X-Ogw-Ratelimit-Reset"); reset != "" {
		h = http.Header{"Retry-After": {reset}}
	}
	d, _ := httpsend.RetryAfter(h, time.Now())
	return d
}

// advice says what to do about the refusals that a bot's settings cause.
var advice = map[int]string{
	19001: " (address is not that of a bot, or the bot was removed)",
	19021: " (the bot must not ask for a signature)",
	19022: " (the bot must allow this IP address)",
	19024: " (the bot asks for keywords: they can be given in event_metadata)",
}

var _ notify.Provider = (*Provider)(nil)
