package gitclient

import (
	"context"

	api "code.gitea.io/sdk/gitea"

	"github.com/fluxnotify/otelcol-flux/internal/gitrepo"
	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// Gitea speaks to a repository on Gitea or Forgejo.
type Gitea struct {
	Repository gitrepo.Repository
	Transport  *httpsend.Transport
	// Missing says what is not set; empty: nothing is.
	Missing string
	token   string
}

// NewGitea makes a client of a repository's address and a token. A password is
// taken for the token where there is none, as in Git's own credentials.
func NewGitea(s notify.Settings) (*Gitea, error) {
	repository, err := gitrepo.Gitea(s.Address)
	if err != nil {
		return nil, err
	}
	c := &Gitea{Repository: repository}
	c.token, c.Missing = tokenOf(s)
	s.Address, s.Token = repository.Web, c.token
	if c.Transport, err = httpsend.NewTransport(s, httpsend.Options{}); err != nil {
		return nil, err
	}
	return c, nil
}

// For is the client for the calls of one delivery. The SDK keeps its context in
// the client, which is a few fields around the transport. It would also ask the
// server for its version before the first call: that is left out, since what is
// called here is older than any server that still runs, and a token for
// repositories alone may not ask.
func (c *Gitea) For(ctx context.Context) (*api.Client, error) {
	client, err := api.NewClient(c.Repository.API,
		api.SetContext(ctx), api.SetHTTPClient(c.Transport.Client()), api.SetToken(c.token), api.SetGiteaVersion(""))
	return client, c.Transport.Failure(ctx, err)
}
