package source_test

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/fluxnotify/otelcol-flux/internal/source"
	"github.com/fluxnotify/otelcol-flux/internal/source/kubernetes"
	"github.com/fluxnotify/otelcol-flux/test/kubernetes/cluster"
)

const firstSet = 3 * time.Second

// 200 Providers, 400 Alerts, 1,000 Secrets and 1,000 Kustomizations in 20 namespaces.
func TestScale(t *testing.T) {
	t.Parallel()
	c := cluster.Start(t, cluster.Options{})
	var namespaces []string
	for range 20 {
		namespaces = append(namespaces, c.Namespace(t))
	}
	begun := time.Now()
	fill(t, c, namespaces)
	t.Logf("objects created in %s", time.Since(begun))

	before := heap()
	r := start(t, c, c.Admin(), kubernetes.Options{})
	set, took := r.until(t, "all is read", func(source.Set) bool { return true })
	assert.Less(t, took, firstSet)
	require.Len(t, set.Targets, 200)
	assert.Empty(t, set.Faults)
	for i := range set.Targets {
		assert.True(t, set.Targets[i].Ready)
		assert.Len(t, set.Targets[i].Config.Alerts, 2)
		assert.NotEmpty(t, set.Targets[i].Config.Token)
	}
	_, ok := r.Labels("Kustomization", namespaces[19], "k49")
	assert.True(t, ok)
	t.Logf("first set after %s, %d MiB of heap more", took, (heap()-before)>>20)
	r.stays(t, soon)
	var times effective
	c.Apply(t, namespaces[7], secret("s3", "new"))
	times.add("rotation", r.target(t, namespaces[7]+"/p3", "has the new token", func(o *source.Target) bool { return o.Config.Token == "new" }))
	c.Apply(t, namespaces[8], provider("p3", "secretRef: {name: s42}"))
	times.add("another Secret", r.target(t, namespaces[8]+"/p3", "has the other token", func(o *source.Target) bool { return o.Config.Token == "token-42" }))
	times.check(t, soon)
	r.stop(t)

	// The same with one watch for each Secret, as where only some of them may be read.
	role(t, c, namespaces)
	r = start(t, c, c.ServiceAccount(t, namespaces[0], "limited"), kubernetes.Options{})
	set, took = r.until(t, "all is read", func(source.Set) bool { return true })
	require.Len(t, set.Targets, 200)
	for i := range set.Targets {
		assert.True(t, set.Targets[i].Ready, set.Targets[i].Faults)
	}
	t.Logf("with a watch for each Secret: first set after %s", took)
	assert.Less(t, took, firstSet)
}

// fill creates the objects of the namespaces.
func fill(t *testing.T, c *cluster.Cluster, namespaces []string) {
	t.Helper()
	create := func(namespace, apiVersion, kind string, objects []map[string]any) {
		resource := c.Resource(t, apiVersion, kind, namespace)
		for _, o := range objects {
			o["apiVersion"], o["kind"] = apiVersion, kind
			_, err := resource.Create(context.Background(), &unstructured.Unstructured{Object: o}, metav1.CreateOptions{})
			require.NoError(t, err)
		}
	}
	const flux = "notification.toolkit.fluxcd.io/v1beta3"
	for _, namespace := range namespaces {
		create(namespace, "v1", "Secret", objects(50, func(i int) map[string]any {
			return map[string]any{"metadata": named("s", i), "stringData": map[string]any{"token": fmt.Sprintf("token-%d", i)}}
		}))
		create(namespace, "kustomize.toolkit.fluxcd.io/v1", "Kustomization", objects(50, func(i int) map[string]any {
			metadata := named("k", i)
			metadata["labels"] = map[string]any{"team": "a"}
			return map[string]any{"metadata": metadata, "spec": map[string]any{"interval": "1m", "prune": true, "sourceRef": map[string]any{"kind": "GitRepository", "name": "a"}}}
		}))
		create(namespace, flux, "Provider", objects(10, func(i int) map[string]any {
			return map[string]any{"metadata": named("p", i), "spec": map[string]any{"type": "generic", "address": "http://a", "secretRef": named("s", i)}}
		}))
		create(namespace, flux, "Alert", objects(20, func(i int) map[string]any {
			from := map[string]any{"kind": "Kustomization", "name": "*", "matchLabels": map[string]any{"team": "a"}}
			return map[string]any{"metadata": named("a", i), "spec": map[string]any{"providerRef": named("p", i/2), "eventSources": []any{from}}}
		}))
	}
}

