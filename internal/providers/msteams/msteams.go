// Package msteams posts events to Microsoft Teams: as an Adaptive Card to a
// workflow, or as a MessageCard to a connector, which is what an address on a
// host under webhook.office.com leads to.
//
// Both cards read markdown in every text but the MessageCard's summary
// (https://learn.microsoft.com/en-us/adaptive-cards/authoring-cards/text-features,
// https://learn.microsoft.com/en-us/microsoftteams/platform/task-modules-and-cards/cards/cards-format).
// Of an event's text, all markdown is escaped, and so are tags, character
// references and Adaptive Cards' {{DATE(…)}}. Nobody can be mentioned: that
// takes an entity beside the text, and there are none. What the operator wrote
// in the alert passes as it is.
package msteams

import (
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/text"
)

const (
	// maxWorkflow is the limit of a message that a workflow posts, in bytes of
	// the request
	// (https://learn.microsoft.com/en-us/connectors/teams/#known-issues-and-limitations-with-actions).
	maxWorkflow = 28000
	// maxConnector is that of a connector, in bytes of the request. Its page
	// says 28 KB, too
	// (https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook),
	// but users measured that it refuses what is longer than 20,711
	// (https://stackoverflow.com/questions/58474127).
	maxConnector = 20000
	// maxSubject is what a name may take that is no Kubernetes object's, in
	// bytes of the request. Those have 380 at most.
	maxSubject = 2000
	// minText is what remains of the message when metadata is long, in bytes of
	// the request.
	minText = 2000
	// minValue is what remains of each metadata value, in bytes of the request.
	minValue = 20
)

// summary is the metadata key of what the operator calls the whole.
const summary = "summary"

// Provider posts to one channel.
type Provider struct {
	*httpsend.Target
	card func(*content) any
	// room is what a card leaves to its texts, in bytes of the request.
	room int
}

// New makes a provider of a workflow's or a connector's address.
func New(s notify.Settings) (notify.Provider, error) {
	address, err := httpsend.ParseAddress(s.Address)
	if err != nil {
		return nil, err
	}
	target, err := httpsend.New(s, httpsend.Options{Judge: judge})
	if err != nil {
		return nil, err
	}
	p := &Provider{Target: target, card: adaptiveCard, room: maxWorkflow}
	if strings.HasSuffix(strings.ToLower(address.Hostname()), ".webhook.office.com") {
		p.card, p.room = messageCard, maxConnector
	}
	empty, err := json.Marshal(p.card(&content{isError: true}))
	if err != nil {
		return nil, errors.New("the card cannot be written as JSON")
	}
	p.room -= len(empty)
	return p, nil
}

// Render implements notify.Provider.
func (p *Provider) Render(n *notify.Notification) ([]notify.Payload, error) {
	subject := text.Part{Text: n.Subject(), Limit: maxSubject}
	c := content{isError: n.Event.IsError(), plainName: subject.Render(text.InJSON)}
	subject.Text, subject.Escape = inert(n.Subject()), text.Markdown
	c.name = subject.Render(text.InJSON)

	layout := text.Layout{
		Size: text.InJSON, Total: p.room - text.InJSON(c.name) - text.InJSON(c.plainName),
		Each:      len(`{"title":"","value":""},`),
		LeastText: minText, LeastValue: minValue,
	}
	c.message, c.facts = layout.Fit(text.Part{Text: inert(n.Event.Message), Escape: text.Markdown}, pairs(n.Fields))
	body, err := json.Marshal(p.card(&c))
	if err != nil {
		return nil, errors.New("the card cannot be written as JSON")
	}
	return []notify.Payload{{Method: http.MethodPost, Body: body}}, nil
}

func pairs(fields []notify.Field) []text.Pair {
	all := make([]text.Pair, len(fields))
	for i, f := range fields {
		if f.Operator {
			all[i] = text.Pair{Key: text.Part{Text: f.Key}, Value: text.Part{Text: f.Value}}
		} else {
			all[i] = text.Pair{
				Key:   text.Part{Text: inert(f.Key), Escape: text.Markdown},
				Value: text.Part{Text: inert(f.Value), Escape: text.Markdown},
			}
		}
		all[i].Whole = f.Key == summary
	}
	return all
}

// dates are what Adaptive Cards write anew for their reader's place and clock,
// whatever else is escaped.
var dates = strings.NewReplacer("{{DATE(", "{\u200b{DATE(", "{{TIME(", "{\u200b{TIME(")

func inert(s string) string {
	s = text.Inert(s)
	if !strings.Contains(s, "{{") {
		return s
	}
	return dates.Replace(s)
}

// failure is how a connector reports what Teams did behind it, with the status
// 200 (https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using#rate-limiting-for-connectors).
// Where it has no status of Teams', it shows an exception of its own.
var failure = regexp.MustCompile(`^Webhook message delivery failed(?:.*HTTP error (\d{3}))?|^[\w.]+Exception: `)

// judge finds the failures in answers that have the status of a success.
// Otherwise a connector answers 1, and a workflow nothing.
func judge(a httpsend.Answer) (*notify.Error, bool) {
	if a.Status < 200 || a.Status > 299 {
		return nil, false
	}
	found := failure.FindSubmatch(a.Body)
	if found == nil {
		return nil, false
	}
	status, _ := strconv.Atoi(string(found[1]))
	e := notify.Retryablef("vendor", "answered %d: %s", a.Status, text.FirstLine(string(a.Body)))
	switch {
	case status == http.StatusTooManyRequests:
		e.Class, e.Type = notify.Throttled, "429"
		e.Delay, _ = httpsend.RetryAfter(a.Header, time.Now())
	case status > 0:
		e.Type = strconv.Itoa(status)
		if status < http.StatusInternalServerError && status != http.StatusRequestTimeout {
			e.Class = notify.Permanent
		}
	}
	return e, true
}

var _ notify.Provider = (*Provider)(nil)
