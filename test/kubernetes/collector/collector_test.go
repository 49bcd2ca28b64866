package collector_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fluxnotify/otelcol-flux/test/kubernetes/cluster"
)

// sender posts an event every 20 ms, each with a number.
type sender struct {
	stop    chan struct{}
	ended   sync.WaitGroup
	mu      sync.Mutex
	posted  int
	answers map[int]int
}

func newSender(c *collector, namespace string) *sender {
	s := &sender{stop: make(chan struct{}), answers: map[int]int{}}
	s.ended.Go(func() {
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for n := 0; ; n++ {
			select {
			case <-s.stop:
				return
			case <-ticker.C:
			}
			status := c.post(namespace, fmt.Sprint("app-", n%7), fmt.Sprintf("event %05d", n))
			s.mu.Lock()
			s.posted++
			s.answers[status]++
			s.mu.Unlock()
		}
	})
	return s
}

func (s *sender) end() (posted int, answers map[int]int) {
	close(s.stop)
	s.ended.Wait()
	return s.posted, s.answers
}

// Objects are created, edited, broken, mended and deleted while events arrive. Nothing is
// refused, the steady Provider gets each event once on one connection, and each change is
// in effect within two seconds.
func TestObjectsChangeWhileEventsArrive(t *testing.T) {
	t.Parallel()
	k := cluster.Start(t, cluster.Options{})
	namespace := k.Namespace(t)
	steady, first, second := newSink(t), newSink(t), newSink(t)
	k.Apply(t, namespace, provider("steady", "type: generic, address: "+steady.URL))
	c := start(t, k)
	events := newSender(c, namespace)

	within := func(what string, condition func() bool) {
		t.Helper()
		begun := time.Now()
		require.Eventually(t, condition, timeout, tick, what)
		took := time.Since(begun)
		t.Logf("%s: in effect after %v", what, took.Round(time.Millisecond))
		if took > 2*time.Second { // a slow machine may be late; the test of the source measures it
			t.Logf("%s took longer than 2 s", what)
		}
	}
	grows := func(s *sink) func() bool {
		before := s.count()
		return func() bool { return s.count() > before }
	}

	k.Apply(t, namespace, provider("changing", "type: generic, address: "+first.URL))
	within("created", grows(first))
	k.Apply(t, namespace, provider("changing", "type: generic, address: "+second.URL))
	within("edited", grows(second))
	k.Apply(t, namespace, provider("changing", "type: generic-hmac, address: "+second.URL+", secretRef: {name: key}"))
	within("broken", func() bool {
		return c.metric("flux_notify_target_faults", `flux_provider_name="`+namespace+`/changing"`, "} 1")
	})
	k.Apply(t, namespace, "apiVersion: v1\nkind: Secret\nmetadata: {name: key}\nstringData: {token: s3cr3t}\n")
	within("mended", grows(second))
	k.Delete(t, namespace, provider("changing", "type: generic"))
	within("deleted", func() bool {
		return c.metric("flux_notify_target_faults", `flux_provider_name="`+namespace+`/steady"`, "} 0") && quiet(second)
	})

	posted, answers := events.end()
	assert.Equal(t, map[int]int{http.StatusAccepted: posted}, answers)
	require.Eventually(t, func() bool { return steady.count() == posted }, timeout, tick, "%d of %d", steady.count(), posted)
	for _, s := range []*sink{steady, first, second} {
		assert.Empty(t, s.twice())
	}
	assert.LessOrEqual(t, len(steady.connections), 10, "as many as num_consumers: none was opened anew")
	assert.NotContains(t, c.logs(), "s3cr3t")
}

// quiet reports that nothing has arrived for a second.
func quiet(s *sink) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Since(s.last) > time.Second
}

