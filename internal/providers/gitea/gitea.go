// Package gitea writes commit statuses on Gitea and Forgejo
// (https://docs.gitea.com/api/#tag/repository/operation/repoCreateStatus).
//
// The SDK keeps its context in the client, and asks the server for its version
// before the first call. So each delivery makes a client, which is a few fields
// around the transport, and the question is left out: what is called here is
// older than any server that still runs, and a token for repositories alone may
// not ask.
package gitea

import (
	"context"
	"time"

	api "code.gitea.io/sdk/gitea"

	"github.com/fluxnotify/otelcol-flux/internal/gitrepo"
	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
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

type vendor struct {
	repository gitrepo.Repository
	token      string
	transport  *httpsend.Transport
}

// New makes a provider of a repository's address and a token. A password is taken
// for the token where there is none, as in Git's own credentials.
func New(s notify.Settings) (notify.Provider, error) {
	repository, err := gitrepo.Gitea(s.Address)
	if err != nil {
		return nil, err
	}
	if s.Token == "" {
		s.Token = s.Password
	}
	v := &vendor{repository: repository, token: s.Token}
	own := s
	own.Address = repository.Web
	if v.transport, err = httpsend.NewTransport(own, httpsend.Options{}); err != nil {
		return nil, err
	}
	missing := ""
	if s.Token == "" {
		missing = "token: must be set for the type gitea, or password"
	}
	return gitstatus.New(s, gitstatus.Options{
		Vendor: v, Repository: repository.Web, Missing: missing,
		Success: string(api.StatusSuccess), Failure: string(api.StatusFailure), Pending: string(api.StatusPending),
		MaxKey: maxText, MaxDescription: maxText,
	})
}

// client is for the calls of one delivery.
func (v *vendor) client(ctx context.Context) (*api.Client, error) {
	return api.NewClient(v.repository.API,
		api.SetContext(ctx), api.SetHTTPClient(v.transport.Client()), api.SetToken(v.token), api.SetGiteaVersion(""))
}

// Newest implements gitstatus.Vendor. Gitea lists all contexts together, the
// newest second first and the statuses of one second in any order: the number
// counts, not the place.
func (v *vendor) Newest(ctx context.Context, s gitstatus.Status) (newest gitstatus.Status, found bool, err error) {
	client, err := v.client(ctx)
	if err != nil {
		return newest, false, v.transport.Failure(ctx, err)
	}
	options := api.ListStatusesOption{ListOptions: api.ListOptions{Page: 1, PageSize: perPage}}
	var id int64
	var at time.Time
	for {
		statuses, response, err := client.ListStatuses(v.repository.Owner, v.repository.Name, s.Commit, options)
		if err != nil {
			return newest, false, v.transport.Failure(ctx, err)
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
func (v *vendor) Post(ctx context.Context, s gitstatus.Status) error {
	client, err := v.client(ctx)
	if err != nil {
		return v.transport.Failure(ctx, err)
	}
	_, _, err = client.CreateStatus(v.repository.Owner, v.repository.Name, s.Commit, api.CreateStatusOption{
		State: api.StatusState(s.State), Context: s.Key, Description: s.Description,
	})
	return v.transport.Failure(ctx, err)
}

var _ gitstatus.Vendor = (*vendor)(nil)
