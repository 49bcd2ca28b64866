// Package gitlab writes commit statuses on GitLab, on gitlab.com and on servers
// of one's own
// (https://docs.gitlab.com/api/commits/#set-the-pipeline-status-of-a-commit).
package gitlab

import (
	"context"
	"errors"
	"net/http"

	api "gitlab.com/gitlab-org/api/client-go"

	"github.com/fluxnotify/otelcol-flux/internal/gitrepo"
	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/gitstatus"
)

const (
	// maxText is the limit of a status's name and of its description, in
	// characters: both are refused when longer
	// (https://gitlab.com/gitlab-org/gitlab/-/blob/master/app/models/commit_status.rb).
	maxText = 255
	// perPage is the most that one answer lists
	// (https://docs.gitlab.com/api/rest/#offset-based-pagination).
	perPage = 100
)

type vendor struct {
	project   string
	transport *httpsend.Transport
	client    *api.Client
}

// New makes a provider of a project's address and a token. A password is taken
// for the token where there is none, as in Git's own credentials.
func New(s notify.Settings) (notify.Provider, error) {
	repository, err := gitrepo.GitLab(s.Address)
	if err != nil {
		return nil, err
	}
	v := &vendor{project: repository.Name}
	if s.Token == "" {
		s.Token = s.Password
	}
	own := s
	own.Address = repository.Web
	v.transport, err = httpsend.NewTransport(own, httpsend.Options{Sign: sign(s.Token)})
	if err != nil {
		return nil, err
	}
	v.client, err = api.NewAuthSourceClient(api.Unauthenticated{}, api.WithBaseURL(repository.API),
		api.WithHTTPClient(v.transport.Client()), api.WithoutRetries(), api.WithCustomLimiter(unlimited{}))
	if err != nil {
		return nil, errors.New("address: cannot be made that of the API")
	}
	missing := ""
	if s.Token == "" {
		missing = "token: must be set for the type gitlab, or password"
	}
	return gitstatus.New(s, gitstatus.Options{
		Vendor: v, Repository: repository.Web, Missing: missing,
		Success: "success", Failure: "failed",
		MaxKey: maxText, MaxDescription: maxText,
	})
}

// sign authenticates by the header for access tokens, whose owner may be a
// person, a project or a group
// (https://docs.gitlab.com/api/rest/authentication/#personalprojectgroup-access-tokens).
func sign(token string) func(*http.Request, []byte) {
	return func(r *http.Request, _ []byte) {
		if token != "" {
			r.Header.Set("Private-Token", token)
		}
	}
}

// unlimited leaves it to the transport to heed GitLab's limits.
type unlimited struct{}

func (unlimited) Wait(context.Context) error { return nil }

// Newest implements gitstatus.Vendor. GitLab lists one status of a name for each
// pipeline, the oldest first unless it is asked otherwise, which its versions
// before 17.8 ignore: the number counts, not the place.
func (v *vendor) Newest(ctx context.Context, s gitstatus.Status) (newest gitstatus.Status, found bool, err error) {
	options := &api.GetCommitStatusesOptions{Name: &s.Key, ListOptions: api.ListOptions{PerPage: perPage}}
	var id int64
	for {
		statuses, response, err := v.client.Commits.GetCommitStatuses(v.project, s.Commit, options, api.WithContext(ctx))
		if err != nil {
			return gitstatus.Status{}, false, v.transport.Failure(ctx, err)
		}
		for _, there := range statuses {
			if there.Name == s.Key && (!found || there.ID > id) {
				newest, found, id = gitstatus.Status{State: there.Status, Description: there.Description}, true, there.ID
			}
		}
		if response.NextPage <= options.Page {
			return newest, found, nil
		}
		options.Page = response.NextPage
	}
}

// Post implements gitstatus.Vendor.
func (v *vendor) Post(ctx context.Context, s gitstatus.Status) error {
	_, _, err := v.client.Commits.SetCommitStatus(v.project, s.Commit, &api.SetCommitStatusOptions{
		State: api.BuildStateValue(s.State), Name: &s.Key, Description: &s.Description,
	}, api.WithContext(ctx))
	return v.transport.Failure(ctx, err)
}

var _ gitstatus.Vendor = (*vendor)(nil)
