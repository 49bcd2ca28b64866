// Package source_test tests the source of Providers and Alerts with a real API server.
package source_test

import (
	"context"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"
	"go.uber.org/zap/zaptest/observer"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/fluxnotify/otelcol-flux/internal/alert"
	"github.com/fluxnotify/otelcol-flux/internal/source"
	"github.com/fluxnotify/otelcol-flux/internal/source/kubernetes"
	"github.com/fluxnotify/otelcol-flux/internal/target"
	"github.com/fluxnotify/otelcol-flux/test/kubernetes/cluster"
)

const (
	// timeout is how long anything may take on a busy machine.
	timeout = 30 * time.Second
	// soon is how long a change may take to become effective.
	soon = 2 * time.Second
	tick = 10 * time.Millisecond
)

func TestMain(m *testing.M) { os.Exit(cluster.Main(m)) }

// translator makes targets without the rules of Flux's types. A Provider is faulty if
// its channel is "faulty".
type translator struct{}

func (translator) Translate(objects kubernetes.Objects, _ bool) source.Set {
	var set source.Set
	known := map[string]int{}
	for _, object := range objects.Providers {
		provider := unstructured.Unstructured{Object: object}
		t := source.Target{Namespace: provider.GetNamespace(), Name: provider.GetName(), Config: target.NewConfig(), Ready: true}
		t.Config.Type = field(object, "spec", "type")
		t.Config.Address = configopaque.String(field(object, "spec", "address"))
		t.Config.Username = provider.GetAnnotations()["notify.fluxnotify.io/message"]
		uid := string(provider.GetUID())
		t.Config.UID = &uid
		fault := func(path, text string) {
			t.Ready = false
			t.Faults = append(t.Faults, source.Fault{Kind: "Provider", Namespace: t.Namespace, Name: t.Name, Field: path, Text: text})
		}
		if field(object, "spec", "channel") == "faulty" {
			fault("spec.channel", "is faulty")
		}
		if name := field(object, "spec", "secretRef", "name"); name != "" {
			ref := types.NamespacedName{Namespace: t.Namespace, Name: name}
			if data, ok := objects.Secrets[ref]; ok {
				t.Config.Token = configopaque.String(data["token"])
			} else {
				fault("spec.secretRef", "the Secret "+ref.String()+" "+objects.MissingSecrets[ref])
			}
		}
		known[t.ID()] = len(set.Targets)
		set.Targets = append(set.Targets, t)
	}
	for _, object := range objects.Alerts {
		a := unstructured.Unstructured{Object: object}
		i, ok := known[a.GetNamespace()+"/"+field(object, "spec", "providerRef", "name")]
		if !ok {
			set.Faults = append(set.Faults, source.Fault{Kind: "Alert", Namespace: a.GetNamespace(), Name: a.GetName(), Field: "spec.providerRef", Text: "does not exist"})
			continue
		}
		set.Targets[i].Config.Alerts = append(set.Targets[i].Config.Alerts, alert.Config{Name: a.GetName(), EventSeverity: field(object, "spec", "eventSeverity")})
	}
	return set
}

func field(object map[string]any, path ...string) string {
	value, _, _ := unstructured.NestedString(object, path...)
	return value
}

// state is a storage in memory.
type state struct {
	mu   sync.Mutex
	data []byte
}

func (s *state) Load(context.Context) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.data, nil
}

func (s *state) Save(_ context.Context, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data = slices.Clone(data)
	return nil
}

func (s *state) text() string {
	data, _ := s.Load(context.Background())
	return string(data)
}

// running is a source that was started.
type running struct {
	*kubernetes.Source
	logs *observer.ObservedLogs

	mu   sync.Mutex
	sets []source.Set
	busy bool
}

