package source_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap/zapcore"

	"github.com/fluxnotify/otelcol-flux/internal/source"
	"github.com/fluxnotify/otelcol-flux/internal/source/kubernetes"
	"github.com/fluxnotify/otelcol-flux/test/kubernetes/cluster"
)

func tee(core zapcore.Core) func(zapcore.Core) zapcore.Core {
	return func(other zapcore.Core) zapcore.Core { return zapcore.NewTee(core, other) }
}

// Objects are created, changed and deleted, and the set follows.
func TestChanges(t *testing.T) {
	t.Parallel()
	c := cluster.Shared(t)
	ns := c.Namespace(t)
	var times effective
	r := start(t, c, c.Admin(), kubernetes.Options{Namespaces: []string{ns}})
	set, took := r.until(t, "it is read", func(source.Set) bool { return true })
	assert.Empty(t, set)
	times.add("first set", took)

	c.Apply(t, ns, provider("a", "address: 'http://one'"))
	times.add("Provider", r.target(t, ns+"/a", "is there", func(o *source.Target) bool { return o.Ready && o.Config.Address == "http://one" }))
	c.Apply(t, ns, alertOf("x", "a", "kind: Kustomization, name: '*'"))
	times.add("Alert", r.target(t, ns+"/a", "has an Alert", func(o *source.Target) bool { return len(o.Config.Alerts) == 1 }))
	c.Apply(t, ns, provider("a", "address: 'http://two'"))
	times.add("edit", r.target(t, ns+"/a", "is changed", func(o *source.Target) bool { return o.Config.Address == "http://two" }))

	// A Secret that is created later, changed, deleted and created again.
	c.Apply(t, ns, provider("b", "secretRef: {name: later}"))
	times.add("no Secret", r.target(t, ns+"/b", "is not ready", func(o *source.Target) bool { return !o.Ready }))
	set, _ = r.last()
	assert.Equal(t, "Provider "+ns+"/b: spec.secretRef: the Secret "+ns+"/later does not exist", find(set, ns+"/b").Faults[0].String())
	assert.True(t, find(set, ns+"/a").Ready)
	for _, token := range []string{"one", "two"} {
		c.Apply(t, ns, secret("later", token))
		times.add("Secret "+token, r.target(t, ns+"/b", "has "+token, func(o *source.Target) bool { return o.Ready && string(o.Config.Token) == token }))
	}
	c.Delete(t, ns, secret("later", "two"))
	times.add("Secret deleted", r.target(t, ns+"/b", "is not ready", func(o *source.Target) bool { return !o.Ready }))
	c.Apply(t, ns, secret("later", "three"))
	times.add("Secret again", r.target(t, ns+"/b", "is ready", func(o *source.Target) bool { return o.Ready }))
	c.Apply(t, ns, secret("other", "four")+provider("b", "secretRef: {name: other}"))
	times.add("another Secret", r.target(t, ns+"/b", "has four", func(o *source.Target) bool { return string(o.Config.Token) == "four" }))
	set, _ = r.last()
	assert.True(t, find(set, ns+"/b").Ready)

	// Replaced: another uid.
	uid := *find(set, ns+"/a").Config.UID
	c.Delete(t, ns, provider("a", ""))
	c.Apply(t, ns, provider("a", "address: 'http://two'"))
	times.add("replaced", r.target(t, ns+"/a", "has another uid", func(o *source.Target) bool { return *o.Config.UID != uid }))

	c.Delete(t, ns, alertOf("x", "a", ""))
	times.add("Alert deleted", r.target(t, ns+"/a", "has no Alert", func(o *source.Target) bool { return len(o.Config.Alerts) == 0 }))
	c.Delete(t, ns, provider("a", ""))
	_, took = r.until(t, "a is gone", func(set source.Set) bool { return find(set, ns+"/a") == nil })
	times.add("Provider deleted", took)
	times.check(t, soon)

	// These are no changes.
	c.Apply(t, ns, strings.Replace(provider("b", "secretRef: {name: other}"), "{name: b}", "{name: b, labels: {a: b}, annotations: {example.com/a: b}}", 1))
	c.Apply(t, ns, "{apiVersion: v1, kind: Secret, metadata: {name: other, labels: {a: b}}, stringData: {token: four}}")
	c.Apply(t, ns, secret("later", "five")+secret("stranger", "six"))
	r.stays(t, soon)
	c.Apply(t, ns, strings.Replace(provider("b", "secretRef: {name: other}"), "{name: b}", "{name: b, annotations: {notify.fluxnotify.io/message: hello}}", 1))
	r.target(t, ns+"/b", "has an annotation", func(o *source.Target) bool { return o.Config.Username == "hello" })
}

