// Package github writes commit statuses on GitHub, on github.com and on
// Enterprise
// (https://docs.github.com/en/rest/commits/statuses).
package github

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	api "github.com/google/go-github/v88/github"

	"github.com/fluxnotify/otelcol-flux/internal/gitrepo"
	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/gitstatus"
)

const (
	// maxDescription and maxContext are limits of a status, in characters.
	maxDescription = 140
	maxContext     = 255
	// perPage is the most statuses that one answer lists
	// (https://docs.github.com/en/rest/commits/statuses#list-commit-statuses-for-a-reference).
	perPage = 100
)

type vendor struct {
	repository gitrepo.Repository
	transport  *httpsend.Transport
	client     *api.Client
}

// New makes a provider of a repository's address and a token. A password is
// taken for the token where there is none, as in Git's own credentials.
func New(s notify.Settings) (notify.Provider, error) {
	repository, err := gitrepo.GitHub(s.Address)
	if err != nil {
		return nil, err
	}
	v := &vendor{repository: repository}
	if s.Token == "" {
		s.Token = s.Password
	}
	own := s
	own.Address = repository.Web
	v.transport, err = httpsend.NewTransport(own, httpsend.Options{Sign: httpsend.Bearer(s.Token), Judge: Judge})
	if err != nil {
		return nil, err
	}
	base := repository.API + "/"
	v.client, err = api.NewClient(api.WithHTTPClient(v.transport.Client()), api.WithURLs(&base, &base), api.WithDisableRateLimitCheck())
	if err != nil {
		return nil, errors.New("address: cannot be made that of the API")
	}
	return gitstatus.New(s, gitstatus.Options{
		Vendor: v, Repository: repository.Web,
		Success: "success", Failure: "failure",
		MaxKey: maxContext, MaxDescription: maxDescription,
	})
}

// Newest implements gitstatus.Vendor. GitHub lists the newest first, and takes
// contexts for the same that differ in case alone.
func (v *vendor) Newest(ctx context.Context, s gitstatus.Status) (gitstatus.Status, bool, error) {
	options := &api.ListOptions{PerPage: perPage}
	for {
		statuses, response, err := v.client.Repositories.ListStatuses(ctx, v.repository.Owner, v.repository.Name, s.Commit, options)
		if err != nil {
			return gitstatus.Status{}, false, v.transport.Failure(ctx, err)
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
func (v *vendor) Post(ctx context.Context, s gitstatus.Status) error {
	_, _, err := v.client.Repositories.CreateStatus(ctx, v.repository.Owner, v.repository.Name, s.Commit, api.RepoStatus{
		State: &s.State, Context: &s.Key, Description: &s.Description,
	})
	return v.transport.Failure(ctx, err)
}

// aMinute is how long a secondary limit lasts at least, where GitHub does not
// say how long
// (https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit).
const aMinute = time.Minute

// Judge recognises the secondary rate limit where words alone tell it from a
// lack of rights.
func Judge(a httpsend.Answer) (*notify.Error, bool) {
	if a.Status != http.StatusForbidden && a.Status != http.StatusTooManyRequests {
		return nil, false
	}
	if _, asked := httpsend.RetryAfter(a.Header, time.Time{}); asked || !strings.Contains(strings.ToLower(string(a.Body)), "secondary rate limit") {
		return nil, false
	}
	return &notify.Error{
		Class: notify.Throttled, Type: strconv.Itoa(a.Status), Delay: aMinute,
		Err: errors.New("answered that a secondary rate limit is used up"),
	}, true
}
