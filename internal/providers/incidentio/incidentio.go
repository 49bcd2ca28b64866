// Package incidentio sends events to an HTTP alert source of incident.io: an
// error fires an alert, everything else resolves the alert of the same object.
//
// The message is sent as it is. incident.io shows a description as Markdown
// (https://docs.incident.io/api-reference/alert-events-v2/createhttp), and its
// workflows and routes read it as text: with escapes in it they would no longer
// find what a controller wrote. The title and the metadata are plain text. No
// page of incident.io's names a limit for any of these, so nothing is shortened.
package incidentio

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strings"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// Provider sends to one alert source.
type Provider struct{ *httpsend.Target }

// New makes a provider of the address and the token of an alert source.
func New(s notify.Settings) (notify.Provider, error) {
	target, err := httpsend.New(s, httpsend.Options{Sign: httpsend.Bearer(s.Token)})
	if err != nil {
		return nil, err
	}
	return &Provider{Target: target}, nil
}

type alertEvent struct {
	Title            string            `json:"title"`
	Status           string            `json:"status"`
	DeduplicationKey string            `json:"deduplication_key"`
	Description      string            `json:"description,omitempty"`
	Metadata         map[string]string `json:"metadata"`
}

// Render implements notify.Provider.
func (*Provider) Render(n *notify.Notification) ([]notify.Payload, error) {
	e := &n.Event
	a := alertEvent{
		Title:            n.Subject() + ": " + e.Reason,
		Status:           "resolved",
		DeduplicationKey: deduplicationKey(e.InvolvedObject),
		Description:      e.Message,
		Metadata:         make(map[string]string, len(e.Metadata)+3),
	}
	if e.IsError() {
		a.Status = "firing"
	}
	maps.Copy(a.Metadata, e.Metadata)
	// After the metadata: what routes alerts is not for an annotation to say.
	a.Metadata["severity"] = e.Severity
	a.Metadata["reason"] = e.Reason
	a.Metadata["reportingController"] = e.ReportingController

	body, err := json.Marshal(a)
	if err != nil {
		return nil, errors.New("the alert cannot be written as JSON")
	}
	return []notify.Payload{{Method: http.MethodPost, Body: body}}, nil
}

// deduplicationKey is the same for all events of an object and of no other: an
// empty one is refused by alert sources, or shared by all objects.
func deduplicationKey(o fluxevent.Object) string {
	if strings.TrimSpace(o.UID) != "" {
		return o.UID
	}
	return o.Kind + "/" + o.Namespace + "/" + o.Name
}

var _ notify.Provider = (*Provider)(nil)
