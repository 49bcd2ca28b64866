// Package gitlab writes commit statuses on GitLab, on gitlab.com and on servers
// of one's own
// (https://docs.gitlab.com/api/commits/#set-the-pipeline-status-of-a-commit).
package gitlab

import (
	"context"

	api "gitlab.com/gitlab-org/api/client-go"

	"github.com/fluxnotify/otelcol-flux/internal/gitclient"
	"github.com/fluxnotify/otelcol-flux/internal/gitrepo"
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

type vendor struct{ *gitclient.GitLab }

// New makes a provider of a project's address and a token.
func New(s notify.Settings) (notify.Provider, error) {
	client, err := gitclient.NewGitLab(s)
	if err != nil {
		return nil, err
	}
	return gitstatus.New(s, gitstatus.Options{
		Vendor: vendor{client}, Repository: client.Repository.Web, Missing: client.Missing,
		Success: "success", Failure: "failed",
		Hashes: gitrepo.SHA256, MaxKey: maxText, MaxDescription: maxText,
	})
}

// Newest implements gitstatus.Vendor. GitLab lists one status of a name for each
// pipeline, the oldest first unless it is asked otherwise, which its versions
// before 17.8 ignore: the number counts, not the place.
func (v vendor) Newest(ctx context.Context, s gitstatus.Status) (newest gitstatus.Status, found bool, err error) {
	options := &api.GetCommitStatusesOptions{Name: &s.Key, ListOptions: api.ListOptions{PerPage: perPage}}
	var id int64
	for {
		statuses, response, err := v.Commits.GetCommitStatuses(v.Repository.Name, s.Commit, options, api.WithContext(ctx))
		if err != nil {
			return gitstatus.Status{}, false, v.Transport.Failure(ctx, err)
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
func (v vendor) Post(ctx context.Context, s gitstatus.Status) error {
	_, _, err := v.Commits.SetCommitStatus(v.Repository.Name, s.Commit, &api.SetCommitStatusOptions{
		State: api.BuildStateValue(s.State), Name: &s.Key, Description: &s.Description,
	}, api.WithContext(ctx))
	return v.Transport.Failure(ctx, err)
}

var _ gitstatus.Vendor = vendor{}
