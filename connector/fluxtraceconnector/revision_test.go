package fluxtraceconnector

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/fluxnotify/otelcol-flux/internal/alert"
	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
)

const (
	hash64 = "3b6cdcc7adcc9a84d3214ee1c029543789d90b5ae69debe9efa3f66e982875de"
	digest = "sha256:" + hash64
)

func TestRevision(t *testing.T) {
	t.Parallel()
	chart := func(revision, appVersion string) fluxevent.Event {
		return with(with(happens(0, "HelmRelease", "podinfo", revision), "oci-digest", digest), "app-version", appVersion)
	}
	fed := with(happens(0, "Kustomization", "apps", "v1.2.3@"+digest), "originRevision", revision)
	for name, c := range map[string]struct {
		event fluxevent.Event
		want  string
	}{
		"git":                            {happens(0, "GitRepository", "flux-system", revision), revision},
		"git, applied":                   {happens(0, "Kustomization", "apps", revision), revision},
		"OCI":                            {with(happens(0, "OCIRepository", "apps", "v1.2.3@"+digest), "originRevision", revision), "v1.2.3@" + digest},
		"OCI, applied":                   {fed, "v1.2.3@" + digest},
		"bucket":                         {happens(0, "Bucket", "apps", digest), digest},
		"none":                           {happens(0, "Kustomization", "apps", ""), ""},
		"chart":                          {happens(0, "HelmChart", "apps-podinfo", "6.5.0"), "6.5.0 apps-podinfo"},
		"chart, released":                {happens(0, "HelmRelease", "podinfo", "6.5.0"), "6.5.0 apps-podinfo"},
		"chart from git":                 {happens(0, "HelmChart", "apps-podinfo", "6.5.0+5394cb7f4833"), "6.5.0+5394cb7f4833 apps-podinfo"},
		"chart from git, released":       {happens(0, "HelmRelease", "podinfo", "6.5.0+5394cb7f4833"), "6.5.0+5394cb7f4833 apps-podinfo"},
		"OCI chart":                      {happens(0, "OCIRepository", "podinfo", "6.5.0@"+digest), "6.5.0@" + digest},
		"OCI chart, released":            {chart("6.5.0+"+hash64[:12], "6.5.0"), "6.5.0@" + digest},
		"OCI chart of another app":       {chart("1.4.2+"+hash64[:12], "v9"), "1.4.2@" + digest},
		"OCI chart with build metadata":  {chart("1.4.2+build.7", "v9"), "1.4.2_build.7@" + digest},
		"OCI chart, both":                {chart("1.4.2+build.7+"+hash64[:12], "v9"), "1.4.2_build.7@" + digest},
		"OCI chart that ends in a plus":  {chart("1.4.2+", "v9"), "1.4.2_@" + digest},
		"OCI chart without its version":  {chart("", "6.5.0"), "6.5.0@" + digest},
		"something else with a version":  {happens(0, "Terraform", "vpc", "6.5.0"), "6.5.0"},
		"forwarded without its prefixes": {fluxevent.Event{InvolvedObject: fed.InvolvedObject, Metadata: map[string]string{"revision": revision}}, revision},
	} {
		assert.Equal(t, c.want, revisionOf(alert.Everything(&c.event)), name)
	}
}

func TestHead(t *testing.T) {
	t.Parallel()
	type head struct{ name, revision string }
	event := func(kind string, metadata ...string) fluxevent.Event {
		e := happens(0, kind, "apps", "")
		for i := 0; i < len(metadata); i += 2 {
			e = with(e, metadata[i], metadata[i+1])
		}
		return e
	}
	for name, c := range map[string]struct {
		event fluxevent.Event
		want  head
	}{
		"a branch":              {event("Kustomization", "revision", revision), head{"main", commit}},
		"the old form":          {event("Kustomization", "revision", "main/"+commit), head{"", commit}},
		"a pull request":        {event("GitRepository", "revision", "refs/pull/1/head@sha1:"+commit), head{"refs/pull/1/head", commit}},
		"a commit":              {event("GitRepository", "revision", "sha1:"+commit), head{"", commit}},
		"a SHA-256 repository":  {event("GitRepository", "revision", "main@"+digest), head{"main", hash64}},
		"an artifact":           {event("OCIRepository", "revision", "v1@"+digest), head{}},
		"an artifact, applied":  {event("Kustomization", "revision", "v1@"+digest), head{}},
		"where it came from":    {event("Kustomization", "revision", "v1@"+digest, "originRevision", revision), head{"main", commit}},
		"as the event says":     {event("Kustomization", "revision", "v1@"+digest, "originRevision", "x", "commit", "sha1:"+commit), head{"", commit}},
		"not hexadecimal":       {event("GitRepository", "revision", "main@sha1:z394cb7f48332b2de7c17dd8b8384bbc84b7e738"), head{}},
		"a short one":           {event("GitRepository", "revision", "main@sha1:5394cb7"), head{}},
		"a chart":               {event("HelmRelease", "revision", "6.5.0"), head{}},
		"nothing":               {event("Kustomization"), head{}},
		"an upper-case hash":    {event("GitRepository", "revision", "main@sha1:5394CB7F48332B2DE7C17DD8B8384BBC84B7E738"), head{}},
		"an artifact of a file": {event("Bucket", "revision", digest), head{}},
	} {
		span := made(t, identified(), c.event)[0]
		assert.Equal(t, c.want, head{attribute(span, "vcs.ref.head.name"), attribute(span, "vcs.ref.head.revision")}, name)
	}
}
