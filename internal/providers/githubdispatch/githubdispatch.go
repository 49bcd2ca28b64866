// Package githubdispatch starts GitHub Actions workflows: an event becomes a
// repository_dispatch whose client_payload is the event as JSON.
//
// It authenticates with a token, personal or fine-grained (contents: write).
// Authentication as a GitHub App is not part of it. Nothing is escaped, since
// workflows read values; one that puts them into a shell has to quote them
// (https://docs.github.com/en/actions/reference/security/secure-use).
package githubdispatch

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
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
	path string
}

// New makes a provider of a repository's address and a token. A password is
// taken for the token where there is none, as in Git's own credentials.
func New(s notify.Settings) (notify.Provider, error) {
	api, path, err := repository(s.Address)
	if err != nil {
		return nil, err
	}
	if s.Token == "" {
		s.Token = s.Password
	}
	s.Address = api.String()
	target, err := httpsend.New(s, httpsend.Options{
		Header: http.Header{
			"Accept":               {"application/vnd.github.v3+json"},
			"X-Github-Api-Version": {"2022-11-28"},
		},
		Sign: httpsend.Bearer(s.Token),
	})
	if err != nil {
		return nil, err
	}
	return &Provider{Target: target, path: path}, nil
}

// repository finds the API and the path of a repository, whose address is one
// for a browser or one for Git.
func repository(address string) (api *url.URL, path string, err error) {
	// git@host:owner/repo is what Git makes of ssh://git@host/owner/repo.
	if host, rest, ok := strings.Cut(address, ":"); ok && strings.Contains(host, "@") && !strings.Contains(host, "/") {
		address = "https://" + host[strings.LastIndex(host, "@")+1:] + "/" + strings.TrimPrefix(rest, "/")
	} else if u, err := url.Parse(address); err == nil && (u.Scheme == "ssh" || u.Scheme == "git+ssh" || u.Scheme == "git") && u.Host != "" {
		// Neither the user nor the port of SSH are those of the API.
		host := strings.TrimSuffix(u.Host, ":"+u.Port())
		address = (&url.URL{Scheme: "https", Host: host, Path: u.Path, RawPath: u.RawPath}).String()
	}
	api, err = httpsend.ParseAddress(address)
	if err != nil {
		return nil, "", err
	}
	owner, name, ok := strings.Cut(strings.Trim(api.EscapedPath(), "/"), "/")
	name = strings.TrimSuffix(name, ".git")
	if !ok || !named(owner) || !named(name) {
		return nil, "", errors.New("address: must be that of a repository, such as https://github.com/owner/repository")
	}
	api.Path, api.RawPath = "/api/v3", ""
	if host := strings.ToLower(api.Hostname()); host == "github.com" && (api.Port() == "" || api.Port() == "443") {
		api.Scheme, api.Host, api.Path = "https", "api.github.com", ""
	}
	return api, "/repos/" + owner + "/" + name + "/dispatches", nil
}

// named tells what can be the name of an owner or of a repository: GitHub has
// none with other characters, and a path of API calls needs no escapes then.
func named(s string) bool {
	other := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.", r)
	}
	return strings.Trim(s, ".") != "" && !strings.ContainsFunc(s, other)
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
// repository (https://docs.github.com/en/rest/repos/repos#get-a-repository).
func (p *Provider) Check(ctx context.Context) error {
	return p.At(p.Path()+strings.TrimSuffix(p.path, "/dispatches"), judgeRepository).Get(ctx)
}

// judgeRepository knows that a dispatch needs the right to write.
func judgeRepository(a httpsend.Answer) (*notify.Error, bool) {
	var repository struct {
		Permissions *struct {
			Push bool `json:"push"`
		} `json:"permissions"`
	}
	if a.Status != http.StatusOK || json.Unmarshal(a.Body, &repository) != nil || repository.Permissions == nil || repository.Permissions.Push {
		return nil, false
	}
	return notify.Permanentf("vendor", "answered that this token may not write to the repository: give it contents: write"), true
}

var (
	_ notify.Provider = (*Provider)(nil)
	_ notify.Checker  = (*Provider)(nil)
)