// start starts a source as a user, and ends it with the test.
func start(t *testing.T, c *cluster.Cluster, user *rest.Config, options kubernetes.Options) *running {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	r := &running{logs: logs}
	options.AuthType = kubernetes.AuthKubeConfig
	options.KubeConfigPath = c.Kubeconfig(t, user)
	options.Translator = translator{}
	options.Logger = zaptest.NewLogger(t, zaptest.WrapOptions(zap.WrapCore(tee(core))))
	var err error
	r.Source, err = kubernetes.New(options)
	require.NoError(t, err)
	t.Cleanup(func() { r.stop(t) })
	require.NoError(t, r.Start(t.Context(), func(set source.Set) {
		r.mu.Lock()
		overlaps := r.busy
		r.busy = true
		r.sets = append(r.sets, set)
		r.mu.Unlock()
		assert.False(t, overlaps, "changed is called twice at a time")
		time.Sleep(time.Millisecond)
		r.mu.Lock()
		r.busy = false
		r.mu.Unlock()
	}))
	return r
}

func (r *running) stop(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	require.NoError(t, r.Shutdown(ctx))
}

func (r *running) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.sets)
}

// last is the present set, and false if there is none yet.
func (r *running) last() (source.Set, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.sets) == 0 {
		return source.Set{}, false
	}
	return r.sets[len(r.sets)-1], true
}

// until waits for a set, and returns it and how long that took.
func (r *running) until(t *testing.T, what string, ok func(set source.Set) bool) (source.Set, time.Duration) {
	t.Helper()
	begun := time.Now()
	for time.Since(begun) < timeout {
		if set, there := r.last(); there && ok(set) {
			return set, time.Since(begun)
		}
		time.Sleep(tick)
	}
	set, _ := r.last()
	require.Fail(t, "timeout", "waiting until %s; %d sets, the last: %s; faults of the source: %v", what, r.count(), describe(set), r.Faults())
	return source.Set{}, 0
}

// target waits until a target satisfies a condition.
func (r *running) target(t *testing.T, id, what string, ok func(target *source.Target) bool) time.Duration {
	t.Helper()
	_, took := r.until(t, id+" "+what, func(set source.Set) bool {
		found := find(set, id)
		return found != nil && ok(found)
	})
	return took
}

// stays says that nothing changes for a while.
func (r *running) stays(t *testing.T, d time.Duration) {
	t.Helper()
	before := r.count()
	time.Sleep(d)
	set, _ := r.last()
	assert.Equal(t, before, r.count(), "another set: %s", describe(set))
}

func find(set source.Set, id string) *source.Target {
	for i := range set.Targets {
		if set.Targets[i].ID() == id {
			return &set.Targets[i]
		}
	}
	return nil
}

// describe is a line for each target and fault.
func describe(set source.Set) string {
	var lines []string
	for _, t := range set.Targets {
		line := t.ID()
		if t.Ready {
			line += " ready"
		}
		for _, f := range t.Faults {
			line += " (" + f.String() + ")"
		}
		lines = append(lines, line)
	}
	for _, f := range set.Faults {
		lines = append(lines, f.String())
	}
	return strings.Join(lines, "\n")
}

// effective are the times until changes were effective.
type effective struct {
	mu    sync.Mutex
	times map[string]time.Duration
}

func (e *effective) add(what string, took time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.times == nil {
		e.times = map[string]time.Duration{}
	}
	e.times[what] = took
}

// check allows that a busy machine delays less than half of the changes.
func (e *effective) check(t *testing.T, limit time.Duration) {
	t.Helper()
	times := slices.Sorted(maps.Values(e.times))
	require.NotEmpty(t, times)
	t.Log(e.times)
	assert.Less(t, times[len(times)/2], limit)
}

func provider(name, spec string) string {
	return "---\n{apiVersion: notification.toolkit.fluxcd.io/v1beta3, kind: Provider, metadata: {name: " + name + "}, spec: {type: generic, " + spec + "}}\n"
}

func alertOf(name, provider, source string) string {
	return "---\n{apiVersion: notification.toolkit.fluxcd.io/v1beta3, kind: Alert, metadata: {name: " + name + "}, spec: {providerRef: {name: " + provider + "}, eventSources: [{" + source + "}]}}\n"
}

func secret(name, token string) string {
	return "---\n{apiVersion: v1, kind: Secret, metadata: {name: " + name + "}, stringData: {token: " + token + "}}\n"
}
