// Package generic forwards events as JSON to a webhook.
//
// Nothing is escaped or shortened: a machine reads it. The event is sent as
// Flux sends it, with the metadata that the alert combined.
package generic

import (
	"net/http"

	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// Provider posts to a webhook.
type Provider struct{ *httpsend.Target }

// New makes a webhook without a signature.
func New(s notify.Settings) (notify.Provider, error) {
	return NewSigned(s, nil)
}

// NewSigned makes a webhook whose requests are signed.
func NewSigned(s notify.Settings, sign func(*http.Request, []byte)) (*Provider, error) {
	target, err := httpsend.New(s, httpsend.Options{
		Header: httpsend.OperatorHeader(s.Headers),
		Sign:   sign,
		Judge:  judge,
	})
	if err != nil {
		return nil, err
	}
	return &Provider{Target: target}, nil
}

// judge knows the answer of this project's own receiver to an event that it
// has: a repetition after a lost answer has arrived.
func judge(a httpsend.Answer) (*notify.Error, bool) {
	known := a.Status == http.StatusTooManyRequests && a.Header.Get("X-Flux-Event") == "duplicate"
	return nil, known
}

// Render implements notify.Provider.
func (*Provider) Render(n *notify.Notification) ([]notify.Payload, error) {
	body, err := n.EventJSON()
	if err != nil {
		return nil, err
	}
	return []notify.Payload{{
		Method: http.MethodPost,
		Header: http.Header{"Gotk-Component": {httpsend.HeaderValue(n.Event.ReportingController)}},
		Body:   body,
	}}, nil
}

var _ notify.Provider = (*Provider)(nil)
