package gitclient

import (
	"context"
	"errors"
	"net/http"

	api "gitlab.com/gitlab-org/api/client-go"

	"github.com/fluxnotify/otelcol-flux/internal/gitrepo"
	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// GitLab speaks to a project on GitLab.
type GitLab struct {
	*api.Client
	Repository gitrepo.Repository
	Transport  *httpsend.Transport
	// Missing says what is not set; empty: nothing is.
	Missing string
}

// NewGitLab makes a client of a project's address and a token. A password is
// taken for the token where there is none, as in Git's own credentials.
func NewGitLab(s notify.Settings) (*GitLab, error) {
	repository, err := gitrepo.GitLab(s.Address)
	if err != nil {
		return nil, err
	}
	token, missing := tokenOf(s)
	c := &GitLab{Repository: repository, Missing: missing}
	s.Address, s.Token = repository.Web, token
	if c.Transport, err = httpsend.NewTransport(s, httpsend.Options{Sign: sign(token)}); err != nil {
		return nil, err
	}
	c.Client, err = api.NewAuthSourceClient(api.Unauthenticated{}, api.WithBaseURL(repository.API),
		api.WithHTTPClient(c.Transport.Client()), api.WithoutRetries(), api.WithCustomLimiter(unlimited{}))
	if err != nil {
		return nil, errors.New("address: cannot be made that of the API")
	}
	return c, nil
}

// Check reads the project
// (https://docs.gitlab.com/api/projects/#get-single-project).
func (c *GitLab) Check(ctx context.Context) error {
	_, _, err := c.Projects.GetProject(c.Repository.Name, nil, api.WithContext(ctx))
	return c.Transport.Failure(ctx, err)
}

// tokenOf is the token of settings, and what to say where there is none.
func tokenOf(s notify.Settings) (token, missing string) {
	switch {
	case s.Token != "":
		return s.Token, ""
	case s.Password != "":
		return s.Password, ""
	}
	return "", "token: must be set for the type " + s.Type + ", or password"
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
