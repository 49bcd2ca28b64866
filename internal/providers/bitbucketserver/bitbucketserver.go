// Package bitbucketserver writes build statuses on Bitbucket Data Center and on
// Bitbucket Server from version 7.4
// (https://developer.atlassian.com/server/bitbucket/how-tos/updating-build-status-for-commits/).
// A status has one key in a repository and is overwritten; there is no list of
// older ones. Atlassian has no Go client for this API, whose two calls are here.
package bitbucketserver

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/fluxnotify/otelcol-flux/internal/gitrepo"
	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/gitstatus"
	"github.com/fluxnotify/otelcol-flux/internal/text"
)

// maxText is the limit of a status's key, name and description, in characters
// (https://developer.atlassian.com/server/bitbucket/rest/v803/api-group-build-status).
const maxText = 255

// header tells the server's protection against forged requests that no browser
// was tricked into making this one
// (https://developer.atlassian.com/server/framework/atlassian-sdk/form-token-handling/).
var header = http.Header{
	"X-Atlassian-Token": {"no-check"},
	"X-Requested-With":  {"XMLHttpRequest"},
	"Accept":            {"application/json"},
}

// build is a build status as the API has it.
type build struct {
	Key         string `json:"key"`
	State       string `json:"state"`
	URL         string `json:"url"`
	Name        string `json:"name"`
	Description string `json:"description"`
}

type vendor struct {
	repository gitrepo.Repository
	transport  *httpsend.Transport
}

// New makes a provider of a repository's HTTP clone URL and a token, or a user's
// name and password.
func New(s notify.Settings) (notify.Provider, error) {
	repository, err := gitrepo.BitbucketServer(s.Address)
	if err != nil {
		return nil, err
	}
	v := &vendor{repository: repository}
	own := s
	own.Address = repository.Web
	sign := credentials(s)
	if v.transport, err = httpsend.NewTransport(own, httpsend.Options{Header: header, Sign: sign}); err != nil {
		return nil, err
	}
	missing := ""
	if sign == nil {
		missing = "token: must be set for the type bitbucketserver, or username and password"
	}
	return gitstatus.New(s, gitstatus.Options{
		Vendor: v, Repository: repository.Web, Missing: missing,
		Success: "SUCCESSFUL", Failure: "FAILED",
		MaxDescription: maxText,
		Complete:       complete,
	})
}

// credentials are an HTTP access token, else a user's name and password; a
// password without a name is taken for a token
// (https://confluence.atlassian.com/bitbucketserver/http-access-tokens-939515499.html).
func credentials(s notify.Settings) func(*http.Request, []byte) {
	switch {
	case s.Token != "":
		return httpsend.Bearer(s.Token)
	case s.Password == "":
		return nil
	case s.Username == "":
		return httpsend.Bearer(s.Password)
	}
	return func(r *http.Request, _ []byte) { r.SetBasicAuth(s.Username, s.Password) }
}

// complete makes the key a hash, as Flux does, so that statuses of both are the
// same. The name has the description: the pages of this edition show no other.
func complete(s *gitstatus.Status, n *notify.Notification, identity string) {
	key := sha1.Sum([]byte(identity)) // names it, protects nothing
	o := &n.Event.InvolvedObject
	s.Key = hex.EncodeToString(key[:])
	s.Name = text.Shorten(strings.ToLower(o.Kind)+"/"+o.Name+" ["+s.Description+"]", text.InRunes, maxText)
}

// Newest implements gitstatus.Vendor. A commit that does not exist looks like one
// without the status, until that is written.
func (v *vendor) Newest(ctx context.Context, s gitstatus.Status) (newest gitstatus.Status, found bool, err error) {
	raw, err := v.call(ctx, http.MethodGet, v.builds(s)+"?key="+url.QueryEscape(s.Key), nil)
	if httpsend.NotFound(err) {
		return newest, false, nil
	}
	if err != nil {
		return newest, false, err
	}
	var there build
	if err := json.Unmarshal(raw, &there); err != nil {
		return newest, false, v.transport.Failure(ctx, err)
	}
	return gitstatus.Status{State: there.State, Description: there.Description}, there.Key == s.Key, nil
}

// Post implements gitstatus.Vendor. A status has to lead somewhere: to the
// repository.
func (v *vendor) Post(ctx context.Context, s gitstatus.Status) error {
	body, err := json.Marshal(build{Key: s.Key, State: s.State, URL: v.repository.Web, Name: s.Name, Description: s.Description})
	if err != nil {
		return notify.Permanentf("rendering", "the status cannot be written as JSON")
	}
	_, err = v.call(ctx, http.MethodPost, v.builds(s), body)
	return err
}

// Check implements gitstatus.Vendor
// (https://developer.atlassian.com/server/bitbucket/rest/v803/api-group-repository/#api-api-latest-projects-projectkey-repos-repositoryslug-get).
func (v *vendor) Check(ctx context.Context) error {
	_, err := v.call(ctx, http.MethodGet, v.base(), nil)
	return err
}

// base is the resource of the repository.
func (v *vendor) base() string {
	return v.repository.API + "/projects/" + url.PathEscape(v.repository.Owner) + "/repos/" + url.PathEscape(v.repository.Name)
}

// builds is the resource of a commit's statuses.
func (v *vendor) builds(s gitstatus.Status) string {
	return v.base() + "/commits/" + url.PathEscape(s.Commit) + "/builds"
}

// call does one request, and gives what was answered.
func (v *vendor) call(ctx context.Context, method, address string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, v.transport.Failure(ctx, errors.New("the request cannot be made"))
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := v.transport.RoundTrip(req)
	if err != nil {
		return nil, v.transport.Failure(ctx, err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	return raw, v.transport.Failure(ctx, err)
}

var _ gitstatus.Vendor = (*vendor)(nil)
