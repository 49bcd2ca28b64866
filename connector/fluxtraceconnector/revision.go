package fluxtraceconnector

import (
	"cmp"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	semconv "go.opentelemetry.io/otel/semconv/v1.42.0"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

const (
	kindGitRepository = "GitRepository"
	kindHelmChart     = "HelmChart"
	kindHelmRelease   = "HelmRelease"
)

// isSource tells what brings revisions into the cluster from what applies them.
func isSource(kind string) bool {
	switch kind {
	case kindGitRepository, kindHelmChart, "OCIRepository", "Bucket", "ExternalArtifact":
		return true
	}
	return false
}

// revisionOf names the trace of an event, so that a source and what is applied
// from it are of one mind; empty where the event belongs to no revision.
//
// It is the revision of the artifact, not its originRevision: that is what a
// Kustomization has in common with the OCIRepository that it is fed by. A
// HelmRelease knows the artifact of its chart by version and digest. Where it
// has the version alone, so have many others: it shares that with the HelmChart
// that helm-controller makes for it, <namespace>-<name>.
func revisionOf(n *notify.Notification) string {
	o, metadata := &n.Event.InvolvedObject, n.Event.Metadata
	revision := metadata["revision"]
	if digest := metadata["oci-digest"]; digest != "" {
		return tag(cmp.Or(revision, metadata["app-version"]), digest) + "@" + digest
	}
	if revision == "" || strings.ContainsAny(revision, "@:/") {
		return revision
	}
	switch o.Kind {
	case kindHelmChart:
		return revision + " " + o.Name
	case kindHelmRelease:
		return revision + " " + o.Namespace + "-" + o.Name
	}
	return revision
}

// tag is that of a chart in a registry. helm-controller adds the beginning of
// the digest to the version, and tags have no plus.
func tag(version, digest string) string {
	_, hash, _ := strings.Cut(digest, ":")
	if i := strings.LastIndexByte(version, '+'); i >= 0 && len(version) > i+1 && strings.HasPrefix(hash, version[i+1:]) {
		version = version[:i]
	}
	return strings.ReplaceAll(version, "+", "_")
}

// describe adds what Flux's own spans do not have: the reason, and the commit
// (https://opentelemetry.io/docs/specs/semconv/registry/attributes/vcs/).
func describe(attributes pcommon.Map, n *notify.Notification) {
	if n.Event.Reason != "" {
		attributes.PutStr("k8s.event.reason", strings.ToValidUTF8(n.Event.Reason, "\uFFFD"))
	}
	name, commit := head(n)
	if commit == "" {
		return
	}
	attributes.PutStr(string(semconv.VCSRefHeadRevisionKey), commit)
	if name != "" {
		attributes.PutStr(string(semconv.VCSRefHeadNameKey), strings.ToValidUTF8(name, "\uFFFD"))
	}
}

// head is the commit that an event is about, and the name of the reference that
// led to it. The digest of an artifact is no commit, though it may look like one
// of a SHA-256 repository.
func head(n *notify.Notification) (name, commit string) {
	metadata := n.Event.Metadata
	of := cmp.Or(metadata["commit"], metadata["originRevision"])
	git := of != "" || n.Event.InvolvedObject.Kind == kindGitRepository
	of = cmp.Or(of, metadata["revision"])
	commit = of[strings.LastIndexAny(of, "@:/")+1:]
	if !isHex(commit) || len(commit) != 40 && (len(commit) != 64 || !git) {
		return "", ""
	}
	name, _, found := strings.Cut(of, "@")
	if !found {
		name = ""
	}
	return name, commit
}

func isHex(s string) bool {
	return strings.Trim(s, "0123456789abcdef") == ""
}
