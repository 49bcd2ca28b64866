// Package telegram sends events to a chat of Telegram through its Bot API
// (https://core.telegram.org/bots/api#sendmessage).
//
// Every character that MarkdownV2 reserves is escaped
// (https://core.telegram.org/bots/api#markdownv2-style), and a space without
// width parts @ from a name that it would mention. That goes for what the
// operator wrote in the alert, too: one stray character of his, and Telegram
// would refuse the whole message. His links are found without markup.
package telegram

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

const (
	// maxText is the limit of a message, in UTF-16 units
	// (https://core.telegram.org/bots/api#sendmessage: text). Telegram counts
	// after it has taken the markup away, this package with it, so that the
	// limit holds for any text.
	maxText = 4096
	// maxSubject bounds the object's name, which is never that long, in UTF-16 units.
	maxSubject = 1000
	// minText is what remains of the message when metadata is long, in UTF-16 units.
	minText = 1000
	// minValue is what remains of a value when metadata is long, in UTF-16 units.
	minValue = 40

	publicAPI = "https://api.telegram.org"
)

// Provider sends to one chat, or to one thread of it.
type Provider struct {
	*httpsend.Target
	chat   string
	thread string
}

// New makes a provider of a bot's token and a chat: its number, or @ and its
// name, and after a colon the number of a thread. Of the address,
// that of a Bot API server and by default Telegram's own, the path is not used.
func New(s notify.Settings) (notify.Provider, error) {
	if s.Token == "" {
		return nil, errors.New("token: must be set to that of a bot")
	}
	chat, thread, threaded := strings.Cut(s.Channel, ":")
	if chat == "" {
		return nil, errors.New("channel: must be a chat's number, or @ and the name of a channel")
	}
	if _, err := strconv.ParseUint(thread, 10, 63); threaded && err != nil {
		return nil, errors.New("channel: what follows the colon must be the number of a thread")
	}
	if s.Address == "" {
		s.Address = publicAPI
	}
	address, err := httpsend.ParseAddress(s.Address)
	if err != nil {
		return nil, err
	}
	// The token is put where httpsend takes the address's secrets from.
	address.RawPath, address.Path = "/bot"+url.PathEscape(s.Token), "/bot"+s.Token
	s.Address = address.String()
	target, err := httpsend.New(s, httpsend.Options{Judge: judge})
	if err != nil {
		return nil, err
	}
	return &Provider{Target: target, chat: chat, thread: thread}, nil
}

type message struct {
	ChatID string `json:"chat_id"`
	// ThreadID is a number in words, which Telegram reads like a number.
	ThreadID  string `json:"message_thread_id,omitempty"`
	Text      string `json:"text"`
	ParseMode string `json:"parse_mode"`
}

// Render implements notify.Provider.
func (p *Provider) Render(n *notify.Notification) ([]notify.Payload, error) {
	body, err := json.Marshal(message{ChatID: p.chat, ThreadID: p.thread, Text: write(n), ParseMode: "MarkdownV2"})
	if err != nil {
		return nil, errors.New("the message cannot be written as JSON")
	}
	return []notify.Payload{{Method: http.MethodPost, Path: "/sendMessage", Body: body}}, nil
}

// The markup around the parts of a message.
const (
	beforeKey   = `\- *`
	beforeValue = "*: "
	afterValue  = "\n"
)

// write fits the message and the metadata into one text.
func write(n *notify.Notification) string {
	emoji := "💫"
	if n.Event.IsError() {
		emoji = "🚨"
	}
	o := &n.Event.InvolvedObject
	subject := part(strings.ToLower(o.Kind) + "/" + o.Name + "/" + o.Namespace)
	subject.Limit = maxSubject
	head := "*" + emoji + " " + marked(subject.Render(text.InUTF16)) + "*\n"

	pairs := make([]text.Pair, len(n.Fields))
	for i, f := range n.Fields {
		pairs[i] = text.Pair{Key: part(f.Key), Value: part(f.Value), Whole: f.Key == "summary"}
	}
	layout := text.Layout{
		Size: text.InUTF16, Total: maxText - text.InUTF16(head) - len("\n"), LeastText: minText, LeastValue: minValue,
		Each: len(beforeKey + beforeValue + afterValue),
	}
	message, entries := layout.FitMost(part(n.Event.Message), pairs, 0)

	var b strings.Builder
	b.Grow(len(head) + len(message) + 96*len(entries))
	b.WriteString(head)
	b.WriteString(marked(message))
	b.WriteByte('\n')
	for _, e := range entries {
		b.WriteString(beforeKey)
		b.WriteString(marked(e.Key))
		b.WriteString(beforeValue)
		b.WriteString(marked(e.Value))
		b.WriteString(afterValue)
	}
	return b.String()
}

func part(s string) text.Part {
	return text.Part{Text: text.Unmention(s), Escape: escape}
}

func escape(r rune) string {
	if r < 0x80 {
		return escapes[r]
	}
	return ""
}

var escapes = func() (table [0x80]string) {
	for _, r := range "_*[]()~`>#+-=|{}.!\\" {
		table[r] = `\` + string(r)
	}
	return table
}()

// truncated is text.Truncated in MarkdownV2, where parentheses are reserved but
// in code.
var truncated = strings.Replace(text.Truncated, "(truncated)", "`(truncated)`", 1)

// marked makes the mark of what was cut markup as well. No escaped text ends
// like that mark. What it grows by is not counted by Telegram.
func marked(s string) string {
	if kept, cut := strings.CutSuffix(s, text.Truncated); cut {
		return kept + truncated
	}
	return s
}

// judge reads Telegram's answer
// (https://core.telegram.org/bots/api#making-requests).
func judge(a httpsend.Answer) (*notify.Error, bool) {
	var answer struct {
		OK          *bool  `json:"ok"`
		Description string `json:"description"`
		Parameters  struct {
			RetryAfter int `json:"retry_after"` // seconds
		} `json:"parameters"`
	}
	if err := json.Unmarshal(a.Body, &answer); err != nil || answer.OK == nil || *answer.OK {
		return nil, false
	}
	refused := a.Status >= 200 && a.Status < 300
	wait := answer.Parameters.RetryAfter
	switch {
	case wait > 0 && (refused || a.Status == http.StatusTooManyRequests):
		seconds := min(wait, int(time.Hour/time.Second))
		return &notify.Error{
			Class: notify.Throttled, Type: "429", Delay: time.Duration(seconds) * time.Second,
			Err: errors.New("answered 429 Too Many Requests: " + answer.Description),
		}, true
	case refused:
		return notify.Permanentf("vendor", "refused the message: %s", answer.Description), true
	case a.Status == http.StatusNotFound, a.Status == http.StatusUnauthorized:
		return notify.Permanentf(strconv.Itoa(a.Status), "answered %d %s: token is not that of a bot", a.Status, answer.Description), true
	}
	return nil, false
}

// Check implements notify.Checker: the API tells which bot the token is of
// (https://core.telegram.org/bots/api#getme).
func (p *Provider) Check(ctx context.Context) error {
	return p.At(p.Path()+"/getMe", judge).Get(ctx)
}

var (
	_ notify.Provider = (*Provider)(nil)
	_ notify.Checker  = (*Provider)(nil)
)
