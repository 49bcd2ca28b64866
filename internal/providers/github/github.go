// Package github writes commit statuses on GitHub, on github.com and on
// Enterprise
// (https://docs.github.com/en/rest/commits/statuses).
package github

import (
	"context"
	"strings"

	api "github.com/google/go-github/v88/github"

	"github.com/fluxnotify/otelcol-flux/internal/gitclient"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/gitstatus"
)

const (
	// maxDescription and maxContext are limits of a status, in characters. GitHub
	// documents the first for statuses of deployments alone, and answers longer
	// ones of both with a 422
	// (https://docs.github.com/en/rest/deployments/statuses#create-a-deployment-status).
	maxDescription = 140
	maxContext     = 255
	// perPage is the most statuses that one answer lists
	// (https://docs.github.com/en/rest/commits/statuses#list-commit-statuses-for-a-reference).
	perPage = 100
)

type vendor struct{ *gitclient.GitHub }

// New makes a provider of a repository's address and a token, or of a GitHub App.
func New(s notify.Settings) (notify.Provider, error) {
	client, err := gitclient.NewGitHub(s)
	if err != nil {
		return nil, err
	}
	return gitstatus.New(s, gitstatus.Options{
		Vendor: vendor{client}, Repository: client.Repository.Web, Missing: client.Speaker.Missing,
		Success: "success", Failure: "failure",
		MaxKey: maxContext, MaxDescription: maxDescription,
	})
}

// Newest implements gitstatus.Vendor. GitHub lists the newest first, and takes
// contexts for the same that differ in case alone.
func (v vendor) Newest(ctx context.Context, s gitstatus.Status) (gitstatus.Status, bool, error) {
	options := &api.ListOptions{PerPage: perPage}
	for {
		statuses, response, err := v.Repositories.ListStatuses(ctx, v.Repository.Owner, v.Repository.Name, s.Commit, options)
		if err != nil {
			return gitstatus.Status{}, false, v.Transport.Failure(ctx, err)
		}
		for _, there := range statuses {
			if strings.EqualFold(there.GetContext(), s.Key) {
				return gitstatus.Status{State: there.GetState(), Description: there.GetDescription()}, true, nil
			}
		}
		if response.NextPage <= options.Page {
			return gitstatus.Status{}, false, nil
		}
		options.Page = response.NextPage
	}
}

// Post implements gitstatus.Vendor.
func (v vendor) Post(ctx context.Context, s gitstatus.Status) error {
	_, _, err := v.Repositories.CreateStatus(ctx, v.Repository.Owner, v.Repository.Name, s.Commit, api.RepoStatus{
		State: &s.State, Context: &s.Key, Description: &s.Description,
	})
	return v.Transport.Failure(ctx, err)
}

var _ gitstatus.Vendor = vendor{}
