package collector_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/test/kubernetes/cluster"
	"github.com/fluxnotify/otelcol-flux/test/kubernetes/flux"
)

// with is whether a message arrived that contains a text.
func (s *sink) with(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for message := range s.messages {
		if strings.Contains(message, text) {
			return true
		}
	}
	return false
}

// all are the messages, sorted.
func (s *sink) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var messages []string
	for message := range s.messages {
		messages = append(messages, message)
	}
	slices.Sort(messages)
	return messages
}

// With real controllers, a Kustomization succeeds, fails and recovers. The collector is
// restarted while it fails. matchLabels select by the labels of the objects.
func TestRealControllers(t *testing.T) {
	t.Parallel()
	flux.Folder(t)
	k := cluster.Start(t, cluster.Options{})
	namespace := k.Namespace(t)
	everything, labelled := newSink(t), newSink(t)
	repository := flux.NewRepository(t)
	good := "{apiVersion: v1, kind: ConfigMap, metadata: {name: web}, data: {a: b}}\n"
	repository.Commit(t, map[string]string{"apps/web.yaml": good, "other/other.yaml": strings.ReplaceAll(good, "web", "other")})
	k.Apply(t, namespace, provider("everything", "type: generic, address: "+everything.URL))
	k.Apply(t, namespace, strings.Replace(provider("labelled", "type: generic, address: "+labelled.URL),
		`name: "*"`, `name: "*", matchLabels: {team: a}`, 1))
	c := start(t, k)
	flux.Start(t, k, "http://"+c.events+"/")

	kustomization := func(name, labels string) string {
		return fmt.Sprintf(`---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: %[1]s, labels: {%[2]s}}
spec:
  interval: 1m
  retryInterval: 2s
  prune: true
  path: ./%[1]s
  targetNamespace: %[3]s
  sourceRef: {kind: GitRepository, name: fleet}
`, name, labels, namespace)
	}
	k.Apply(t, namespace, fmt.Sprintf(`apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: fleet}
spec: {interval: 1s, url: %s, ref: {branch: main}}
`, repository.URL)+kustomization("apps", "team: a")+kustomization("other", "team: b"))
	wait := func(what string, condition func() bool) {
		t.Helper()
		require.Eventually(t, condition, 2*time.Minute, 50*time.Millisecond, "%s: %v, %v", what, everything.all(), labelled.all())
	}
	wait("applied", func() bool { return everything.with("/web created") && everything.with("/other created") })
	wait("labelled", func() bool { return labelled.with("/web created") })

	repository.Commit(t, map[string]string{"apps/web.yaml": strings.Replace(good, "web", "Not_Valid", 1)})
	wait("failed", func() bool { return labelled.with("Not_Valid") && everything.with("Not_Valid") })
	c.process.Stop(10 * time.Second)
	c.run()
	before := labelled.count()
	repository.Commit(t, map[string]string{"apps/web.yaml": strings.Replace(good, "a: b", "a: c", 1)})
	wait("recovered", func() bool { return labelled.count() > before && labelled.with("/web configured") })

	assert.False(t, labelled.with("/other"), "it has another label")
	assert.Equal(t, http.StatusAccepted, c.post(namespace, "last", "the last event"))
	wait("the last event", func() bool { return everything.has("the last event") })
	assert.False(t, labelled.has("the last event"))
}
