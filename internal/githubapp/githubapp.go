// Package githubapp authenticates as a GitHub App: with its private key it
// fetches the token of an installation, which is good for an hour
// (https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/authenticating-as-a-github-app-installation).
package githubapp

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/bradleyfalzon/ghinstallation/v2"
	api "github.com/google/go-github/v88/github"

	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// Keys are the files of a secret folder that describe an App. Their names are
// Flux's.
var Keys = []string{keyID, keyInstallation, keyOwner, keyPrivateKey, keyBaseURL}

const (
	keyID           = "githubAppID"
	keyInstallation = "githubAppInstallationID"
	keyOwner        = "githubAppInstallationOwner"
	keyPrivateKey   = "githubAppPrivateKey"
	keyBaseURL      = "githubAppBaseURL"
)

// App is an App's installation.
type App struct {
	transport *httpsend.Transport
	apps      *ghinstallation.AppsTransport
	client    *api.Client // speaks as the App itself
	owner     string      // whose installation is looked up; empty: its number is known
	number    int64

	mu           sync.Mutex
	installation *ghinstallation.Transport // nil: to be looked up
	authorized   string                    // the header that it gave last
	refused      bool                      // the last answer was a refusal of such a header
}

// New makes an App of the settings' secrets; nil where they describe none. api is
// the base of the API's addresses, unless the secrets have another.
func New(s notify.Settings, base string) (*App, error) {
	id, err := number(s.Secrets, keyID)
	if err != nil || id == 0 {
		return nil, err
	}
	installation, err := number(s.Secrets, keyInstallation)
	if err != nil {
		return nil, err
	}
	owner := s.Secrets[keyOwner]
	if (installation == 0) == (owner == "") {
		return nil, errors.New(keyInstallation + ": set either it or " + keyOwner)
	}
	if url.PathEscape(owner) != owner {
		return nil, errors.New(keyOwner + ": must be the name of an organization or of a user")
	}
	if own := s.Secrets[keyBaseURL]; own != "" {
		base = strings.TrimRight(own, "/")
	}
	a := &App{owner: owner, number: installation}
	// Only the key is secret: numbers and names may be quoted.
	s.Address, s.Secrets = base, map[string]string{keyPrivateKey: s.Secrets[keyPrivateKey]}
	if a.transport, err = httpsend.NewTransport(s, httpsend.Options{Judge: Judge}); err != nil {
		return nil, errors.New(keyBaseURL + ": must be a URL such as https://github.example.com/api/v3")
	}
	if a.apps, err = ghinstallation.NewAppsTransport(a.transport, id, []byte(s.Secrets[keyPrivateKey])); err != nil {
		return nil, errors.New(keyPrivateKey + ": must be the App's RSA private key in PEM form")
	}
	a.apps.BaseURL = base
	root := base + "/"
	a.client, err = api.NewClient(api.WithTransport(a.apps), api.WithURLs(&root, &root), api.WithDisableRateLimitCheck())
	if err != nil {
		return nil, errors.New(keyBaseURL + ": must be a URL such as https://github.example.com/api/v3")
	}
	return a, nil
}

// number reads a key that is one; 0: it is not there.
func number(secrets map[string]string, key string) (int64, error) {
	value := secrets[key]
	if value == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n <= 0 {
		return 0, errors.New(key + ": must be a number")
	}
	return n, nil
}

// Authorize gives the Authorization header of the installation, for
// httpsend.Options. A token is kept until a minute before its end.
func (a *App) Authorize(ctx context.Context) (string, error) {
	ctx = httpsend.OneDelivery(ctx) // the installation and its token
	installation, err := a.find(ctx)
	if err != nil {
		return "", a.transport.Failure(ctx, err)
	}
	token, err := installation.Token(ctx)
	if err != nil {
		failed := a.transport.Failure(ctx, err)
		if httpsend.NotFound(failed) {
			a.forget(installation) // the App may have been installed anew
		}
		return "", failed
	}
	authorization := "Bearer " + token
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.installation == installation {
		a.authorized = authorization
	}
	return authorization, nil
}

// Heard learns how a header of Authorize was taken, for httpsend.Options. Where the
// App was installed anew, GitHub knows the token of the old installation no more,
// before its time: it is worth another try with a new one, though not two in a row.
func (a *App) Heard(authorization string, status int) (again bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if status != http.StatusUnauthorized {
		a.refused = false
		return false
	}
	if a.authorized != authorization {
		return true // somebody has seen to it since
	}
	again = !a.refused
	a.installation, a.authorized, a.refused = nil, "", again
	return again
}

// WritesContents tells whether the installation may write contents. An App has no
// rights of a user's: an answer of the API about a repository does not know them
// (https://docs.github.com/en/rest/apps/apps#create-an-installation-access-token-for-an-app).
func (a *App) WritesContents(ctx context.Context) (bool, error) {
	installation, err := a.find(ctx)
	if err != nil {
		return false, a.transport.Failure(ctx, err)
	}
	if _, err := installation.Token(ctx); err != nil {
		return false, a.transport.Failure(ctx, err)
	}
	may, err := installation.Permissions()
	return may.GetContents() == "write", a.transport.Failure(ctx, err)
}

// Slug is the name of the App, as part of the login under which it comments.
func (a *App) Slug(ctx context.Context) (string, error) {
	app, _, err := a.client.Apps.Get(ctx, "")
	if err != nil {
		return "", a.transport.Failure(ctx, err)
	}
	return app.GetSlug(), nil
}

// find gives the installation, which it looks up by its owner once.
func (a *App) find(ctx context.Context) (*ghinstallation.Transport, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.installation != nil {
		return a.installation, nil
	}
	if a.number != 0 {
		a.installation = ghinstallation.NewFromAppsTransport(a.apps, a.number)
		return a.installation, nil
	}
	found, _, err := a.client.Apps.GetOrganizationInstallation(ctx, a.owner)
	if httpsend.NotFound(err) {
		found, _, err = a.client.Apps.GetUserInstallation(ctx, a.owner)
	}
	if err != nil {
		return nil, err
	}
	a.installation = ghinstallation.NewFromAppsTransport(a.apps, found.GetID())
	return a.installation, nil
}

// forget lets go of an installation, unless another has taken its place.
func (a *App) forget(installation *ghinstallation.Transport) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.installation == installation {
		a.installation, a.authorized = nil, ""
	}
}
