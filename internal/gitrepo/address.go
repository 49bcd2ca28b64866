// Package gitrepo reads where a Git repository is, and of which of its commits
// an event tells. Addresses are those that people copy from a browser or from
// their Git remotes; every host's own form becomes what its API wants.
package gitrepo

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"unicode/utf8"
)

// address is a repository's place, whatever form it was written in.
type address struct {
	// site is how its host is spoken to: the address without path and user.
	site url.URL
	// host is that without its port, in lower case.
	host string
	// path are the segments, unescaped, the last without .git.
	path []string
	// http tells that it was not one for SSH.
	http bool
}

// otherNames are hosts that stand for another: where SSH passes firewalls, and
// what browsers are sent away from.
var otherNames = map[string]string{
	"www.github.com":       "github.com",
	"ssh.github.com":       "github.com",
	"altssh.gitlab.com":    "gitlab.com",
	"altssh.bitbucket.org": "bitbucket.org",
	"www.bitbucket.org":    "bitbucket.org",
}

// parse reads an address. Its errors do not repeat it, since there may be a
// secret in it. example is one of the right form.
func parse(s, example string) (address, error) {
	form := errors.New("address: must be that of a repository, such as " + example)
	if s == "" {
		return address{}, form
	}
	u, err := url.Parse(expand(s))
	if err != nil {
		return address{}, form
	}
	a := address{http: u.Scheme == "https" || u.Scheme == "http"}
	switch u.Scheme {
	case "https", "http", "ssh", "git+ssh", "git":
	default:
		return address{}, form
	}
	if _, ok := u.User.Password(); ok {
		return address{}, errors.New("address: holds a password, which belongs into token (or password)")
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return address{}, errors.New("address: must be that of the repository alone, without a query and a fragment")
	}
	a.host = strings.ToLower(u.Hostname())
	a.site = url.URL{Scheme: u.Scheme, Host: u.Host}
	if !a.http {
		// Neither the user nor the port of SSH are those of the API.
		a.site = url.URL{Scheme: "https", Host: bracketed(u.Hostname())}
	}
	if name, ok := otherNames[a.host]; ok {
		a.host, a.site = name, url.URL{Scheme: "https", Host: name}
	}
	a.path = segments(u.EscapedPath())
	if !isHost(a.host) || len(a.path) == 0 || !wholesome(a.path) {
		return address{}, form
	}
	return a, nil
}

// isHost tells what can be the host of another URL: in one for SSH, more passes.
func isHost(host string) bool {
	if strings.Contains(host, ":") {
		ip, err := netip.ParseAddr(host)
		return err == nil && ip.Zone() == ""
	}
	return host != "" && !strings.ContainsFunc(host, func(r rune) bool {
		return r < utf8.RuneSelf && !named(string(r))
	})
}

// expand makes ssh://git@host/owner/repo of Git's short git@host:owner/repo.
func expand(s string) string {
	if strings.Contains(s, "://") {
		return s
	}
	host, rest, ok := strings.Cut(s, ":")
	if !ok || !strings.Contains(host, "@") || strings.Contains(host, "/") {
		return s
	}
	return "ssh://" + host + "/" + strings.TrimPrefix(rest, "/")
}

// bracketed is a host as it stands in a URL.
func bracketed(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

// segments splits a path, and drops what is not of the repository's name.
func segments(escaped string) []string {
	escaped = strings.TrimSuffix(strings.Trim(escaped, "/"), ".git")
	if escaped == "" {
		return nil
	}
	all := strings.Split(escaped, "/")
	for i, segment := range all {
		plain, err := url.PathUnescape(segment)
		if err != nil {
			return nil
		}
		all[i] = plain
	}
	return all
}

// wholesome tells that no segment would be another in the path of an API call.
func wholesome(segments []string) bool {
	for _, s := range segments {
		if strings.Trim(s, ".") == "" || strings.ContainsAny(s, "/\\\x00\r\n") || s != strings.TrimSpace(s) {
			return false
		}
	}
	return true
}

// named tells what can be the name of an owner or of a repository on hosts that
// allow no other characters.
func named(names ...string) bool {
	other := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.", r)
	}
	for _, name := range names {
		if strings.ContainsFunc(name, other) {
			return false
		}
	}
	return true
}

// escape is segments as a path.
func escape(segments []string) string {
	escaped := make([]string, len(segments))
	for i, s := range segments {
		escaped[i] = url.PathEscape(s)
	}
	return strings.Join(escaped, "/")
}

// web is the repository's address for a browser, without anything secret.
func (a *address) web(path ...string) string {
	return a.site.String() + "/" + escape(path)
}

// port is that of the site, where it is not its scheme's own.
func (a *address) port() string {
	_, port, err := net.SplitHostPort(a.site.Host)
	if err != nil || (a.site.Scheme == "https" && port == "443") || (a.site.Scheme == "http" && port == "80") {
		return ""
	}
	return port
}
