// Package opsgenie posts events as alerts to Opsgenie.
//
// Nothing is escaped. Opsgenie hands the fields of an alert on to mail, SMS,
// phone calls and other tools, where an escape would be read as it stands, and
// nothing in them mentions or pages anybody.
package opsgenie

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/text"
)

// The limits of an alert's fields, in characters
// (https://docs.opsgenie.com/docs/alert-api#create-alert).
const (
	maxMessage     = 130
	maxDescription = 15000
	// maxDetails is that of all keys and values together.
	maxDetails = 8000
)

const (
	// minValue is what remains of a long value of the metadata, in characters.
	minValue = 64
	// maxSeverity bounds a severity, in characters; Flux's are words.
	maxSeverity = 64
)

// Provider posts to one integration.
type Provider struct {
	*httpsend.Target
	uid string
}

// New makes a provider of an address that ends in /v2/alerts, and the key of an
// API integration.
func New(s notify.Settings) (notify.Provider, error) {
	target, err := httpsend.New(s, httpsend.Options{
		Sign:  func(r *http.Request, _ []byte) { r.Header.Set("Authorization", "GenieKey "+s.Token) },
		Judge: judge,
	})
	if err != nil {
		return nil, err
	}
	return &Provider{Target: target, uid: s.UID}, nil
}

type alert struct {
	Message     string            `json:"message"`
	Alias       string            `json:"alias"`
	Description string            `json:"description"`
	Details     map[string]string `json:"details"`
}

// Render implements notify.Provider. The alias is that of the object and the
// reason: Opsgenie counts further events of the kind on the alert that is open.
func (p *Provider) Render(n *notify.Notification) ([]notify.Payload, error) {
	e := &n.Event
	o := &e.InvolvedObject
	object := o.Kind + "/" + o.Name
	a := alert{
		Message:     text.Shorten(object, text.InRunes, maxMessage),
		Description: e.Message,
		Details:     details(n),
	}
	if a.Message != object {
		a.Description = object + "\n" + e.Message // or the name would be lost
	}
	a.Description = text.Shorten(a.Description, text.InRunes, maxDescription)
	alias := sha256.Sum256([]byte(strings.Join([]string{p.uid, o.Kind, o.Namespace, o.Name, e.Reason}, "/")))
	a.Alias = hex.EncodeToString(alias[:])

	body, err := json.Marshal(a)
	if err != nil {
		return nil, errors.New("the alert cannot be written as JSON")
	}
	return []notify.Payload{{Method: http.MethodPost, Body: body}}, nil
}

func details(n *notify.Notification) map[string]string {
	const severityKey = "severity"
	severity := text.Shorten(n.Event.Severity, text.InRunes, maxSeverity)
	pairs := make([]text.Pair, 0, len(n.Fields))
	for _, f := range n.Fields {
		if f.Key == severityKey {
			continue // the event's own is meant
		}
		pairs = append(pairs, text.Pair{Key: text.Part{Text: f.Key}, Value: text.Part{Text: f.Value}, Whole: f.Key == "summary"})
	}
	layout := text.Layout{
		Size: text.InRunes, Total: maxDetails - len(severityKey) - text.InRunes(severity), LeastValue: minValue,
	}
	_, entries := layout.Fit(text.Part{}, pairs)
	all := make(map[string]string, len(entries)+1)
	for _, e := range entries {
		all[e.Key] = e.Value
	}
	all[severityKey] = severity
	return all
}

// judge reads the period whose requests are used up, which is a second or a
// minute (https://docs.opsgenie.com/docs/api-rate-limiting).
func judge(a httpsend.Answer) (*notify.Error, bool) {
	if a.Status != http.StatusTooManyRequests || a.Header.Get("Retry-After") != "" {
		return nil, false
	}
	seconds, err := strconv.Atoi(a.Header.Get("X-Ratelimit-Period-In-Sec"))
	if err != nil || seconds <= 0 {
		return nil, false
	}
	return &notify.Error{
		Class: notify.Throttled,
		Type:  "429",
		Delay: time.Duration(min(seconds, int(time.Hour/time.Second))) * time.Second,
		Err:   fmt.Errorf("answered 429 Too Many Requests: %s", a.Body),
	}, true
}

var _ notify.Provider = (*Provider)(nil)
