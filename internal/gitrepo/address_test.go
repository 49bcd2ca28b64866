package gitrepo_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/gitrepo"
)

// reading is one host's reading of addresses.
type reading struct {
	parse func(string) (gitrepo.Repository, error)
	good  map[string]string // address → API, owner and name
	bad   []string
}

// never is an address of no repository anywhere.
var never = []string{
	"", "nonsense", "://", "ssh://", "ftp://example.com/org/repo", "file:///org/repo", "https://", "https://example.com",
	"https://example.com/", "https://example.com/org/repo?token=1", "https://example.com/org/repo?", "https://example.com/org/repo#readme",
	"https://flux:secret@example.com/org/repo", "https://example.com/../repo", "https://example.com/%2e%2e/repo",
	"https://example.com/org/re%2Fpo", "https://example.com/org/re%00po", "https://example.com/org//repo", "git@example.com:",
	"https://example.com/org/.git", "https://example.com/org/%zz", "http://[::1", "https://example.com/org/repo%0A",
	"ssh://git@gitea.example:com:2222/org/repo", "ssh://git@[fe80::1%25eth0]/org/repo", "https://exa%20mple.com/org/repo",
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]reading{
		"GitHub": {gitrepo.GitHub, gitHub, []string{
			"https://github.com/org", "https://github.com/org/sub/repo", "https://github.com/org/re po", "https://github.com/org/re%3Fpo",
		}},
		"GitLab": {gitrepo.GitLab, gitLab, []string{"https://gitlab.com/lonely", "https://gitlab.com/-1", "https://gitlab.com/12x"}},
		"Gitea": {gitrepo.Gitea, gitea, []string{
			"https://gitea.example.com/org", "git@gitea.example.com:base/org/repo", "https://gitea.example.com/org/re po",
		}},
		"Bitbucket": {gitrepo.Bitbucket, bitbucket, []string{
			"https://bitbucket.org/org", "https://bitbucket.org/org/sub/repo", "https://bitbucket.example.com/org/repo",
			"https://bitbucket.org:8443/org/repo", "https://bitbucket.org.example.com/org/repo", "https://bitbucket.org/org/a?b",
		}},
		"Bitbucket Server": {gitrepo.BitbucketServer, bitbucketServer, []string{
			"https://bitbucket.example.com/proj/repo.git", "https://bitbucket.example.com/scm/repo.git", "ssh://git@bitbucket.example.com:7999/proj/repo.git",
			"https://bitbucket.example.com/projects/PROJ/repos/repo", "https://bitbucket.example.com/scm/a/b/repo.git", "ssh://git@bitbucket.example.com/scm/proj/repo.git",
		}},
		"Azure DevOps": {gitrepo.AzureDevOps, azureDevOps, []string{
			"https://dev.azure.com/acme/_git/repo", "https://dev.azure.com/acme/project/repo", "git@ssh.dev.azure.com:v2/acme/project/repo",
			"git@ssh.dev.azure.com:v3/acme/repo", "https://acme.visualstudio.com/_git/repo", "https://dev.azure.com/acme/project/_git/repo/more",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for address, want := range r.good {
				got, err := r.parse(address)
				require.NoError(t, err, address)
				assert.Equal(t, want, got.API+" "+got.Owner+" "+got.Name, address)
				again, err := r.parse(got.Web)
				require.NoError(t, err, got.Web)
				assert.Equal(t, got, again, "its address for a browser is that of the same repository: %s", address)
			}
			for _, address := range append(r.bad, never...) {
				_, err := r.parse(address)
				if assert.Error(t, err, address) {
					assert.Regexp(t, "^address: ", err.Error(), address)
					if len(address) > len("https://example.com/org") {
						assert.NotContains(t, err.Error(), address, "it may be a secret")
					}
					assert.NotContains(t, err.Error(), "secret", address)
				}
			}
		})
	}
}

var gitHub = map[string]string{
	"https://github.com/org/repo":                 "https://api.github.com org repo",
	"https://github.com/org/repo/":                "https://api.github.com org repo",
	"https://github.com/org/repo.git":             "https://api.github.com org repo",
	"https://github.com/org/repo.git/":            "https://api.github.com org repo",
	"https://flux@github.com/org/repo":            "https://api.github.com org repo",
	"https://GitHub.com/org/repo":                 "https://api.github.com org repo",
	"https://www.github.com/org/repo":             "https://api.github.com org repo",
	"http://github.com/org/repo":                  "https://api.github.com org repo",
	"https://github.com:443/org/repo":             "https://api.github.com org repo",
	"ssh://git@github.com/org/repo.git":           "https://api.github.com org repo",
	"ssh://git@github.com:22/org/repo":            "https://api.github.com org repo",
	"ssh://git@ssh.github.com:443/org/repo":       "https://api.github.com org repo",
	"git@github.com:org/repo.git":                 "https://api.github.com org repo",
	"git@github.com:/org/repo":                    "https://api.github.com org repo",
	"https://github.com/my-org_1/.github":         "https://api.github.com my-org_1 .github",
	"https://ghe.example.com/org/repo":            "https://ghe.example.com/api/v3 org repo",
	"http://ghe.example.com:8080/org/repo.git":    "http://ghe.example.com:8080/api/v3 org repo",
	"https://github.com:8443/org/repo":            "https://github.com:8443/api/v3 org repo",
	"ssh://git@ghe.example.com:2222/org/repo.git": "https://ghe.example.com/api/v3 org repo",
	"ssh://git@[2001:db8::1]:2222/org/repo.git":   "https://[2001:db8::1]/api/v3 org repo",
	"https://github.com.example.org/org/repo":     "https://github.com.example.org/api/v3 org repo",
	"https://octocorp.ghe.com/org/repo":           "https://api.octocorp.ghe.com org repo",
	"git@octocorp.ghe.com:org/repo":               "https://api.octocorp.ghe.com org repo",
}

