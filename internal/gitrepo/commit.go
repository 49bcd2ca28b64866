package gitrepo

import (
	"slices"
	"strings"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
)

// revisionKeys are the metadata that can name a commit, the first that is there
// counting: what was asked for, where an artifact was built from, and what was
// applied.
var revisionKeys = []string{"commit", "originRevision", "revision"}

// Hashes are those by which a host's repositories can know their commits.
type Hashes int

const (
	// SHA1 is that of every host.
	SHA1 Hashes = iota
	// SHA256 is that of hosts which can have repositories of it besides: GitLab
	// (https://gitlab.com/groups/gitlab-org/-/epics/794) and Gitea
	// (https://github.com/go-gitea/gitea/issues/13794).
	SHA256
)

// artifacts are kinds whose revision is the digest of something that is not in
// Git, though it looks like a commit of a repository that uses SHA-256.
var artifacts = []string{"OCIRepository", "Bucket", "HelmRepository", "HelmChart"}

// Commit is the commit of which an event tells, by its own metadata: an alert
// must not decide on which commit something is written.
func Commit(metadata map[string]string, object *fluxevent.Object, hashes Hashes) (hash string, found bool) {
	for _, key := range revisionKeys {
		value, ok := own(metadata, object.Group(), key)
		if !ok {
			continue
		}
		hash, found = Hash(value)
		if found && key == "revision" && len(hash) == sha256Digits && digest(object, hashes) {
			return "", false
		}
		return hash, found
	}
	return "", false
}

// digest tells that a revision of SHA-256 is that of no commit. Who applies what
// a source has, such as a Kustomization, reports its revision, but not what kind
// of source it is: there the host has to know such commits.
func digest(object *fluxevent.Object, hashes Hashes) bool {
	return slices.Contains(artifacts, object.Kind) || (hashes != SHA256 && object.Kind != "GitRepository")
}

// own is the event's value of a key: that of the object's group before that of
// the events' group. What was forwarded has lost its prefixes.
func own(metadata map[string]string, group, key string) (string, bool) {
	if group != "" {
		if value, ok := metadata[group+"/"+key]; ok {
			return value, true
		}
	}
	if value, ok := metadata[fluxevent.Group+"/"+key]; ok {
		return value, true
	}
	value, ok := metadata[key]
	return value, ok && !prefixed(metadata)
}

func prefixed(metadata map[string]string) bool {
	for key := range metadata {
		if strings.Contains(key, "/") {
			return true
		}
	}
	return false
}

// Lengths of a hash in hexadecimal digits.
const (
	sha1Digits   = 40
	sha256Digits = 64
)

// Hash is the commit's hash at the end of a revision of any of Flux's forms:
// main@sha1:<hash>, main/<hash>, sha1:<hash>, <hash>.
func Hash(revision string) (string, bool) {
	hash := revision[strings.LastIndexAny(revision, "@:/")+1:]
	if len(hash) != sha1Digits && len(hash) != sha256Digits {
		return "", false
	}
	hex := func(r rune) bool {
		return (r >= '0' && r <= '9') || (r >= 'a' && r <= 'f') || (r >= 'A' && r <= 'F')
	}
	return hash, strings.IndexFunc(hash, func(r rune) bool { return !hex(r) }) < 0
}
