// Package gitclient makes the clients of Git hosts' APIs: each vendor's own SDK
// over httpsend.Transport, with the SDK's retries and limiters switched off.
package gitclient

import (
	"context"
	"errors"

	api "github.com/google/go-github/v88/github"

	"github.com/fluxnotify/otelcol-flux/internal/githubapp"
	"github.com/fluxnotify/otelcol-flux/internal/gitrepo"
	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// GitHub speaks to a repository on GitHub.
type GitHub struct {
	*api.Client
	Repository gitrepo.Repository
	Transport  *httpsend.Transport
	Speaker    githubapp.Speaker
}

// NewGitHub makes a client of a repository's address and a token, or of a GitHub
// App.
func NewGitHub(s notify.Settings) (*GitHub, error) {
	repository, err := gitrepo.GitHub(s.Address)
	if err != nil {
		return nil, err
	}
	c := &GitHub{Repository: repository}
	if c.Speaker, err = githubapp.Credentials(s, repository.API); err != nil {
		return nil, err
	}
	s.Address = repository.Web
	c.Transport, err = httpsend.NewTransport(s, httpsend.Options{Authorize: c.Speaker.Authorize, Heard: c.Speaker.Heard, Judge: githubapp.Judge})
	if err != nil {
		return nil, err
	}
	base := repository.API + "/"
	c.Client, err = api.NewClient(api.WithHTTPClient(c.Transport.Client()), api.WithURLs(&base, &base), api.WithDisableRateLimitCheck())
	if err != nil {
		return nil, errors.New("address: cannot be made that of the API")
	}
	return c, nil
}

// Check reads the repository
// (https://docs.github.com/en/rest/repos/repos#get-a-repository).
func (c *GitHub) Check(ctx context.Context) error {
	_, _, err := c.Repositories.Get(ctx, c.Repository.Owner, c.Repository.Name)
	return c.Transport.Failure(ctx, err)
}