var gitLab = map[string]string{
	"https://gitlab.com/group/project":                      "https://gitlab.com/api/v4  group/project",
	"https://gitlab.com/a/b/c/d/project.git":                "https://gitlab.com/api/v4  a/b/c/d/project",
	"https://gitlab.com/group/project/":                     "https://gitlab.com/api/v4  group/project",
	"https://gitlab.com/1234":                               "https://gitlab.com/api/v4  1234",
	"git@gitlab.com:group/sub/project.git":                  "https://gitlab.com/api/v4  group/sub/project",
	"ssh://git@altssh.gitlab.com:443/group/project.git":     "https://gitlab.com/api/v4  group/project",
	"ssh://git@gitlab.example.com:2222/group/project.git":   "https://gitlab.example.com/api/v4  group/project",
	"http://gitlab.example.com:8080/group/project.name-x_y": "http://gitlab.example.com:8080/api/v4  group/project.name-x_y",
}

var gitea = map[string]string{
	"https://gitea.example.com/org/repo":             "https://gitea.example.com org repo",
	"http://gitea.example.com:3000/org/repo.git":     "http://gitea.example.com:3000 org repo",
	"https://example.com/gitea/org/repo":             "https://example.com/gitea org repo",
	"git@gitea.example.com:org/repo.git":             "https://gitea.example.com org repo",
	"ssh://git@gitea.example.com:2222/org/repo.name": "https://gitea.example.com org repo.name",
}

var bitbucket = map[string]string{
	"https://bitbucket.org/org/repo":                  "https://api.bitbucket.org/2.0 org repo",
	"https://flux@bitbucket.org/org/repo.git":         "https://api.bitbucket.org/2.0 org repo",
	"https://bitbucket.org:443/org/repo":              "https://api.bitbucket.org/2.0 org repo",
	"git@bitbucket.org:org/repo.git":                  "https://api.bitbucket.org/2.0 org repo",
	"ssh://git@altssh.bitbucket.org:443/org/repo.git": "https://api.bitbucket.org/2.0 org repo",
}

var bitbucketServer = map[string]string{
	"https://bitbucket.example.com/scm/proj/repo.git":             "https://bitbucket.example.com/rest/api/latest proj repo",
	"http://bitbucket.example.com:7990/scm/proj/repo":             "http://bitbucket.example.com:7990/rest/api/latest proj repo",
	"https://example.com/context/scm/PROJ/repo.git":               "https://example.com/context/rest/api/latest PROJ repo",
	"https://example.com/a/b/scm/~flux/repo.git":                  "https://example.com/a/b/rest/api/latest ~flux repo",
	"https://flux@bitbucket.example.com:443/scm/proj/re%20po.git": "https://bitbucket.example.com:443/rest/api/latest proj re po",
}

var azureDevOps = map[string]string{
	"https://dev.azure.com/acme/project/_git/repo":                              "https://dev.azure.com/acme project repo",
	"https://acme@dev.azure.com/acme/project/_git/repo":                         "https://dev.azure.com/acme project repo",
	"https://dev.azure.com/acme/My%20Project/_git/My%20Repo":                    "https://dev.azure.com/acme My Project My Repo",
	"https://acme.visualstudio.com/project/_git/repo":                           "https://acme.visualstudio.com project repo",
	"https://acme.visualstudio.com/DefaultCollection/project/_git/repo":         "https://acme.visualstudio.com project repo",
	"git@ssh.dev.azure.com:v3/acme/project/repo":                                "https://dev.azure.com/acme project repo",
	"ssh://git@ssh.dev.azure.com/v3/acme/My%20Project/repo":                     "https://dev.azure.com/acme My Project repo",
	"acme@vs-ssh.visualstudio.com:v3/acme/project/repo":                         "https://dev.azure.com/acme project repo",
	"https://tfs.example.com:8443/tfs/DefaultCollection/project/_git/repo.name": "https://tfs.example.com:8443/tfs/DefaultCollection project repo.name",
}
