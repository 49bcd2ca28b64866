package source_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typed "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/fluxnotify/otelcol-flux/internal/source"
	"github.com/fluxnotify/otelcol-flux/internal/source/kubernetes"
	"github.com/fluxnotify/otelcol-flux/test/kubernetes/cluster"
)

// manifest is a file of deploy/kubernetes, with the namespaces of a test in place of its
// own.
func manifest(t *testing.T, file string, replace ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "deploy", "kubernetes", file))
	require.NoError(t, err)
	return strings.NewReplacer(replace...).Replace(string(text))
}

// namespaceRole gives a ServiceAccount the rights of rbac-namespace.yaml, and returns its
// user.
func namespaceRole(t *testing.T, c *cluster.Cluster, apps, flux string) *rest.Config {
	t.Helper()
	c.Apply(t, apps, manifest(t, "rbac-namespace.yaml", "namespace: apps", "namespace: "+apps, "namespace: flux-system", "namespace: "+flux))
	return c.ServiceAccount(t, flux, "otelcol-flux")
}

func clientOf(t *testing.T, config *rest.Config) *typed.Clientset {
	t.Helper()
	client, err := typed.NewForConfig(config)
	require.NoError(t, err)
	return client
}

// With the Role of one namespace the source does all that it promises, and can read
// nothing else.
func TestNamespaceRole(t *testing.T) {
	t.Parallel()
	c := cluster.Shared(t)
	apps, flux := c.Namespace(t), c.Namespace(t)
	user := namespaceRole(t, c, apps, flux)
	c.Apply(t, apps, secret("slack", "one")+secret("github", "two")+secret("private", "three")+
		provider("a", "secretRef: {name: slack}")+provider("b", "secretRef: {name: github}")+provider("c", "secretRef: {name: private}")+
		// From five Secrets on the source asks whether it may read all.
		provider("d", "secretRef: {name: d}")+provider("e", "secretRef: {name: e}")+
		alertOf("x", "a", "kind: Kustomization, name: '*', matchLabels: {team: a}")+
		"---\n{apiVersion: kustomize.toolkit.fluxcd.io/v1, kind: Kustomization, metadata: {name: k, labels: {team: a}}, spec: {interval: 1m, prune: true, sourceRef: {kind: GitRepository, name: a}}}\n")

	r := start(t, c, user, kubernetes.Options{Namespaces: []string{apps}, Events: true})
	r.until(t, "what is allowed is read", func(set source.Set) bool {
		a, b := find(set, apps+"/a"), find(set, apps+"/b")
		return a != nil && a.Ready && a.Config.Token == "one" && b.Ready && b.Config.Token == "two"
	})
	set, _ := r.last()
	refused := find(set, apps+"/c")
	require.Len(t, refused.Faults, 1)
	assert.False(t, refused.Ready)
	assert.Regexp(t, `^Provider \S+/c: spec.secretRef: the Secret \S+/private cannot be read: secrets "private" is forbidden: `, refused.Faults[0].String())
	labels, ok := r.Labels("Kustomization", apps, "k")
	assert.True(t, ok)
	assert.Equal(t, map[string]string{"team": "a"}, labels)
	assert.Eventually(t, func() bool { return len(eventsAbout(t, c, apps, "c")) == 1 }, timeout, tick)

	var times effective
	c.Apply(t, apps, secret("slack", "new"))
	times.add("rotation", r.target(t, apps+"/a", "has the new token", func(o *source.Target) bool { return o.Config.Token == "new" }))
	times.check(t, soon)

	client := clientOf(t, user)
	ctx := t.Context()
	for name, try := range map[string]func() error{
		"another Secret": func() error {
			_, err := client.CoreV1().Secrets(apps).Get(ctx, "private", metav1.GetOptions{})
			return err
		},
		"all Secrets":             func() error { _, err := client.CoreV1().Secrets(apps).List(ctx, metav1.ListOptions{}); return err },
		"Secrets elsewhere":       func() error { _, err := client.CoreV1().Secrets(flux).List(ctx, metav1.ListOptions{}); return err },
		"a write":                 func() error { return client.CoreV1().Secrets(apps).Delete(ctx, "slack", metav1.DeleteOptions{}) },
		"ConfigMaps":              func() error { _, err := client.CoreV1().ConfigMaps(apps).List(ctx, metav1.ListOptions{}); return err },
		"the Events":              func() error { _, err := client.CoreV1().Events(apps).List(ctx, metav1.ListOptions{}); return err },
		"namespaces of a cluster": func() error { _, err := client.CoreV1().Namespaces().List(ctx, metav1.ListOptions{}); return err },
	} {
		assert.True(t, apierrors.IsForbidden(try()), name)
	}

	// A Secret that is allowed later.
	c.Apply(t, apps, `
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: more}
rules: [{apiGroups: [""], resources: [secrets], resourceNames: [private], verbs: [list, watch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: more}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: more}
subjects: [{kind: ServiceAccount, name: otelcol-flux, namespace: `+flux+`}]
`)
	t.Log(r.target(t, apps+"/c", "is ready", func(o *source.Target) bool { return o.Ready }))
}

// With the ClusterRole the source reads all namespaces.
func TestClusterRole(t *testing.T) {
	t.Parallel()
	c := cluster.Shared(t)
	apps, flux := c.Namespace(t), c.Namespace(t)
	text := manifest(t, "rbac-cluster.yaml", "namespace: flux-system", "namespace: "+flux)
	c.Apply(t, "", text)
	t.Cleanup(func() {
		for _, kind := range []string{"ClusterRoleBinding", "ClusterRole"} {
			resource := c.Resource(t, "rbac.authorization.k8s.io/v1", kind, "")
			assert.NoError(t, resource.Delete(context.Background(), "otelcol-flux", metav1.DeleteOptions{}))
		}
	})
	user := c.ServiceAccount(t, flux, "otelcol-flux")
	c.Apply(t, apps, secret("s", "one")+provider("a", "secretRef: {name: s}")+provider("bad", "channel: faulty")+
		alertOf("x", "a", "kind: Kustomization, name: '*', matchLabels: {team: a}"))
	r := start(t, c, user, kubernetes.Options{Events: true})
	r.target(t, apps+"/a", "is ready", func(o *source.Target) bool { return o.Ready && len(o.Config.Alerts) == 1 })
	assert.Empty(t, r.Faults())
	assert.Eventually(t, func() bool { return len(eventsAbout(t, c, apps, "bad")) == 1 }, timeout, tick)
	client := clientOf(t, user)
	assert.True(t, apierrors.IsForbidden(client.CoreV1().Secrets(apps).Delete(t.Context(), "s", metav1.DeleteOptions{})))
	_, err := client.CoreV1().ConfigMaps(apps).List(t.Context(), metav1.ListOptions{})
	assert.True(t, apierrors.IsForbidden(err))
}

// Without any right nothing is given, and the log says why.
func TestForbidden(t *testing.T) {
	t.Parallel()
	c := cluster.Shared(t)
	ns := c.Namespace(t)
	user := c.ServiceAccount(t, ns, "nobody")
	r := start(t, c, user, kubernetes.Options{Namespaces: []string{ns}})
	require.Eventually(t, func() bool { return len(r.Faults()) == 2 }, timeout, tick)
	assert.Regexp(t, "^Alerts of namespace \\S+ cannot be read: alerts.notification.toolkit.fluxcd.io is forbidden: ", r.Faults()[0].String())
	time.Sleep(3 * time.Second)
	assert.Zero(t, r.count())
	assert.Len(t, r.logs.FilterMessage("waiting for the Providers and Alerts of the cluster").All(), 2)
}
