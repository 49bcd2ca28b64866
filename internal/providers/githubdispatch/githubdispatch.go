// Package githubdispatch starts GitHub Actions workflows: an event becomes a
// repository_dispatch whose client_payload is the event as JSON.
//
// It authenticates with a token, personal or fine-grained, or as a GitHub App
// (contents: write). Nothing is escaped, since workflows read values; one that
// puts them into a shell has to quote them
// (https://docs.github.com/en/actions/reference/security/secure-use).
package githubdispatch

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strings"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/githubapp"
	"github.com/fluxnotify/otelcol-flux/internal/gitrepo"
	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/text"
)

// The limits are those of
// https://docs.github.com/en/rest/repos/repos#create-a-repository-dispatch-event.
// The third, ten properties of client_payload, is kept by what an event is: it
// has ten.
const (
	// maxEventType is the limit of event_type, in characters.
	maxEventType = 100
	// maxPayload is the limit of client_payload, in bytes: less than 64 KB, by
	// which GitHub means 65,536.
	maxPayload = 64<<10 - 1
	// minText is what remains of the message when metadata is long, in bytes.
	minText = 4096
)

// Provider dispatches to one repository.
type Provider struct {
	*httpsend.Target
	path    string
	speaker githubapp.Speaker
}

// New makes a provider of a repository's address and a token, or of a GitHub App.
func New(s notify.Settings) (notify.Provider, error) {
	repository, err := gitrepo.GitHub(s.Address)
	if err != nil {
		return nil, err
	}
	speaker, err := githubapp.Credentials(s, repository.API)
	if err != nil {
		return nil, err
	}
	s.Address = repository.API
	target, err := httpsend.New(s, httpsend.Options{
		Header: http.Header{
			"Accept":               {"application/vnd.github.v3+json"},
			"X-Github-Api-Version": {"2022-11-28"},
		},
		Authorize: speaker.Authorize,
		Heard:     speaker.Heard,
		Judge:     githubapp.Judge,
	})
	if err != nil {
		return nil, err
	}
	if speaker.Missing != "" {
		s.Logger.Warn(speaker.Missing + "; until then its notifications fail")
	}
	return &Provider{Target: target, speaker: speaker, path: "/repos/" + repository.Owner + "/" + repository.Name + "/dispatches"}, nil
}

// Deliver implements notify.Provider.
func (p *Provider) Deliver(ctx context.Context, payload notify.Payload) error {
	if p.speaker.Missing != "" {
		return notify.Permanentf("configuration", "%s", p.speaker.Missing)
	}
	return p.Target.Deliver(ctx, payload)
}

// Render implements notify.Provider.
func (p *Provider) Render(n *notify.Notification) ([]notify.Payload, error) {
	o := &n.Event.InvolvedObject
	eventType, err := json.Marshal(text.Shorten(o.Kind+"/"+o.Name+"."+o.Namespace, text.InRunes, maxEventType))
	if err != nil {
		return nil, errors.New("the event's type cannot be written as JSON")
	}
	payload, err := json.Marshal(&n.Event)
	if err == nil && len(payload) > maxPayload {
		payload, err = json.Marshal(shortened(n, maxPayload-len(payload)))
	}
	if err != nil {
		return nil, errors.New("the event cannot be written as JSON")
	}
	body := make([]byte, 0, len(eventType)+len(payload)+40)
	body = append(body, `{"event_type":`...)
	body = append(body, eventType...)
	body = append(body, `,"client_payload":`...)
	body = append(body, payload...)
	body = append(body, '}')
	return []notify.Payload{{Method: http.MethodPost, Path: p.path, Body: body}}, nil
}

// shortened is the event with a shorter message and, where that is not enough,
// shorter values of metadata; the summary stays. room is below zero: by how
// much it is too long.
func shortened(n *notify.Notification, room int) *fluxevent.Event {
	e := n.Event
	parts := []text.Part{{Text: e.Message}}
	room += text.InJSON(e.Message)
	for _, f := range n.Fields {
		if f.Key != "summary" {
			parts = append(parts, text.Part{Text: f.Value})
			room += text.InJSON(f.Value)
		}
	}
	fitted := text.Fit(parts, text.InJSON, room, minText)
	e.Message, fitted = fitted[0], fitted[1:]
	e.Metadata = maps.Clone(e.Metadata)
	for _, f := range n.Fields {
		if f.Key != "summary" {
			e.Metadata[f.Key], fitted = fitted[0], fitted[1:]
		}
	}
	return &e
}

// Check implements notify.Checker: GitHub tells what the token may do with the
// repository (https://docs.github.com/en/rest/repos/repos#get-a-repository), or
// whether the App's installation has it at all.
func (p *Provider) Check(ctx context.Context) error {
	if p.speaker.Missing != "" {
		return notify.Permanentf("configuration", "%s", p.speaker.Missing)
	}
	app, judge := p.speaker.App, judgeRepository
	if app != nil {
		judge = githubapp.Judge
	}
	if err := p.At(p.Path()+strings.TrimSuffix(p.path, "/dispatches"), judge).Get(ctx); err != nil || app == nil {
		return err
	}
	writes, err := app.WritesContents(ctx)
	if err == nil && !writes {
		return notify.Permanentf("vendor", "the installation of the GitHub App may not write to the repository: give the App contents: write, and accept that where it is installed")
	}
	return err
}

// judgeRepository knows that a dispatch needs the right to write.
func judgeRepository(a httpsend.Answer) (*notify.Error, bool) {
	var repository struct {
		Permissions *struct {
			Push bool `json:"push"`
		} `json:"permissions"`
	}
	if a.Status != http.StatusOK || json.Unmarshal(a.Body, &repository) != nil || repository.Permissions == nil || repository.Permissions.Push {
		return githubapp.Judge(a)
	}
	return notify.Permanentf("vendor", "answered that this token may not write to the repository: give it contents: write"), true
}

var (
	_ notify.Provider = (*Provider)(nil)
	_ notify.Checker  = (*Provider)(nil)
)
