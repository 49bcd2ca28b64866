package flux_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/test/kubernetes/cluster"
	"github.com/fluxnotify/otelcol-flux/test/kubernetes/flux"
)

const (
	// timeout is how long anything may take that is immediate on an idle machine.
	timeout = time.Minute
	tick    = 50 * time.Millisecond
)

func TestMain(m *testing.M) { os.Exit(cluster.Main(m)) }

// event has the fields of a Flux event that this test reads.
type event struct {
	InvolvedObject struct {
		Kind      string `json:"kind"`
		Namespace string `json:"namespace"`
		Name      string `json:"name"`
	} `json:"involvedObject"`
	Severity            string            `json:"severity"`
	Reason              string            `json:"reason"`
	Message             string            `json:"message"`
	Metadata            map[string]string `json:"metadata"`
	ReportingController string            `json:"reportingController"`
}

// sink receives events.
type sink struct {
	*httptest.Server
	mu     sync.Mutex
	events []event
	failed []error
}

func newSink(t *testing.T) *sink {
	t.Helper()
	s := &sink{}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// ServeHTTP implements http.Handler.
func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var e event
	err := json.NewDecoder(r.Body).Decode(&e)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.failed = append(s.failed, err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.events = append(s.events, e)
}

// Wait returns the first event of an object that has this reason.
func (s *sink) Wait(t *testing.T, kind, name, reason string) event {
	t.Helper()
	var found event
	if !assert.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		i := slices.IndexFunc(s.events, func(e event) bool {
			return e.InvolvedObject.Kind == kind && e.InvolvedObject.Name == name && e.Reason == reason
		})
		if i >= 0 {
			found = s.events[i]
		}
		return i >= 0
	}, timeout, tick) {
		s.mu.Lock()
		defer s.mu.Unlock()
		require.FailNow(t, "no such event", "%s of %s/%s in %+v, %v", reason, kind, name, s.events, s.failed)
	}
	return found
}

// The events of a Kustomization that succeeds, and fails after the next commit.
func TestEvents(t *testing.T) {
	t.Parallel()
	flux.Folder(t)
	c := cluster.Start(t, cluster.Options{})
	received := newSink(t)
	repository := flux.NewRepository(t)
	first := repository.Commit(t, map[string]string{
		"apps/web.yaml": "{apiVersion: v1, kind: ConfigMap, metadata: {name: web}, data: {a: b}}\n",
	})
	flux.Start(t, c, received.URL+"/")

	namespace := c.Namespace(t)
	c.Apply(t, namespace, fmt.Sprintf(`
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: apps}
spec:
  interval: 1s
  url: %s
  ref: {branch: main}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: apps}
spec:
  interval: 1m
  prune: true
  path: ./apps
  targetNamespace: %s
  sourceRef: {kind: GitRepository, name: apps}
`, repository.URL, namespace))
	artifact := received.Wait(t, "GitRepository", "apps", "NewArtifact")
	assert.Equal(t, namespace, artifact.InvolvedObject.Namespace)
	assert.Equal(t, "info", artifact.Severity)
	assert.Equal(t, "source-controller", artifact.ReportingController)
	applied := received.Wait(t, "Kustomization", "apps", "Progressing")
	assert.Contains(t, applied.Message, "ConfigMap/"+namespace+"/web created")
	succeeded := received.Wait(t, "Kustomization", "apps", "ReconciliationSucceeded")
	assert.Equal(t, "info", succeeded.Severity)
	assert.Equal(t, "kustomize-controller", succeeded.ReportingController)
	assert.Equal(t, first, succeeded.Metadata["kustomize.toolkit.fluxcd.io/revision"])

	second := repository.Commit(t, map[string]string{
		"apps/web.yaml": "{apiVersion: v1, kind: ConfigMap, metadata: {name: Not_Valid}}\n",
	})
	failed := received.Wait(t, "Kustomization", "apps", "ReconciliationFailed")
	assert.Equal(t, "error", failed.Severity)
	assert.Contains(t, failed.Message, "Not_Valid")
	assert.Equal(t, second, failed.Metadata["kustomize.toolkit.fluxcd.io/revision"])
	assert.Empty(t, received.failed)
}
