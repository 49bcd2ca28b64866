// Package bitbucket writes build statuses on Bitbucket Cloud
// (https://developer.atlassian.com/cloud/bitbucket/rest/api-group-commit-statuses/).
// A status has one key and is overwritten; there is no list of older ones.
//
// The SDK loses the contexts that it is given, so a client is made for each
// delivery, whose requests all get that delivery's. It is told the API's address,
// which it would take from the environment.
package bitbucket

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"

	api "github.com/ktrysmt/go-bitbucket"

	"github.com/fluxnotify/otelcol-flux/internal/gitrepo"
	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/gitstatus"
	"github.com/fluxnotify/otelcol-flux/internal/text"
)

// maxText is the limit of a status's name and of its description, in characters:
// that of Bitbucket's other edition
// (https://developer.atlassian.com/server/bitbucket/rest/v803/api-group-build-status),
// since Atlassian writes none down for this one, whose own client in Jenkins keeps
// to it too (https://github.com/jenkinsci/bitbucket-branch-source-plugin/pull/928).
const maxText = 255

// site is where a status leads to: there is no page about it to show.
const site = "https://bitbucket.org"

type vendor struct {
	repository gitrepo.Repository
	transport  *httpsend.Transport
}

// New makes a provider of a repository's address and credentials.
func New(s notify.Settings) (notify.Provider, error) {
	repository, err := gitrepo.Bitbucket(s.Address)
	if err != nil {
		return nil, err
	}
	v := &vendor{repository: repository}
	own, sign := credentials(s)
	own.Address = repository.Web
	if v.transport, err = httpsend.NewTransport(own, httpsend.Options{Sign: sign}); err != nil {
		return nil, err
	}
	missing := ""
	if sign == nil {
		missing = "token: must be set for the type bitbucket, to user:app-password, email:api-token or an access token, or username and password"
	}
	return gitstatus.New(s, gitstatus.Options{
		Vendor: v, Repository: repository.Web, Missing: missing,
		Success: "SUCCESSFUL", Failure: "FAILED",
		MaxDescription: maxText,
		Complete:       complete,
	})
}

// credentials are a user and a password in any of the places where people put
// them, else an access token, which belongs to no user
// (https://developer.atlassian.com/cloud/bitbucket/rest/intro/#authentication).
// The settings come back with every part in its place.
func credentials(s notify.Settings) (notify.Settings, func(*http.Request, []byte)) {
	plain := s.Token == "" && s.Username != "" // a password beside its user's name
	if s.Token == "" {
		s.Token = s.Password
	}
	if user, password, ok := strings.Cut(s.Token, ":"); ok && !plain {
		s.Username, s.Password = user, password
	} else {
		s.Password = s.Token
	}
	switch {
	case s.Password == "":
		return s, nil
	case s.Username == "":
		return s, httpsend.Bearer(s.Token)
	}
	return s, func(r *http.Request, _ []byte) { r.SetBasicAuth(s.Username, s.Password) }
}

// complete makes the key a hash: Bitbucket takes 40 characters, which are exactly
// those of SHA-1.
func complete(s *gitstatus.Status, n *notify.Notification, identity string) {
	key := sha1.Sum([]byte(identity)) // names it, protects nothing
	o := &n.Event.InvolvedObject
	s.Key = hex.EncodeToString(key[:])
	s.Name = text.Shorten(strings.ToLower(o.Kind)+"/"+o.Name, text.InRunes, maxText)
	s.URL = site
}

// bound gives every request the context of a delivery.
type bound struct {
	context.Context
	http.RoundTripper
}

func (b bound) RoundTrip(r *http.Request) (*http.Response, error) {
	return b.RoundTripper.RoundTrip(r.WithContext(b.Context))
}

// repositories are the calls of one delivery.
func (v *vendor) repositories(ctx context.Context) (*api.Repositories, error) {
	client, err := api.NewBasicAuthWithBaseUrlStr("", "", v.repository.API)
	if err != nil {
		return nil, err
	}
	client.HttpClient = v.transport.Client()
	client.HttpClient.Transport = bound{ctx, v.transport}
	return client.Repositories, nil
}

func (v *vendor) on(s gitstatus.Status) *api.CommitsOptions {
	return &api.CommitsOptions{Owner: v.repository.Owner, RepoSlug: v.repository.Name, Revision: s.Commit}
}

// Newest implements gitstatus.Vendor. A commit that does not exist looks like one
// without the status, until that is written.
func (v *vendor) Newest(ctx context.Context, s gitstatus.Status) (newest gitstatus.Status, found bool, err error) {
	repositories, err := v.repositories(ctx)
	if err != nil {
		return newest, false, v.transport.Failure(ctx, err)
	}
	answer, err := repositories.Commits.GetCommitStatus(v.on(s), s.Key)
	if err != nil {
		if err = v.transport.Failure(ctx, err); httpsend.NotFound(err) {
			err = nil
		}
		return newest, false, err
	}
	there, ok := answer.(map[string]any)
	if !ok {
		return newest, false, v.transport.Failure(ctx, errors.New("it is no build status"))
	}
	newest.State, _ = there["state"].(string)
	newest.Description, _ = there["description"].(string)
	return newest, true, nil
}

// Post implements gitstatus.Vendor.
func (v *vendor) Post(ctx context.Context, s gitstatus.Status) error {
	repositories, err := v.repositories(ctx)
	if err != nil {
		return v.transport.Failure(ctx, err)
	}
	_, err = repositories.Commits.CreateCommitStatus(v.on(s), &api.CommitStatusOptions{
		Key: s.Key, Url: s.URL, State: s.State, Name: s.Name, Description: s.Description,
	})
	return v.transport.Failure(ctx, err)
}

// Check implements gitstatus.Vendor
// (https://developer.atlassian.com/cloud/bitbucket/rest/api-group-repositories/#api-repositories-workspace-repo-slug-get).
func (v *vendor) Check(ctx context.Context) error {
	repositories, err := v.repositories(ctx)
	if err == nil {
		_, err = repositories.Repository.Get(&api.RepositoryOptions{Owner: v.repository.Owner, RepoSlug: v.repository.Name})
	}
	return v.transport.Failure(ctx, err)
}

var _ gitstatus.Vendor = (*vendor)(nil)
