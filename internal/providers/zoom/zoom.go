// Package zoom sends events to a channel of Zoom Team Chat through its Incoming
// Webhook app (https://support.zoom.com/hc/en/article?id=zm_kb&sysparm_article=KB0067640).
//
// Nothing is escaped: Zoom reads markdown and mentions only in messages that say
// is_markdown_support, and these do not
// (https://developers.zoom.us/docs/chat/customizing-messages/markdown/). What the
// operator wrote in the alert is no more than text either.
package zoom

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/text"
)

const (
	// maxMessage is what all texts of a message may take together, in UTF-16
	// units. Zoom's pages on its webhooks and chatbots name no limit; this is the
	// one that senders to Zoom's chat keep (https://docs.recall.ai/docs/chat-messages).
	maxMessage = 4096
	// maxSubject bounds the object's name, which is never that long, in UTF-16 units.
	maxSubject = 1000
	// minText is what remains of the message when metadata is long, in UTF-16 units.
	minText = 1000
	// minValue is what remains of a value when metadata is long, in UTF-16 units.
	minValue = 40
)

// Provider sends to one connection of the app.
type Provider struct {
	*httpsend.Target
}

// New makes a provider of a connection's endpoint and its verification token.
func New(s notify.Settings) (notify.Provider, error) {
	address, err := httpsend.ParseAddress(s.Address)
	if err != nil {
		return nil, err
	}
	// The format that has room for metadata. It is no part of the address that
	// httpsend gets, which would take the word full for a secret.
	query := address.RawQuery
	if !address.Query().Has("format") {
		query = strings.TrimPrefix(query+"&format=full", "&")
	}
	target, err := httpsend.New(s, httpsend.Options{Judge: judge, Sign: func(r *http.Request, _ []byte) {
		r.URL.RawQuery = query
		if s.Token != "" {
			r.Header.Set("Authorization", s.Token)
		}
	}})
	if err != nil {
		return nil, err
	}
	return &Provider{Target: target}, nil
}

type message struct {
	Content content `json:"content"`
}

type content struct {
	Head head  `json:"head"`
	Body []any `json:"body"`
}

type head struct {
	Text    string  `json:"text"`
	SubHead subHead `json:"sub_head"`
}

type subHead struct {
	Text string `json:"text"`
}

type textBody struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type fieldsBody struct {
	Type  string `json:"type"`
	Items []item `json:"items"`
}

type item struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Render implements notify.Provider.
func (p *Provider) Render(n *notify.Notification) ([]notify.Payload, error) {
	e := &n.Event
	h := head{Text: text.Shorten(n.Subject(), text.InUTF16, maxSubject), SubHead: subHead{Text: e.Severity}}
	pairs := make([]text.Pair, len(n.Fields))
	for i, f := range n.Fields {
		pairs[i] = text.Pair{Key: text.Part{Text: f.Key}, Value: text.Part{Text: f.Value}, Whole: f.Key == "summary"}
	}
	layout := text.Layout{
		Size: text.InUTF16, Total: maxMessage - text.InUTF16(h.Text) - text.InUTF16(h.SubHead.Text),
		LeastText: minText, LeastValue: minValue,
	}
	fitted, entries := layout.FitMost(text.Part{Text: e.Message}, pairs, 0)
	m := message{Content: content{Head: h, Body: []any{textBody{Type: "message", Text: fitted}}}}
	if len(entries) > 0 {
		items := make([]item, len(entries))
		for i, entry := range entries {
			items[i] = item(entry)
		}
		m.Content.Body = append(m.Content.Body, fieldsBody{Type: "fields", Items: items})
	}
	body, err := json.Marshal(m)
	if err != nil {
		return nil, errors.New("the message cannot be written as JSON")
	}
	return []notify.Payload{{Method: http.MethodPost, Body: body}}, nil
}

// judge reads what Zoom's APIs say in JSON: code and message of an error,
// whatever the status, and until when to wait
// (https://developers.zoom.us/docs/api/rate-limits/).
func judge(a httpsend.Answer) (*notify.Error, bool) {
	succeeded := a.Status >= 200 && a.Status < 300
	if !succeeded && a.Status != http.StatusTooManyRequests {
		return nil, false
	}
	var answer struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal(a.Body, &answer); err != nil {
		answer.Code = 0
	}
	switch {
	case a.Status == http.StatusTooManyRequests, answer.Code == http.StatusTooManyRequests:
		return throttled(a, answer.Message)
	case answer.Code == 0, answer.Code >= 200 && answer.Code < 300:
		return nil, false
	}
	return notify.Permanentf("vendor", "refused the message: %d %s", answer.Code, answer.Message), true
}

// throttled is for a Retry-After that is a date of RFC 3339, as that of Zoom's
// daily limits is; the usual rules know the others.
func throttled(a httpsend.Answer, message string) (*notify.Error, bool) {
	e := &notify.Error{
		Class: notify.Throttled, Type: strconv.Itoa(http.StatusTooManyRequests),
		Err: errors.New("answered 429 Too Many Requests: " + message),
	}
	if until, err := time.Parse(time.RFC3339, a.Header.Get("Retry-After")); err == nil {
		e.Delay = time.Until(until)
		return e, true
	}
	if a.Status == http.StatusTooManyRequests {
		return nil, false
	}
	e.Delay, _ = httpsend.RetryAfter(a.Header, time.Now())
	return e, true
}

var _ notify.Provider = (*Provider)(nil)