func named(prefix string, i int) map[string]any {
	return map[string]any{"name": fmt.Sprintf("%s%d", prefix, i)}
}

func objects(n int, of func(i int) map[string]any) []map[string]any {
	all := make([]map[string]any, n)
	for i := range all {
		all[i] = of(i)
	}
	return all
}

// role lets a ServiceAccount read ten Secrets of each namespace, and all the rest.
func role(t *testing.T, c *cluster.Cluster, namespaces []string) {
	t.Helper()
	c.Apply(t, namespaces[0], `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: limited}
rules: [{apiGroups: ["notification.toolkit.fluxcd.io", "kustomize.toolkit.fluxcd.io"], resources: ['*'], verbs: [list, watch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: limited}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: limited}
subjects: [{kind: ServiceAccount, name: limited, namespace: `+namespaces[0]+`}]
`)
	for _, namespace := range namespaces {
		c.Apply(t, namespace, `
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: limited}
rules: [{apiGroups: [""], resources: [secrets], resourceNames: [s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s42], verbs: [list, watch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: limited}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: limited}
subjects: [{kind: ServiceAccount, name: limited, namespace: `+namespaces[0]+`}]
`)
	}
	client := clientOf(t, c.ServiceAccount(t, namespaces[0], "limited"))
	require.Eventually(t, func() bool {
		_, err := client.CoreV1().Secrets(namespaces[19]).List(t.Context(), metav1.ListOptions{FieldSelector: "metadata.name=s0"})
		return err == nil
	}, timeout, tick)
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// Shutdown leaves no goroutine, whatever the source is doing. The test is not parallel,
// because it looks at all goroutines.
func TestNoLeak(t *testing.T) {
	c := cluster.Shared(t)
	ns := c.Namespace(t)
	c.Apply(t, ns, secret("s", "one")+provider("a", "secretRef: {name: s}")+provider("b", "channel: faulty, secretRef: {name: missing}")+
		alertOf("x", "a", "kind: Kustomization, name: '*', matchLabels: {team: a}"))
	forbidden := c.ServiceAccount(t, ns, "nobody")
	http.DefaultClient.CloseIdleConnections()
	ignore := goleak.IgnoreCurrent()
	for name, begin := range map[string]func(t *testing.T) *running{
		"read": func(t *testing.T) *running {
			r := start(t, c, c.Admin(), kubernetes.Options{Namespaces: []string{ns}, Events: true, State: &state{}})
			r.until(t, "it is read", func(source.Set) bool { return true })
			return r
		},
		"just started": func(t *testing.T) *running { return start(t, c, c.Admin(), kubernetes.Options{}) },
		"forbidden": func(t *testing.T) *running {
			r := start(t, c, forbidden, kubernetes.Options{})
			require.Eventually(t, func() bool { return len(r.Faults()) > 0 }, timeout, tick)
			return r
		},
		"away": func(t *testing.T) *running {
			away := c.Admin()
			away.Host = "https://127.0.0.1:1"
			r := start(t, c, away, kubernetes.Options{State: &state{data: []byte(`{"version":1,"providers":[],"alerts":[]}`)}})
			r.until(t, "the saved state is used", func(source.Set) bool { return true })
			return r
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := begin(t)
			begun := time.Now()
			var group sync.WaitGroup
			for range 2 {
				group.Go(func() { assert.NoError(t, r.Shutdown(context.Background())) })
			}
			group.Wait()
			assert.Less(t, time.Since(begun), 2*time.Second)
			count := r.count()
			goleak.VerifyNone(t, ignore, goleak.IgnoreTopFunction("testing.(*T).Run"))
			assert.Equal(t, count, r.count())
		})
	}
	for i := range 12 {
		r := start(t, c, c.Admin(), kubernetes.Options{Namespaces: []string{ns}, Events: true})
		time.Sleep(time.Duration(i) * 15 * time.Millisecond)
		r.stop(t)
	}
	goleak.VerifyNone(t, ignore)
	unused, err := kubernetes.New(kubernetes.Options{Logger: zap.NewNop(), Translator: translator{}})
	require.NoError(t, err)
	require.NoError(t, unused.Shutdown(t.Context()))
}
