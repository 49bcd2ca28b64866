// Package matrix posts events as messages to a room of a Matrix server.
//
// Nothing is escaped: the message has a plain body alone, and no client renders
// that. Its empty m.mentions keeps names and @room in it from notifying anybody
// (https://spec.matrix.org/latest/client-server-api/#user-and-room-mentions).
package matrix

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/text"
)

const (
	// maxEvent is the limit of a whole event, in bytes of JSON
	// (https://spec.matrix.org/latest/client-server-api/#size-limits).
	maxEvent = 65536
	// reserved is for what the server adds to a message, in bytes: sender, room,
	// references to earlier events, hashes and signatures.
	reserved = 8192
	// maxSubject bounds the object's name, in bytes; Kubernetes' own limits are
	// far below.
	maxSubject = 2048
	// minText is what remains of the message when metadata is long, in bytes.
	minText = 4096
	// minValue is what remains of a long value of the metadata, in bytes.
	minValue = 64
	// perLine is what a line of metadata has besides its key and value, in bytes.
	perLine = len(`- : \n`)
)

// Provider posts to one room.
type Provider struct {
	*httpsend.Target
	path string
}

// New makes a provider of a server's address, a room and an access token.
func New(s notify.Settings) (notify.Provider, error) {
	if _, err := httpsend.ParseAddress(s.Address); err != nil {
		return nil, err
	}
	if s.Channel == "" {
		return nil, errors.New("channel: must be the ID of a room, such as !jezptmDwEeLapMLjOc:matrix.org")
	}
	target, err := httpsend.New(s, httpsend.Options{Sign: httpsend.Bearer(s.Token), Judge: judge})
	if err != nil {
		return nil, err
	}
	return &Provider{
		Target: target,
		path:   "/_matrix/client/v3/rooms/" + url.PathEscape(s.Channel) + "/send/m.room.message/",
	}, nil
}

type message struct {
	MsgType  string   `json:"msgtype"`
	Body     string   `json:"body"`
	Mentions struct{} `json:"m.mentions"`
}

// Render implements notify.Provider. The transaction is named after the event,
// so that the server takes a repetition for what it is.
func (p *Provider) Render(n *notify.Notification) ([]notify.Payload, error) {
	event, err := json.Marshal(&n.Event)
	if err != nil {
		return nil, errors.New("the event cannot be written as JSON")
	}
	body, err := json.Marshal(message{MsgType: "m.text", Body: body(n)})
	if err != nil {
		return nil, errors.New("the message cannot be written as JSON")
	}
	transaction := sha1.Sum(event) // names it, protects nothing
	return []notify.Payload{{
		Method: http.MethodPut,
		Path:   p.path + hex.EncodeToString(transaction[:]),
		Body:   body,
	}}, nil
}

func body(n *notify.Notification) string {
	emoji := "💫 "
	if n.Event.IsError() {
		emoji = "🚨 "
	}
	head := emoji + text.Shorten(n.Subject(), text.InJSON, maxSubject) + "\n"
	pairs := make([]text.Pair, 0, len(n.Fields))
	for _, f := range n.Fields {
		pairs = append(pairs, text.Pair{Key: text.Part{Text: f.Key}, Value: text.Part{Text: f.Value}, Whole: f.Key == "summary"})
	}
	layout := text.Layout{
		Size: text.InJSON, Total: maxEvent - reserved - text.InJSON(head), Each: perLine, LeastText: minText, LeastValue: minValue,
	}
	told, entries := layout.Fit(text.Part{Text: n.Event.Message}, pairs)

	var b strings.Builder
	b.WriteString(head)
	b.WriteString(told)
	b.WriteByte('\n')
	for _, e := range entries {
		b.WriteString("- ")
		b.WriteString(e.Key)
		b.WriteString(": ")
		b.WriteString(e.Value)
		b.WriteByte('\n')
	}
	return b.String()
}

// judge reads how long to wait from the body, where servers older than version
// 1.10 of the specification say it
// (https://spec.matrix.org/latest/client-server-api/#rate-limiting).
func judge(a httpsend.Answer) (*notify.Error, bool) {
	if a.Status != http.StatusTooManyRequests || a.Header.Get("Retry-After") != "" {
		return nil, false
	}
	var answer struct {
		Code       string  `json:"errcode"`
		Error      string  `json:"error"`
		RetryAfter float64 `json:"retry_after_ms"`
	}
	if json.Unmarshal(a.Body, &answer) != nil || answer.RetryAfter <= 0 {
		return nil, false
	}
	return &notify.Error{
		Class: notify.Throttled,
		Type:  "429",
		Delay: time.Duration(min(answer.RetryAfter, float64(time.Hour/time.Millisecond)) * float64(time.Millisecond)),
		Err:   fmt.Errorf("answered 429 Too Many Requests: %s %s", answer.Code, answer.Error),
	}, true
}

// Check implements notify.Checker: the server tells whose the token is
// (https://spec.matrix.org/latest/client-server-api/#get_matrixclientv3accountwhoami).
func (p *Provider) Check(ctx context.Context) error {
	return p.At(strings.TrimSuffix(p.Path(), "/")+"/_matrix/client/v3/account/whoami", judge).Get(ctx)
}

var (
	_ notify.Provider = (*Provider)(nil)
	_ notify.Checker  = (*Provider)(nil)
)
