// Package gitea writes commit statuses on Gitea and Forgejo
// (https://docs.gitea.com/api/#tag/repository/operation/repoCreateStatus).
package gitea

import (
	"context"
	"time"

	api "code.gitea.io/sdk/gitea"

	"github.com/fluxnotify/otelcol-flux/internal/gitclient"
	"github.com/fluxnotify/otelcol-flux/internal/gitrepo"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/gitstatus"
)

const (
	// maxText is what every database keeps of a context and of a description, in
	// characters: the columns have the type TEXT, for which MySQL has 65,535 bytes
	// (https://github.com/go-gitea/gitea/blob/main/models/git/commit_status.go,
	// https://dev.mysql.com/doc/refman/8.4/en/storage-requirements.html).
	maxText = 65_535 / 4
	// perPage is the most that one answer lists, unless the server has another
	// MAX_RESPONSE_ITEMS
	// (https://docs.gitea.com/administration/config-cheat-sheet#api-api).
	perPage = 50
)

type vendor struct{ *gitclient.Gitea }

// New makes a provider of a repository's address and a token.
func New(s notify.Settings) (notify.Provider, error) {
	client, err := gitclient.NewGitea(s)
	if err != nil {
		return nil, err
	}
	return gitstatus.New(s, gitstatus.Options{
		Vendor: vendor{client}, Repository: client.Repository.Web, Missing: client.Missing,
		Success: string(api.StatusSuccess), Failure: string(api.StatusFailure), Pending: string(api.StatusPending),
		Hashes: gitrepo.SHA256, MaxKey: maxText, MaxDescription: maxText,
	})
}

// Newest implements gitstatus.Vendor. Gitea lists all contexts together, the
// newest second first and the statuses of one second in any order: the number
// counts, not the place.
func (v vendor) Newest(ctx context.Context, s gitstatus.Status) (newest gitstatus.Status, found bool, err error) {
	client, err := v.For(ctx)
	if err != nil {
		return newest, false, err
	}
	options := api.ListStatusesOption{ListOptions: api.ListOptions{Page: 1, PageSize: perPage}}
	var id int64
	var at time.Time
	for {
		statuses, response, err := client.ListStatuses(v.Repository.Owner, v.Repository.Name, s.Commit, options)
		if err != nil {
			return newest, false, v.Transport.Failure(ctx, err)
		}
		for _, there := range statuses {
			if there != nil && there.Context == s.Key && (!found || there.ID > id) {
				newest, found, id, at = gitstatus.Status{State: string(there.State), Description: there.Description}, true, there.ID, there.Created
			}
		}
		if response.NextPage <= options.Page || (found && olderAfter(statuses, at)) {
			return newest, found, nil
		}
		options.Page = response.NextPage
	}
}

// olderAfter tells that what follows a page was made before a second.
func olderAfter(page []*api.Status, at time.Time) bool {
	if len(page) == 0 {
		return false
	}
	last := page[len(page)-1]
	return last != nil && last.Created.Before(at)
}

// Post implements gitstatus.Vendor.
func (v vendor) Post(ctx context.Context, s gitstatus.Status) error {
	client, err := v.For(ctx)
	if err != nil {
		return err
	}
	_, _, err = client.CreateStatus(v.Repository.Owner, v.Repository.Name, s.Commit, api.CreateStatusOption{
		State: api.StatusState(s.State), Context: s.Key, Description: s.Description,
	})
	return v.Transport.Failure(ctx, err)
}

// Check implements gitstatus.Vendor
// (https://docs.gitea.com/api/#tag/repository/operation/repoGet).
func (v vendor) Check(ctx context.Context) error {
	client, err := v.For(ctx)
	if err != nil {
		return err
	}
	_, _, err = client.GetRepo(v.Repository.Owner, v.Repository.Name)
	return v.Transport.Failure(ctx, err)
}

var _ gitstatus.Vendor = vendor{}
