package collector_test

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/test/kubernetes/cluster"
)

// A collector that serves 200 Providers with 400 Alerts, among 1,000 Secrets and 1,000
// Kustomizations, is ready soon, and small.
func TestManyObjects(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it creates 2,600 objects")
	}
	k := cluster.Start(t, cluster.Options{})
	namespace := k.Namespace(t)
	wanted, other := newSink(t), newSink(t)
	apply := func(n int, object func(i int) string) {
		var text strings.Builder
		for i := range n {
			text.WriteString("---\n" + object(i))
		}
		k.Apply(t, namespace, text.String())
	}
	apply(1000, func(i int) string {
		return fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: s%04d}\nstringData: {token: t0ken}\n", i)
	})
	apply(1000, func(i int) string {
		return fmt.Sprintf("apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: k%04d, labels: {team: a}}\n"+
			"spec: {interval: 1h, prune: true, suspend: true, sourceRef: {kind: GitRepository, name: fleet}}\n", i)
	})
	apply(200, func(i int) string {
		name, sink := fmt.Sprintf("p%03d", i), other
		if i == 0 {
			sink = wanted
		}
		objects := provider(name, fmt.Sprintf("type: generic-hmac, address: %s, secretRef: {name: s%04d}", sink.URL, i))
		if i > 0 {
			objects = strings.Replace(objects, `name: "*"`, fmt.Sprintf(`name: "k%04d", matchLabels: {team: a}`, i), 1)
		}
		second := strings.SplitAfter(provider(name, ""), "---\n")[1]
		return objects + "---\n" + strings.NewReplacer("metadata: {name: "+name, "metadata: {name: helm-"+name, "kind: Kustomization", "kind: HelmRelease").Replace(second)
	})
	c := start(t, k)
	c.process.Stop(10 * time.Second)
	begun := time.Now()
	c.run()
	t.Logf("ready %v after the start of the process", time.Since(begun).Round(10*time.Millisecond))
	require.Equal(t, http.StatusAccepted, c.post(namespace, "k0000", "one"))
	require.Eventually(t, func() bool { return wanted.has("one") }, timeout, tick)
	assert.False(t, other.has("one"))
	rss := c.rss()
	t.Logf("RSS %d MiB", rss)
	assert.Less(t, rss, 150)
}

// rss is the memory of the collector, in MiB; 0 where the system does not say.
func (c *collector) rss() int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.process.PID()))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(line, "VmRSS:"); found {
			kib, err := strconv.Atoi(strings.Fields(value)[0])
			require.NoError(c.t, err)
			return kib / 1024
		}
	}
	return 0
}