// A change takes effect within two seconds also while others change all the time.
func TestContinuousChange(t *testing.T) {
	t.Parallel()
	c := cluster.Shared(t)
	ns := c.Namespace(t)
	r := start(t, c, c.Admin(), kubernetes.Options{Namespaces: []string{ns}})
	c.Apply(t, ns, provider("still", "address: 'http://still'"))
	r.target(t, ns+"/still", "is there", func(*source.Target) bool { return true })
	before := r.count()
	begun := time.Now()
	for i := 0; time.Since(begun) < 3*time.Second; i++ {
		c.Apply(t, ns, provider("busy", fmt.Sprintf("address: 'http://%d'", i)))
	}
	sets := r.count() - before
	t.Logf("%d sets in %s", sets, time.Since(begun))
	assert.GreaterOrEqual(t, sets, 3)
	assert.LessOrEqual(t, sets, 31)
}

// Many Secrets of a namespace are read with one watch. It makes no difference.
func TestManySecrets(t *testing.T) {
	t.Parallel()
	c := cluster.Shared(t)
	ns := c.Namespace(t)
	var text strings.Builder
	for i := range 12 {
		text.WriteString(secret(fmt.Sprintf("s%d", i), fmt.Sprintf("t%d", i)))
	}
	for i := range 8 {
		text.WriteString(provider(fmt.Sprintf("p%d", i), fmt.Sprintf("secretRef: {name: s%d}", i)))
	}
	c.Apply(t, ns, text.String())
	r := start(t, c, c.Admin(), kubernetes.Options{Namespaces: []string{ns}})
	set, _ := r.until(t, "it is read", func(source.Set) bool { return true })
	require.Len(t, set.Targets, 8)
	for i := range set.Targets {
		assert.Equal(t, fmt.Sprintf("t%d", i), string(set.Targets[i].Config.Token))
	}
	var times effective
	// One that was not named when the Secrets were listed, and one that does not exist.
	c.Apply(t, ns, provider("p8", "secretRef: {name: s8}")+provider("p9", "secretRef: {name: missing}"))
	times.add("named later", r.target(t, ns+"/p8", "is ready", func(o *source.Target) bool { return string(o.Config.Token) == "t8" }))
	times.add("missing", r.target(t, ns+"/p9", "is not ready", func(o *source.Target) bool { return !o.Ready }))
	for _, name := range []string{"s0", "s8", "missing"} {
		c.Apply(t, ns, secret(name, "new"))
		id := map[string]string{"s0": "/p0", "s8": "/p8", "missing": "/p9"}[name]
		times.add("rotated "+name, r.target(t, ns+id, "has the new token", func(o *source.Target) bool { return o.Config.Token == "new" }))
	}
	c.Delete(t, ns, secret("s0", ""))
	times.add("deleted", r.target(t, ns+"/p0", "is not ready", func(o *source.Target) bool { return !o.Ready }))
	times.check(t, soon)

	c.Apply(t, ns, "{apiVersion: v1, kind: Secret, metadata: {name: s1}, stringData: {token: "+strings.Repeat("x", 600<<10)+"}}")
	r.target(t, ns+"/p1", "is not ready", func(o *source.Target) bool {
		return len(o.Faults) == 1 && strings.HasSuffix(o.Faults[0].Text, "s1 has 600 KiB of data, and at most 512 KiB are accepted")
	})
	c.Apply(t, ns, secret("s9", "changed")+secret("s10", "changed"))
	r.stays(t, time.Second)
}