// faulty are objects that the API server admits, and that cannot work.
var faulty = map[string]struct{ spec, alert, field string }{
	"no-address":           {spec: "type: slack", field: "spec.address"},
	"bad-address":          {spec: "type: slack, address: 'http://'", field: "spec.address"},
	"bad-proxy":            {spec: "type: slack, address: 'http://127.0.0.1:1', proxy: 'http://'", field: "spec.proxy"},
	"short-timeout":        {spec: "type: slack, address: 'http://127.0.0.1:1', timeout: 0s", field: "spec.timeout"},
	"no-secret":            {spec: "type: slack, address: 'http://127.0.0.1:1', secretRef: {name: none}", field: "spec.secretRef"},
	"no-cert-secret":       {spec: "type: slack, address: 'http://127.0.0.1:1', certSecretRef: {name: none}", field: "spec.certSecretRef"},
	"no-proxy-secret":      {spec: "type: slack, address: 'http://127.0.0.1:1', proxySecretRef: {name: none}", field: "spec.proxySecretRef"},
	"bad-ca":               {spec: "type: slack, address: 'http://127.0.0.1:1', certSecretRef: {name: bad-ca}", field: "spec.certSecretRef"},
	"bad-headers":          {spec: "type: generic, address: 'http://127.0.0.1:1', secretRef: {name: bad-headers}", field: "spec.secretRef"},
	"no-key":               {spec: "type: generic-hmac, address: 'http://127.0.0.1:1'", field: "spec.secretRef"},
	"bad-expression":       {spec: "type: github, address: 'https://github.com/o/r', commitStatusExpr: '(', secretRef: {name: token}", field: "spec.commitStatusExpr"},
	"service-account":      {spec: "type: googlepubsub, address: project, channel: topic, serviceAccountName: sa", field: "spec.serviceAccountName"},
	"pubsub-no-identity":   {spec: "type: googlepubsub, address: project, channel: topic", field: "spec"},
	"bad-subject":          {spec: "type: nats, address: 'nats://127.0.0.1:1', channel: 'a..b'", field: "spec.channel"},
	"no-repository":        {spec: "type: github, address: 'https://github.com', secretRef: {name: token}", field: "spec.address"},
	"bitbucket-host":       {spec: "type: bitbucket, address: 'https://example.com/o/r', secretRef: {name: token}", field: "spec.address"},
	"bad-inclusion":        {spec: "type: generic, address: 'http://127.0.0.1:1'", alert: "inclusionList: ['(unclosed']", field: "spec.inclusionList"},
	"bad-exclusion":        {spec: "type: generic, address: 'http://127.0.0.1:1'", alert: "exclusionList: ['[']", field: "spec.exclusionList"},
	"too-long-expressions": {spec: "type: generic, address: 'http://127.0.0.1:1'", alert: "inclusionList: ['" + long + "']", field: "spec.inclusionList"},
}

// long is an expression that would take much memory.
var long = func() string {
	text := make([]byte, 128<<10)
	for i := range text {
		text[i] = 'a'
	}
	return string(text)
}()

// One faulty object is its own affair: the healthy Provider delivers, at a restart too,
// and the fault is a metric, a log line and a Kubernetes Event that name object and field.
func TestFaultyObjectsAreTheirOwnAffair(t *testing.T) {
	t.Parallel()
	k := cluster.Start(t, cluster.Options{})
	namespace := k.Namespace(t)
	healthy := newSink(t)
	k.Apply(t, namespace, `apiVersion: v1
kind: Secret
metadata: {name: bad-ca}
stringData: {ca.crt: none}
---
apiVersion: v1
kind: Secret
metadata: {name: bad-headers}
stringData: {headers: "- a"}
---
apiVersion: v1
kind: Secret
metadata: {name: token}
stringData: {token: t0ken}
`)
	k.Apply(t, namespace, provider("healthy", "type: generic, address: "+healthy.URL))
	for name, f := range faulty {
		objects := provider(name, f.spec)
		if f.alert != "" {
			objects += "  " + f.alert + "\n"
		}
		k.Apply(t, namespace, objects)
	}
	c := start(t, k)
	require.Equal(t, http.StatusAccepted, c.post(namespace, "webapp", "first"))
	require.Eventually(t, func() bool { return healthy.has("first") }, timeout, tick)
	for name, f := range faulty {
		require.Eventually(t, func() bool {
			provider := `flux_provider_name="` + namespace + "/" + name + `"`
			return c.metric("flux_notify_target_faults", provider) && !c.metric("flux_notify_target_faults", provider, "} 0")
		}, timeout, tick, "no metric of %s", name)
		assert.Contains(t, c.logs(), namespace+"/"+name+": "+f.field, name)
	}
	events := k.Resource(t, "v1", "Event", namespace)
	require.Eventually(t, func() bool {
		list, err := events.List(context.Background(), metav1.ListOptions{})
		return err == nil && len(list.Items) >= 5
	}, timeout, tick, "no Events")

	c.process.Stop(10 * time.Second)
	c.run()
	require.Equal(t, http.StatusAccepted, c.post(namespace, "webapp", "second"))
	require.Eventually(t, func() bool { return healthy.has("second") }, timeout, tick)

	// Mended, what waited is delivered.
	mended := newSink(t)
	k.Apply(t, namespace, provider("no-secret", "type: generic, address: "+mended.URL))
	require.Eventually(t, func() bool { return mended.has("first") && mended.has("second") }, timeout, tick)
	assert.Empty(t, mended.twice())
	assert.Empty(t, healthy.twice())
}

