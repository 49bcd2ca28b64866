package source_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fluxnotify/otelcol-flux/internal/source"
	"github.com/fluxnotify/otelcol-flux/internal/source/kubernetes"
	"github.com/fluxnotify/otelcol-flux/test/kubernetes/cluster"
)

// patience is longer than a fault lasts before there is an Event.
const patience = 7 * time.Second

// eventsAbout are the Events about an object, the oldest first.
func eventsAbout(t *testing.T, c *cluster.Cluster, namespace, name string) []corev1.Event {
	t.Helper()
	list, err := clientOf(t, c.Admin()).CoreV1().Events(namespace).List(t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.name=" + name})
	require.NoError(t, err)
	slices.SortFunc(list.Items, func(a, b corev1.Event) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
	return list.Items
}

// lines are what a person sees of Events.
func lines(events []corev1.Event) []string {
	var lines []string
	for i := range events {
		e := &events[i]
		lines = append(lines, e.Type+" "+e.Reason+" "+e.InvolvedObject.Kind+"/"+e.InvolvedObject.Name+": "+e.Message)
	}
	return lines
}

// A fault is reported once on its object, and so is its end.
func TestEvents(t *testing.T) {
	t.Parallel()
	c := cluster.Shared(t)
	ns := c.Namespace(t)
	faulty := provider("bad", "channel: faulty, secretRef: {name: missing}")
	lost := alertOf("lost", "nothing", "kind: Kustomization, name: '*'")
	bad := c.Apply(t, ns, faulty+provider("good", "")+lost)[0]
	r := start(t, c, c.Admin(), kubernetes.Options{Namespaces: []string{ns}, Events: true})
	warnings := []string{
		"Warning ValidationFailed Provider/bad: spec.channel: is faulty",
		"Warning ValidationFailed Provider/bad: spec.secretRef: the Secret " + ns + "/missing does not exist",
	}
	about := func(name string) func() []string {
		return func() []string { return lines(eventsAbout(t, c, ns, name)) }
	}
	eventually := func(want []string, name string) {
		t.Helper()
		if !assert.Eventually(t, func() bool { return len(about(name)()) >= len(want) }, timeout, tick) {
			t.Log(about(name)())
		}
		assert.ElementsMatch(t, want, about(name)())
	}
	eventually(warnings, "bad")
	eventually([]string{"Warning ValidationFailed Alert/lost: spec.providerRef: does not exist"}, "lost")
	e := eventsAbout(t, c, ns, "bad")[0]
	assert.Equal(t, bad.GetUID(), e.InvolvedObject.UID)
	assert.Equal(t, bad.GetAPIVersion(), e.InvolvedObject.APIVersion)
	assert.Equal(t, "fluxnotify", e.Source.Component)
	assert.EqualValues(t, 1, e.Count)
	assert.NotEmpty(t, e.FirstTimestamp)

	// Other changes, and a restart, repeat nothing.
	c.Apply(t, ns, provider("bad", "channel: faulty, address: 'http://other', secretRef: {name: missing}"))
	r.target(t, ns+"/bad", "is changed", func(o *source.Target) bool { return o.Config.Address != "" })
	r.stop(t)
	r = start(t, c, c.Admin(), kubernetes.Options{Namespaces: []string{ns}, Events: true})
	r.target(t, ns+"/bad", "is there", func(*source.Target) bool { return true })
	time.Sleep(patience)
	eventually(warnings, "bad")

	// Half mended, mended, and broken again.
	c.Apply(t, ns, provider("bad", "secretRef: {name: missing}"))
	r.target(t, ns+"/bad", "has one fault", func(o *source.Target) bool { return len(o.Faults) == 1 })
	c.Apply(t, ns, secret("missing", "one"))
	r.target(t, ns+"/bad", "is ready", func(o *source.Target) bool { return o.Ready })
	eventually(append(warnings, "Normal Initialized Provider/bad: All faults are resolved."), "bad")
	c.Apply(t, ns, faulty)
	r.target(t, ns+"/bad", "is faulty", func(o *source.Target) bool { return !o.Ready })
	time.Sleep(patience)
	eventually(append(warnings, "Normal Initialized Provider/bad: All faults are resolved."), "bad")
	assert.Empty(t, about("good")())
}

// Faults that last a moment get no Event.
func TestShortFaults(t *testing.T) {
	t.Parallel()
	c := cluster.Shared(t)
	ns := c.Namespace(t)
	r := start(t, c, c.Admin(), kubernetes.Options{Namespaces: []string{ns}, Events: true})
	for i := range 10 {
		name := string(rune('a' + i))
		c.Apply(t, ns, provider("bad", "channel: faulty, secretRef: {name: "+name+"}"))
		r.target(t, ns+"/bad", "names "+name, func(o *source.Target) bool { return len(o.Faults) == 2 })
		c.Apply(t, ns, secret(name, "one")+provider("bad", "channel: fine, secretRef: {name: "+name+"}"))
		r.target(t, ns+"/bad", "is ready", func(o *source.Target) bool { return o.Ready })
	}
	time.Sleep(patience)
	assert.Empty(t, eventsAbout(t, c, ns, "bad"))
}

func TestNoEvents(t *testing.T) {
	t.Parallel()
	c := cluster.Shared(t)
	ns := c.Namespace(t)
	c.Apply(t, ns, provider("bad", "channel: faulty")+provider("worse", "channel: faulty"))
	off := start(t, c, c.Admin(), kubernetes.Options{Namespaces: []string{ns}})
	off.until(t, "it is read", func(source.Set) bool { return true })
	// A user that may not write Events.
	c.Apply(t, ns, `
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader}
rules: [{apiGroups: [notification.toolkit.fluxcd.io], resources: [providers, alerts], verbs: [list, watch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: reader}]
`)
	r := start(t, c, c.ServiceAccount(t, ns, "reader"), kubernetes.Options{Namespaces: []string{ns}, Events: true})
	r.until(t, "it is read", func(source.Set) bool { return true })
	warned := func() int {
		return r.logs.FilterMessage("Kubernetes Events cannot be written: allow create and patch of events, or set events to false").Len()
	}
	assert.Eventually(t, func() bool { return warned() == 1 }, timeout, tick)
	time.Sleep(time.Second)
	assert.Equal(t, 1, warned())
	assert.Empty(t, eventsAbout(t, c, ns, "bad"))
}
