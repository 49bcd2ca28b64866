package gitrepo_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/gitrepo"
)

const (
	one    = "5394cb7f48332b2de7c17dd8b8384bbc84b7e738"
	two    = "69b59063470310ebbd88a9156325322a124e55a3"
	digest = "3b6cdcc7adcc9a84d3214ee1c029543789d90b5ae69debe9efa3f66e982875de"
)

func TestHash(t *testing.T) {
	t.Parallel()
	for revision, want := range map[string]string{
		"main@sha1:" + one: one, "refs/heads/feature/x@sha1:" + one: one, "refs/pull/1/head@sha1:" + one: one, "v1.2.3@sha1:" + one: one,
		"main/" + one: one, "feature/x/" + one: one, "HEAD/" + one: one, "sha1:" + one: one, one: one, strings.ToUpper(one): strings.ToUpper(one),
		"main@sha256:" + digest: digest, "sha256:" + digest: digest, digest: digest, "main@" + one: one,

		"": "", "6.5.0": "", "6.5.0+5394cb7f4833": "", one[:7]: "", one[:39]: "", one + "0": "", digest[:63]: "", digest + "0": "",
		strings.Repeat("z", 40): "", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaa?x=y&z=1#ab": "", one + "/": "", one + "@": "", one + "\n": "",
		"main@sha1:" + one[:39] + "٣": "", strings.Repeat("é", 20): "", "overridden-by-object-group": "",
	} {
		got, found := gitrepo.Hash(revision)
		assert.Equal(t, want != "", found, revision)
		if found {
			assert.Equal(t, want, got, revision)
		}
	}
}

func TestCommit(t *testing.T) {
	t.Parallel()
	const own, events = "kustomize.toolkit.fluxcd.io/", fluxevent.Group + "/"
	for name, c := range map[string]struct {
		metadata map[string]string
		kind     string
		want     string // after a ! on hosts of SHA-256 alone, on others nothing
	}{
		"revision":                     {map[string]string{own + "revision": "main@sha1:" + one}, "", one},
		"the origin before what is":    {map[string]string{own + "revision": "latest@sha256:" + digest, own + "originRevision": "main@sha1:" + one}, "", one},
		"the commit before all":        {map[string]string{events + "commit": two, own + "originRevision": "main@sha1:" + one}, "", two},
		"a commit in a revision":       {map[string]string{events + "commit": "main@sha1:" + two, own + "revision": "main@sha1:" + one}, "", two},
		"the object's group":           {map[string]string{events + "revision": "main@sha1:" + two, own + "revision": "main@sha1:" + one}, "", one},
		"a commit of the object":       {map[string]string{own + "commit": two, own + "revision": "main@sha1:" + one}, "", two},
		"an empty commit is one":       {map[string]string{events + "commit": "", own + "revision": "main@sha1:" + one}, "", ""},
		"a short commit":               {map[string]string{events + "commit": one[:7], own + "revision": "main@sha1:" + one}, "", ""},
		"another group":                {map[string]string{"helm.toolkit.fluxcd.io/revision": "main@sha1:" + one}, "", ""},
		"a bare key beside others":     {map[string]string{"revision": "main@sha1:" + one, events + "env": "x"}, "", ""},
		"forwarded":                    {map[string]string{"revision": "main@sha1:" + one, "env": "x"}, "", one},
		"an applied digest":            {map[string]string{own + "revision": "latest@sha256:" + digest}, "", "! " + digest},
		"an applied bucket":            {map[string]string{own + "revision": "sha256:" + digest}, "HelmRelease", "! " + digest},
		"a commit of SHA-256":          {map[string]string{events + "commit": digest, own + "revision": "main@sha1:" + one}, "", digest},
		"an applied SHA-256 origin":    {map[string]string{own + "revision": "latest@sha256:" + two, own + "originRevision": "main@sha256:" + digest}, "", digest},
		"a repository with SHA-256":    {map[string]string{own + "revision": "main@sha256:" + digest}, "GitRepository", digest},
		"the digest of an OCI image":   {map[string]string{own + "revision": "latest@sha256:" + digest}, "OCIRepository", ""},
		"an OCI image built from Git":  {map[string]string{own + "revision": "latest@sha256:" + digest, own + "originRevision": "main@sha1:" + one}, "OCIRepository", one},
		"an image of a SHA-256 origin": {map[string]string{own + "originRevision": "main@sha256:" + digest}, "OCIRepository", digest},
		"the digest of a bucket":       {map[string]string{own + "revision": "sha256:" + digest}, "Bucket", ""},
		"nothing":                      {nil, "", ""},
	} {
		object := &fluxevent.Object{Kind: "Kustomization", APIVersion: "kustomize.toolkit.fluxcd.io/v1"}
		if c.kind != "" {
			object.Kind = c.kind
		}
		got, _ := gitrepo.Commit(c.metadata, object, gitrepo.SHA256)
		want, ambiguous := strings.CutPrefix(c.want, "! ")
		assert.Equal(t, want, got, name)
		if ambiguous {
			want = "" // no host without such repositories can mean it
		}
		got, found := gitrepo.Commit(c.metadata, object, gitrepo.SHA1)
		assert.Equal(t, want, got, name)
		assert.Equal(t, want != "", found, name)
	}
	got, found := gitrepo.Commit(map[string]string{events + "revision": one}, &fluxevent.Object{APIVersion: "v1"}, gitrepo.SHA1)
	assert.True(t, found)
	assert.Equal(t, one, got, "an object of no group")
}
