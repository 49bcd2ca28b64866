package gitrepo_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/gitrepo"
)

// hosts are all readings of an address.
var hosts = map[string]func(string) (gitrepo.Repository, error){
	"GitHub": gitrepo.GitHub, "GitLab": gitrepo.GitLab, "Gitea": gitrepo.Gitea, "Bitbucket": gitrepo.Bitbucket,
	"Bitbucket Server": gitrepo.BitbucketServer, "Azure DevOps": gitrepo.AzureDevOps,
}

// vendors are the hosts to which an address may lead without naming them.
var vendors = []string{"api.github.com", "github.com", "gitlab.com", "api.bitbucket.org", "bitbucket.org", "dev.azure.com"}

// FuzzAddress proves of whatever is written as an address that it leads nowhere
// but to its host or to the vendor's, to no other place of that than it says, and
// that a refusal does not repeat it.
func FuzzAddress(f *testing.F) {
	for _, good := range []map[string]string{gitHub, gitLab, gitea, bitbucket, bitbucketServer, azureDevOps} {
		for address := range good {
			f.Add(address)
		}
	}
	for _, address := range never {
		f.Add(address)
	}
	f.Fuzz(func(t *testing.T, address string) {
		for name, parse := range hosts {
			r, err := parse(address)
			if err != nil {
				refusal(t, address, err)
				continue
			}
			leads(t, name+" API", r.API, address)
			leads(t, name+" web", r.Web, address)
			for _, part := range append(strings.Split(r.Name, "/"), r.Owner) {
				assert.NotContains(t, []string{".", ".."}, part, name)
			}
		}
	})
}

func refusal(t *testing.T, address string, err error) {
	t.Helper()
	assert.Regexp(t, `^address: [^\r\n]+$`, err.Error())
	// What the words of an error have in them by themselves says nothing.
	if own := strings.ReplaceAll(err.Error(), address, ""); len(address) > 60 {
		assert.Equal(t, own, err.Error(), "it may be a secret")
	}
	assert.NotContains(t, err.Error(), "%")
}

func leads(t *testing.T, what, to, address string) {
	t.Helper()
	u, err := url.Parse(to)
	require.NoError(t, err, what)
	assert.Contains(t, []string{"https", "http"}, u.Scheme, what)
	assert.Nil(t, u.User, what)
	assert.Empty(t, u.RawQuery+u.Fragment, "%s: %q", what, to)
	host := strings.ToLower(u.Hostname())
	if !slices.Contains(vendors, host) {
		named := strings.TrimPrefix(host, "api.") // of GitHub Enterprise Cloud
		assert.Contains(t, strings.ToLower(unescaped(address)), named, what)
	}
	for _, segment := range strings.Split(u.EscapedPath(), "/") {
		plain, err := url.PathUnescape(segment)
		require.NoError(t, err, what)
		assert.NotContains(t, []string{".", ".."}, plain, what)
		assert.NotContains(t, plain, "/", what)
	}
}

// unescaped is an address whose host may have been written with escapes.
func unescaped(address string) string {
	if plain, err := url.PathUnescape(address); err == nil {
		return plain
	}
	return address
}
