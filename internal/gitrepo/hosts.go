package gitrepo

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
)

// Repository is where the API finds a repository.
type Repository struct {
	// API is the base of the calls, without a slash at its end.
	API string
	// Owner is the owner, the workspace or the project; empty for GitLab, whose
	// Name is the whole path.
	Owner string
	Name  string
	// Web is the repository's address for a browser.
	Web string
}

// GitHub reads an address on github.com, on an Enterprise server or on a host of
// GitHub Enterprise Cloud with data residency
// (https://docs.github.com/en/enterprise-cloud@latest/admin/data-residency/network-details-for-ghecom).
func GitHub(s string) (Repository, error) {
	const example = "https://github.com/owner/repository"
	a, err := parse(s, example)
	if err != nil {
		return Repository{}, err
	}
	if len(a.path) != 2 || !named(a.path...) {
		return Repository{}, errors.New("address: must be that of a repository, such as " + example)
	}
	r := Repository{API: a.site.String() + "/api/v3", Owner: a.path[0], Name: a.path[1], Web: a.web(a.path...)}
	switch {
	case a.host == "github.com" && a.port() == "":
		r.API = "https://api.github.com"
	case strings.HasSuffix(a.host, ".ghe.com") && a.port() == "":
		r.API = "https://api." + a.host
	}
	return r, nil
}

// GitLab reads an address on gitlab.com or on a server of one's own. The path is
// that of a project in any depth of groups, or the project's number.
func GitLab(s string) (Repository, error) {
	const example = "https://gitlab.com/group/project"
	a, err := parse(s, example)
	if err != nil {
		return Repository{}, err
	}
	if len(a.path) == 1 {
		if _, err := strconv.ParseUint(a.path[0], 10, 63); err != nil {
			return Repository{}, errors.New("address: must be that of a project, such as " + example + " or, with its number, https://gitlab.com/1234")
		}
	}
	return Repository{API: a.site.String() + "/api/v4", Name: strings.Join(a.path, "/"), Web: a.web(a.path...)}, nil
}

// Gitea reads an address on a Gitea or Forgejo server, which may live below a
// path of its host.
func Gitea(s string) (Repository, error) {
	const example = "https://gitea.example.com/owner/repository"
	a, err := parse(s, example)
	if err != nil {
		return Repository{}, err
	}
	n := len(a.path)
	if n < 2 || !named(a.path[n-2:]...) || (!a.http && n != 2) {
		return Repository{}, errors.New("address: must be that of a repository, such as " + example)
	}
	base := a.site.String()
	if n > 2 {
		base += "/" + escape(a.path[:n-2])
	}
	return Repository{API: base, Owner: a.path[n-2], Name: a.path[n-1], Web: a.web(a.path...)}, nil
}

// Bitbucket reads an address on bitbucket.org.
func Bitbucket(s string) (Repository, error) {
	const example = "https://bitbucket.org/workspace/repository"
	a, err := parse(s, example)
	if err != nil {
		return Repository{}, err
	}
	if a.host != "bitbucket.org" || a.port() != "" {
		return Repository{}, errors.New("address: must be on bitbucket.org, such as " + example + "; for a server of your own set type to bitbucketserver")
	}
	if len(a.path) != 2 || !named(a.path...) {
		return Repository{}, errors.New("address: must be that of a repository, such as " + example)
	}
	return Repository{API: "https://api.bitbucket.org/2.0", Owner: a.path[0], Name: a.path[1], Web: "https://bitbucket.org/" + escape(a.path)}, nil
}

// BitbucketServer reads the HTTP clone URL of a repository on Bitbucket Server or
// Data Center: the only form that tells where its REST API is, for which the
// part before /scm/ counts.
func BitbucketServer(s string) (Repository, error) {
	form := errors.New("address: must be the HTTP clone URL of the repository, such as https://bitbucket.example.com/scm/project/repository.git")
	a, err := parse(s, "https://bitbucket.example.com/scm/project/repository.git")
	if err != nil {
		return Repository{}, err
	}
	n := len(a.path)
	if !a.http || n < 3 || a.path[n-3] != "scm" {
		return Repository{}, form
	}
	base := a.site.String()
	if n > 3 {
		base += "/" + escape(a.path[:n-3])
	}
	return Repository{API: base + "/rest/api/latest", Owner: a.path[n-2], Name: a.path[n-1], Web: a.web(a.path...) + ".git"}, nil
}

// AzureDevOps reads an address on dev.azure.com, on an older visualstudio.com or
// on a server of one's own, for a browser or for SSH. API is that of the
// organisation, Owner the project.
func AzureDevOps(s string) (Repository, error) {
	const example = "https://dev.azure.com/organization/project/_git/repository"
	form := errors.New("address: must be that of a repository, such as " + example)
	a, err := parse(s, example)
	if err != nil {
		return Repository{}, err
	}
	if a.host == "ssh.dev.azure.com" || a.host == "vs-ssh.visualstudio.com" {
		if len(a.path) != 4 || a.path[0] != "v3" { // v3/organization/project/repository
			return Repository{}, form
		}
		a.site = url.URL{Scheme: "https", Host: "dev.azure.com"}
		a.path = []string{a.path[1], a.path[2], "_git", a.path[3]}
	}
	n := len(a.path)
	if n < 3 || a.path[n-2] != "_git" {
		return Repository{}, form
	}
	project, base := a.path[n-3], a.path[:n-3]
	oldHost := strings.HasSuffix(a.host, ".visualstudio.com")
	if oldHost && len(base) == 1 && strings.EqualFold(base[0], "DefaultCollection") {
		base = nil
	}
	// An organisation is the path of new hosts, and the host of old ones.
	if len(base) == 0 && !oldHost {
		return Repository{}, form
	}
	api := a.site.String()
	if len(base) > 0 {
		api += "/" + escape(base)
	}
	return Repository{API: api, Owner: project, Name: a.path[n-1], Web: a.web(a.path...)}, nil
}