// With the API server away the collector goes on, and starts from its last good state.
func TestTheAPIServerIsAway(t *testing.T) {
	t.Parallel()
	k := cluster.Start(t, cluster.Options{})
	namespace := k.Namespace(t)
	plain, signed := newSink(t), newSink(t)
	k.Apply(t, namespace, "apiVersion: v1\nkind: Secret\nmetadata: {name: key}\nstringData: {token: s3cr3t}\n")
	k.Apply(t, namespace, provider("plain", "type: generic, address: "+plain.URL))
	k.Apply(t, namespace, provider("signed", "type: generic-hmac, address: "+signed.URL+", secretRef: {name: key}"))
	c := start(t, k)
	c.post(namespace, "webapp", "1")
	require.Eventually(t, func() bool { return plain.has("1") && signed.has("1") }, timeout, tick)
	time.Sleep(3 * time.Second) // the state is saved every few seconds

	k.StopAPIServer(t)
	require.Equal(t, http.StatusAccepted, c.post(namespace, "webapp", "2"))
	require.Eventually(t, func() bool { return plain.has("2") && signed.has("2") }, timeout, tick)

	time.Sleep(time.Second) // what is killed while its delivery is noted may be delivered again
	c.process.Kill()
	c.run()
	require.Equal(t, http.StatusAccepted, c.post(namespace, "webapp", "3"))
	require.Eventually(t, func() bool { return plain.has("3") }, timeout, tick)
	assert.False(t, signed.has("3"), "its Secret is not known")
	k.StartAPIServer(t)
	require.Eventually(t, func() bool { return signed.has("3") }, timeout, tick)
	assert.Empty(t, signed.twice())
}

// fluxnotify check reads a cluster as the collector does: it names what is faulty, and
// writes no Events.
func TestCheckOfACluster(t *testing.T) {
	t.Parallel()
	companion, err := filepath.Abs(filepath.Join("..", "..", "..", "_build", "fluxnotify"))
	require.NoError(t, err)
	if _, err := os.Stat(companion); err != nil {
		t.Skip("fluxnotify is not built: run make build")
	}
	k := cluster.Start(t, cluster.Options{})
	namespace := k.Namespace(t)
	sink := newSink(t)
	k.Apply(t, namespace, provider("healthy", "type: generic, address: "+sink.URL))
	check := func() (string, error) {
		cmd := exec.Command(companion, "check", "--config", "flux:kubernetes?context=test&namespaces="+namespace)
		cmd.Env = []string{"KUBECONFIG=" + k.Kubeconfig(t, k.Admin()), "HOME=" + t.TempDir()}
		printed, err := cmd.CombinedOutput()
		return string(printed), err
	}
	printed, err := check()
	require.NoError(t, err, printed)
	assert.Contains(t, printed, namespace+"/healthy")

	k.Apply(t, namespace, provider("faulty", "type: generic-hmac, address: "+sink.URL+", secretRef: {name: none}"))
	printed, err = check()
	require.Error(t, err, printed)
	assert.Contains(t, printed, "Provider "+namespace+"/faulty: spec.secretRef: the Secret "+namespace+"/none does not exist")
	events, err := k.Resource(t, "v1", "Event", namespace).List(context.Background(), metav1.ListOptions{})
	require.NoError(t, err)
	assert.Empty(t, events.Items)
	assert.Zero(t, sink.count(), "nothing is sent")
}