// The labels of involved objects are known without a request.
func TestLabels(t *testing.T) {
	t.Parallel()
	c := cluster.Shared(t)
	ns := c.Namespace(t)
	kustomization := func(name, labels string) string {
		return "---\n{apiVersion: kustomize.toolkit.fluxcd.io/v1, kind: Kustomization, metadata: {name: " + name + ", labels: {" + labels + "}}, spec: {interval: 1m, prune: true, sourceRef: {kind: GitRepository, name: apps}}}\n"
	}
	const bucket = "---\n{apiVersion: source.toolkit.fluxcd.io/v1, kind: Bucket, metadata: {name: a, labels: {team: b}}, spec: {interval: 1m, bucketName: a, endpoint: example.com}}\n"
	c.Apply(t, ns, provider("a", "")+kustomization("one", "team: a")+kustomization("two", "")+bucket+
		alertOf("x", "a", "kind: Kustomization, name: '*', matchLabels: {team: a}"))
	r := start(t, c, c.Admin(), kubernetes.Options{Namespaces: []string{ns}})
	r.until(t, "it is read", func(source.Set) bool { return true })
	labels, ok := r.Labels("Kustomization", ns, "one")
	assert.True(t, ok)
	assert.Equal(t, map[string]string{"team": "a"}, labels)
	labels, ok = r.Labels("Kustomization", ns, "two")
	assert.True(t, ok)
	assert.Empty(t, labels)
	for _, other := range [][3]string{{"Kustomization", ns, "three"}, {"Kustomization", "default", "one"}, {"Bucket", ns, "a"}} {
		_, ok = r.Labels(other[0], other[1], other[2])
		assert.False(t, ok, other)
	}
	before := r.count()

	known := func(kind, name, team string) func() bool {
		return func() bool { labels, ok := r.Labels(kind, ns, name); return ok && labels["team"] == team }
	}
	c.Apply(t, ns, kustomization("one", "team: b")+kustomization("three", "team: c"))
	assert.Eventually(t, known("Kustomization", "one", "b"), timeout, tick)
	assert.Eventually(t, known("Kustomization", "three", "c"), timeout, tick)
	// Labels outlive their object for a while.
	c.Delete(t, ns, kustomization("one", ""))
	time.Sleep(300 * time.Millisecond)
	assert.True(t, known("Kustomization", "one", "b")())
	assert.Equal(t, before, r.count(), "labels are no part of a set")

	// Another kind, then one whose controller is not installed, then none.
	c.Apply(t, ns, alertOf("x", "a", "kind: Bucket, name: '*', matchLabels: {team: a}"))
	assert.Eventually(t, known("Bucket", "a", "b"), timeout, tick)
	c.Apply(t, ns, alertOf("x", "a", "kind: ImagePolicy, name: '*', matchLabels: {team: a}"))
	set, _ := r.until(t, "there is a fault", func(set source.Set) bool { return len(set.Faults) > 0 })
	assert.Equal(t, "the labels of the kind ImagePolicy of namespace "+ns+" cannot be read, so matchLabels may not match: the kind ImagePolicy of Flux: the API server does not serve it", set.Faults[0].String())
	assert.False(t, known("Bucket", "a", "b")())
	c.Apply(t, ns, alertOf("x", "a", "kind: Bucket, name: '*'"))
	r.until(t, "there is no fault", func(set source.Set) bool { return len(set.Faults) == 0 })
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for want, options := range map[string]kubernetes.Options{
		`auth_type: "tls" is not one of serviceAccount, kubeConfig, none`: {AuthType: "tls"},
		"context: is used with auth_type kubeConfig only":                 {Context: "a"},
		`namespaces::1: "a.b" is not the name of a namespace`:             {Namespaces: []string{"a", "a.b"}},
		"a logger and a translator are required":                          {},
	} {
		_, err := kubernetes.New(options)
		assert.ErrorContains(t, err, want)
	}
}
