package source_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fluxnotify/otelcol-flux/internal/source"
	"github.com/fluxnotify/otelcol-flux/internal/source/kubernetes"
	"github.com/fluxnotify/otelcol-flux/test/kubernetes/cluster"
)

const away = "the Kubernetes API server is not available: dial 127.0.0.1:"

func hasFault(prefix string) func(source.Set) bool {
	return func(set source.Set) bool {
		for _, fault := range set.Faults {
			if strings.HasPrefix(fault.String(), prefix) {
				return true
			}
		}
		return false
	}
}

func noFaults(set source.Set) bool { return len(set.Faults) == 0 }

// The API server goes away and comes back, the rights are revoked, and the collector is
// restarted in between.
func TestOutage(t *testing.T) {
	t.Parallel()
	c := cluster.Start(t, cluster.Options{})
	apps, flux := c.Namespace(t), c.Namespace(t)
	user := namespaceRole(t, c, apps, flux)
	c.Apply(t, apps, secret("slack", "canary-5ecr3t")+provider("a", "address: 'http://a'")+provider("s", "secretRef: {name: slack}")+alertOf("x", "a", "kind: Kustomization, name: '*', matchLabels: {team: a}"))
	kept := &state{}
	options := kubernetes.Options{Namespaces: []string{apps}, State: kept, Events: true}
	r := start(t, c, user, options)
	good, _ := r.until(t, "all is read", func(set source.Set) bool {
		return len(set.Targets) == 2 && set.Targets[0].Ready && set.Targets[1].Ready && noFaults(set)
	})
	require.Eventually(t, func() bool { return kept.text() != "" }, timeout, tick)
	assert.NotContains(t, kept.text(), "5ecr3t")
	assert.Contains(t, kept.text(), `"version":1`)

	// Away: nothing is lost.
	c.StopAPIServer(t)
	set, took := r.until(t, "the outage is reported", hasFault(away))
	t.Logf("reported after %s", took)
	assert.Equal(t, good.Targets, set.Targets)
	assert.Regexp(t, `^the Kubernetes API server is not available: dial 127.0.0.1:\d+: connect: connection refused; the last Providers and Alerts are used$`, describe(source.Set{Faults: set.Faults}))
	r.stays(t, 3*time.Second)
	assert.Equal(t, set.Faults, r.Faults())

	// Restarted: the saved state is used, without Secrets.
	r.stop(t)
	empty := start(t, c, user, kubernetes.Options{Namespaces: []string{apps}, State: &state{}})
	other := start(t, c, user, kubernetes.Options{Namespaces: []string{flux}, State: &state{data: []byte(kept.text())}})
	broken := start(t, c, user, kubernetes.Options{Namespaces: []string{apps}, State: &state{data: []byte(`{"version":99}`)}})
	r = start(t, c, user, options)
	set, took = r.until(t, "the saved state is used", hasFault(away))
	t.Logf("started from the saved state after %s", took)
	require.Len(t, set.Targets, 2)
	assert.True(t, set.Targets[0].Ready)
	assert.Equal(t, good.Targets[0], set.Targets[0])
	assert.False(t, set.Targets[1].Ready)
	assert.Regexp(t, `/slack cannot be read yet: the Kubernetes API server is not available: dial 127.0.0.1:\d+: connect: connection refused$`, set.Targets[1].Faults[0].Text)
	require.Eventually(t, func() bool { return len(empty.Faults()) == 1 }, timeout, tick)
	time.Sleep(time.Second)
	assert.Zero(t, empty.count(), "nothing was saved")
	assert.Zero(t, broken.count(), "nothing usable was saved")
	assert.Equal(t, 1, broken.logs.FilterMessage("the last Providers and Alerts in the storage cannot be used").Len())
	set, _ = other.until(t, "the saved state is used", func(source.Set) bool { return true })
	assert.Empty(t, set.Targets, "it has no objects of this namespace")
	other.stop(t)

	// Back.
	c.StartAPIServer(t)
	_, took = r.until(t, "all is well", func(set source.Set) bool { return noFaults(set) && set.Targets[1].Ready })
	t.Logf("all is well %s after the API server is ready", took)
	_, took = empty.until(t, "all is read", func(set source.Set) bool { return len(set.Targets) == 2 })
	t.Logf("read %s later", took)
	empty.stop(t)
	broken.stop(t)
	set, _ = r.last()
	assert.Equal(t, good.Targets, set.Targets)
	c.Apply(t, apps, provider("a", "address: 'http://b'"))
	t.Log(r.target(t, apps+"/a", "is changed", func(o *source.Target) bool { return o.Config.Address == "http://b" }))
	require.Eventually(t, func() bool { return strings.Contains(kept.text(), "http://b") }, timeout, tick)
	assert.Empty(t, eventsAbout(t, c, apps, "s"), "an outage is no fault of a Provider")

	// All rights are revoked. Watches end with the API server.
	good, _ = r.last()
	binding := c.Resource(t, "rbac.authorization.k8s.io/v1", "RoleBinding", apps)
	require.NoError(t, binding.Delete(t.Context(), "otelcol-flux", metav1.DeleteOptions{}))
	c.StopAPIServer(t)
	c.StartAPIServer(t)
	for _, what := range []string{
		"Alerts of namespace " + apps + " cannot be read: alerts.notification.toolkit.fluxcd.io is forbidden: ",
		"Providers of namespace " + apps + " cannot be read: providers.notification.toolkit.fluxcd.io is forbidden: ",
		"Secret " + apps + "/slack: cannot be read: secrets \"slack\" is forbidden: ",
		"the labels of the kind Kustomization of namespace " + apps + " cannot be read, so matchLabels may not match: ",
	} {
		set, _ = r.until(t, what, hasFault(what))
		assert.Equal(t, good.Targets, set.Targets)
	}
	_, took = r.until(t, "there are these faults only", func(set source.Set) bool { return len(set.Faults) == 4 })
	set, _ = r.last()
	t.Log(took, describe(set))
	c.Apply(t, apps, provider("a", "address: 'http://c'"))
	r.stays(t, soon)

	// Started without rights: the saved state is used too.
	again := start(t, c, user, options)
	set, _ = again.until(t, "the saved state is used", func(source.Set) bool { return true })
	assert.Len(t, set.Targets, 2)
	assert.Len(t, set.Faults, 2)
	namespaceRole(t, c, apps, flux)
	for _, r := range []*running{r, again} {
		_, took = r.until(t, "all is well", func(set source.Set) bool {
			return noFaults(set) && set.Targets[0].Config.Address == "http://c" && set.Targets[1].Ready
		})
		t.Logf("all is well %s after the rights were given", took)
	}
}

