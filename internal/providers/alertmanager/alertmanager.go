// Package alertmanager posts events as alerts to Prometheus Alertmanager.
//
// Nothing is escaped: Alertmanager's templates do that for where they send.
// Names of labels are made valid, since versions before 0.27 refuse a whole
// alert for one that is not.
package alertmanager

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/text"
)

// Provider posts to one Alertmanager.
type Provider struct{ *httpsend.Target }

// New makes a provider of an address that ends in /api/v2/alerts. Credentials
// are a bearer token, else user name and password, else those in the address.
func New(s notify.Settings) (notify.Provider, error) {
	address, err := httpsend.ParseAddress(s.Address)
	if err != nil {
		return nil, err
	}
	username, password := s.Username, s.Password
	if username == "" && password == "" {
		username = address.User.Username()
		password, _ = address.User.Password()
	}
	target, err := httpsend.New(s, httpsend.Options{Sign: func(r *http.Request, _ []byte) {
		switch {
		case s.Token != "":
			r.Header.Set("Authorization", "Bearer "+s.Token)
		case username != "" || password != "":
			r.SetBasicAuth(username, password)
		}
	}})
	if err != nil {
		return nil, err
	}
	return &Provider{Target: target}, nil
}

type alert struct {
	Status      string            `json:"status"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    string            `json:"startsAt"`
}

// Render implements notify.Provider.
func (*Provider) Render(n *notify.Notification) ([]notify.Payload, error) {
	e := &n.Event
	a := alert{
		Status:      "firing",
		Labels:      make(map[string]string, len(n.Fields)+7),
		Annotations: map[string]string{"message": e.Message},
		StartsAt:    n.Time().UTC().Format(time.RFC3339),
	}
	for _, f := range n.Fields {
		if f.Key == "summary" {
			a.Annotations["summary"] = f.Value
			continue
		}
		a.label(text.LabelName(f.Key), f.Value)
	}
	a.label("alertname", "Flux"+e.InvolvedObject.Kind+text.Title(e.Reason))
	a.label("severity", e.Severity)
	a.label("reason", e.Reason)
	a.label("kind", e.InvolvedObject.Kind)
	a.label("name", e.InvolvedObject.Name)
	a.label("namespace", e.InvolvedObject.Namespace)
	a.label("reportingcontroller", e.ReportingController)

	body, err := json.Marshal([]alert{a})
	if err != nil {
		return nil, errors.New("the alert cannot be written as JSON")
	}
	return []notify.Payload{{Method: http.MethodPost, Body: body}}, nil
}

// label leaves empty values out: to Prometheus they are no label at all, so an
// empty one of the event's hides one of the metadata.
func (a *alert) label(name, value string) {
	if value == "" {
		delete(a.Labels, name)
		return
	}
	a.Labels[name] = value
}

// Check implements notify.Checker: it asks for the status, which stands beside
// the alerts (https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml,
// /status).
func (p *Provider) Check(ctx context.Context) error {
	base, ok := strings.CutSuffix(strings.TrimSuffix(p.Path(), "/"), "/alerts")
	if !ok {
		return notify.ErrUncheckable
	}
	return p.At(base+"/status", nil).Get(ctx)
}

var (
	_ notify.Provider = (*Provider)(nil)
	_ notify.Checker  = (*Provider)(nil)
)
