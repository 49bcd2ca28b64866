package collector_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/test/kubernetes/cluster"
	"github.com/fluxnotify/otelcol-flux/test/kubernetes/process"
)

const (
	// timeout is how long anything may take that is immediate on an idle machine.
	timeout = 30 * time.Second
	tick    = 20 * time.Millisecond
)

func TestMain(m *testing.M) { os.Exit(cluster.Main(m)) }

// binary is the collector that make build has built.
func binary(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", "..", "_build", "otelcol-flux"))
	require.NoError(t, err)
	if _, err := os.Stat(path); err != nil {
		t.Skip("the collector is not built: run make build")
	}
	return path
}

// sink is an endpoint that counts messages and connections.
type sink struct {
	*httptest.Server
	mu          sync.Mutex
	messages    map[string]int
	last        time.Time
	connections map[string]bool
}

func newSink(t *testing.T) *sink {
	t.Helper()
	s := &sink{messages: map[string]int{}, connections: map[string]bool{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// ServeHTTP implements http.Handler.
func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var event struct{ Message string }
	if err := json.NewDecoder(r.Body).Decode(&event); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages[event.Message]++
	s.last = time.Now()
	s.connections[r.RemoteAddr] = true
}

func (s *sink) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.messages)
}

// twice are the messages that arrived more than once.
func (s *sink) twice() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var messages []string
	for message, n := range s.messages {
		if n > 1 {
			messages = append(messages, message)
		}
	}
	return messages
}

func (s *sink) has(message string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.messages[message] > 0
}

// collector is a running collector with the Kubernetes source.
type collector struct {
	t       *testing.T
	path    string
	config  string
	env     []string
	events  string
	metrics string
	process *process.Process
}

// start starts a collector that reads the API as the ServiceAccount of the manifests in
// deploy, with the rights that these give.
func start(t *testing.T, c *cluster.Cluster, namespaces ...string) *collector {
	t.Helper()
	path := binary(t)
	rbac, err := os.ReadFile(filepath.Join("..", "..", "..", "deploy", "kubernetes", "rbac-cluster.yaml"))
	require.NoError(t, err)
	applyNamespace(t, c, "flux-system")
	c.Apply(t, "", string(rbac))
	account := c.ServiceAccount(t, "flux-system", "otelcol-flux")
	dir := t.TempDir()
	collector := &collector{
		t: t, path: path, config: filepath.Join(dir, "collector.yaml"),
		env:    []string{"KUBECONFIG=" + c.Kubeconfig(t, account)},
		events: address(t), metrics: address(t),
	}
	host, port, _ := strings.Cut(collector.metrics, ":")
	text := fmt.Sprintf(`receivers:
  flux_event: {endpoint: %q}
extensions:
  file_storage: {directory: %q, create_directory: true}
exporters:
  flux_notify:
    kubernetes: {auth_type: kubeConfig, namespaces: [%s]}
    sending_queue: {storage: file_storage}
    retry_on_failure: {initial_interval: 50ms, max_interval: 200ms}
service:
  extensions: [file_storage]
  telemetry:
    metrics:
      level: detailed
      readers: [{pull: {exporter: {prometheus: {host: %q, port: %s}}}}]
  pipelines:
    logs: {receivers: [flux_event], exporters: [flux_notify]}
`, collector.events, filepath.Join(dir, "storage"), strings.Join(namespaces, ", "), host, port)
	require.NoError(t, os.WriteFile(collector.config, []byte(text), 0o600))
	collector.run()
	return collector
}

func address(t *testing.T) string {
	t.Helper()
	port, err := process.FreePort()
	require.NoError(t, err)
	return process.Loopback(port)
}

func applyNamespace(t *testing.T, c *cluster.Cluster, name string) {
	t.Helper()
	c.Apply(t, "", "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+name+"}\n")
}

// run starts the process, and waits until it accepts events.
func (c *collector) run() {
	c.t.Helper()
	p, err := process.Start(process.Spec{Path: c.path, Args: []string{"--config", c.config}, Env: c.env, Dir: filepath.Dir(c.config)})
	require.NoError(c.t, err)
	c.process = p
	c.t.Cleanup(func() {
		p.Stop(10 * time.Second)
		if c.t.Failed() {
			c.t.Log(p.Tail())
		}
	})
	require.Eventually(c.t, func() bool { return c.post("none", "probe", "probe") == http.StatusAccepted }, timeout, tick, "the collector does not accept events")
}

// post posts an error of a Kustomization. 0: the connection was refused.
func (c *collector) post(namespace, name, message string) int {
	body := fmt.Sprintf(`{"involvedObject":{"kind":"Kustomization","namespace":%q,"name":%q,"apiVersion":"kustomize.toolkit.fluxcd.io/v1"},`+
		`"severity":"error","timestamp":%q,"message":%q,"reason":"ReconciliationFailed","reportingController":"kustomize-controller"}`,
		namespace, name, time.Now().UTC().Format(time.RFC3339), message)
	res, err := http.Post("http://"+c.events+"/", "application/json", strings.NewReader(body))
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	return res.StatusCode
}

// logs is what the collector has printed.
func (c *collector) logs() string {
	text, err := os.ReadFile(filepath.Join(filepath.Dir(c.config), "otelcol-flux.log"))
	require.NoError(c.t, err)
	return string(text)
}

// page is the collector's own metrics.
func (c *collector) page() string {
	res, err := http.Get("http://" + c.metrics + "/metrics")
	if err != nil {
		return ""
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	assert.NoError(c.t, err)
	return string(body)
}

// metric is whether a line of the metrics has all of the parts.
func (c *collector) metric(parts ...string) bool {
	for line := range strings.Lines(c.page()) {
		found := true
		for _, part := range parts {
			found = found && strings.Contains(line, part)
		}
		if found {
			return true
		}
	}
	return false
}

// provider is the manifest of a Provider and of an Alert of the same name.
func provider(name, spec string) string {
	return fmt.Sprintf(`apiVersion: notification.toolkit.fluxcd.io/v1beta3
kind: Provider
metadata: {name: %[1]s}
spec: {%[2]s}
---
apiVersion: notification.toolkit.fluxcd.io/v1beta3
kind: Alert
metadata: {name: %[1]s}
spec:
  providerRef: {name: %[1]s}
  eventSources: [{kind: Kustomization, name: "*"}]
`, name, spec)
}