// Without CRDs nothing is given; then they are installed, and later only another version
// is served.
func TestCRDs(t *testing.T) {
	t.Parallel()
	c := cluster.Start(t, cluster.Options{NoCRDs: true})
	ns := c.Namespace(t)
	r := start(t, c, c.Admin(), kubernetes.Options{})
	require.Eventually(t, func() bool { return len(r.Faults()) == 2 }, timeout, tick)
	assert.Equal(t, "Providers cannot be read: Provider of notification.toolkit.fluxcd.io in the versions v1, v1beta3, v1beta2, v1beta1: the API server does not serve it; install the CRDs of Flux's notification-controller", r.Faults()[1].String())
	time.Sleep(time.Second)
	assert.Zero(t, r.count())
	c.InstallCRDs(t)
	set, took := r.until(t, "it is read", func(source.Set) bool { return true })
	t.Logf("read %s after the CRDs were installed", took)
	assert.Empty(t, set)
	c.Apply(t, ns, provider("a", "address: 'http://a'")+alertOf("x", "a", "kind: Kustomization, name: '*'"))
	r.target(t, ns+"/a", "is there", func(o *source.Target) bool { return len(o.Config.Alerts) == 1 })

	// v1 is added, and v1beta3 is not served any more.
	crds := c.Resource(t, "apiextensions.k8s.io/v1", "CustomResourceDefinition", "")
	for _, name := range []string{"providers", "alerts"} {
		crd, err := crds.Get(t.Context(), name+".notification.toolkit.fluxcd.io", metav1.GetOptions{})
		require.NoError(t, err)
		versions := crd.Object["spec"].(map[string]any)["versions"].([]any)
		for _, v := range versions {
			old := v.(map[string]any)
			if old["name"] != "v1beta3" {
				continue
			}
			fresh := crd.DeepCopy().Object["spec"].(map[string]any)["versions"].([]any)[len(versions)-1].(map[string]any)
			fresh["name"], fresh["served"], fresh["storage"], fresh["schema"] = "v1", true, false, old["schema"]
			delete(fresh, "deprecated")
			delete(fresh, "deprecationWarning")
			crd.Object["spec"].(map[string]any)["versions"] = append(versions, fresh)
			old["served"] = false
		}
		_, err = crds.Update(t.Context(), crd, metav1.UpdateOptions{})
		require.NoError(t, err)
	}
	apply := func(address string) {
		require.Eventually(t, func() bool {
			resource := c.Resource(t, "notification.toolkit.fluxcd.io/v1", "Provider", ns)
			_, err := resource.Patch(t.Context(), "a", "application/merge-patch+json", []byte(`{"spec":{"address":"`+address+`"}}`), metav1.PatchOptions{})
			return err == nil
		}, timeout, tick)
	}
	apply("http://b")
	t.Log(r.target(t, ns+"/a", "is changed", func(o *source.Target) bool { return o.Config.Address == "http://b" && len(o.Config.Alerts) == 1 }))
	// Watches of the old version last until the API server ends them.
	c.StopAPIServer(t)
	c.StartAPIServer(t)
	apply("http://c")
	t.Log(r.target(t, ns+"/a", "is changed", func(o *source.Target) bool { return o.Config.Address == "http://c" }))
	r.until(t, "there is no fault", noFaults)
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := false
	for _, set := range r.sets {
		seen = seen || find(set, ns+"/a") != nil
		assert.Equal(t, seen, find(set, ns+"/a") != nil, "the Provider was never gone")
	}
}
