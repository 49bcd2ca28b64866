package fluxeventreceiver

import (
	"context"
	"crypto/hmac"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fluxnotify/otelcol-flux/receiver/fluxeventreceiver/internal/metadatatest"
)

const (
	patience = 10 * time.Second
	tick     = 2 * time.Millisecond
	// silence is long enough for an answer that ought not to come yet.
	silence = 50 * time.Millisecond
)

// service is a receiver that listens.
type service struct {
	*eventReceiver
	url       string
	client    *http.Client
	logs      *observer.ObservedLogs
	telemetry *componenttest.Telemetry
}

type host map[component.ID]component.Component

func (h host) GetExtensions() map[component.ID]component.Component { return h }

func start(t *testing.T, next consumer.Logs, changes ...func(*Config)) *service {
	t.Helper()
	return startIn(t, host{}, next, changes...)
}

func startIn(t *testing.T, in host, next consumer.Logs, changes ...func(*Config)) *service {
	t.Helper()
	config := createDefaultConfig().(*Config)
	for _, change := range changes {
		change(config)
	}
	core, logs := observer.New(zap.DebugLevel)
	telemetry := componenttest.NewTelemetry()
	set := metadatatest.NewSettings(telemetry)
	set.Logger = zap.New(core)
	r, err := newReceiver(set, config, next)
	require.NoError(t, err)

	s := &service{eventReceiver: r, logs: logs, telemetry: telemetry, client: &http.Client{Transport: &http.Transport{}}}
	// Between the choice of a free port and its use somebody may take it.
	require.Eventually(t, func() bool {
		config.ServerConfig.NetAddr.Endpoint = freeEndpoint(t)
		return r.Start(t.Context(), in) == nil
	}, patience, tick)
	s.url = "http://" + config.ServerConfig.NetAddr.Endpoint
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		assert.NoError(t, r.Shutdown(context.Background()))
		assert.NoError(t, telemetry.Shutdown(context.Background()))
	})
	return s
}

func freeEndpoint(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

type reply struct {
	status int
	header http.Header
	body   string
}

func (s *service) do(t *testing.T, method, path, body string, headers ...string) reply {
	t.Helper()
	got, err := s.try(t.Context(), method, path, body, headers...)
	require.NoError(t, err)
	return got
}

func (s *service) post(t *testing.T, body string, headers ...string) reply {
	t.Helper()
	return s.do(t, http.MethodPost, "/", body, headers...)
}

// try sends a request; headers are names and values by turns.
func (s *service) try(ctx context.Context, method, path, body string, headers ...string) (reply, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	return reply{status: resp.StatusCode, header: resp.Header, body: string(answer)}, err
}

// assertLine holds a refusal to its form: one line of plain text.
func assertLine(t *testing.T, status int, line string, got reply) {
	t.Helper()
	assert.Equal(t, status, got.status)
	assert.Equal(t, line+"\n", got.body)
	assert.Equal(t, "text/plain; charset=utf-8", got.header.Get("Content-Type"))
	assert.Equal(t, "nosniff", got.header.Get("X-Content-Type-Options"))
}

// body is an event; no two numbers make the same.
func body(number int) string {
	return `{"involvedObject":{"kind":"Kustomization","namespace":"apps","name":"webapp","apiVersion":"kustomize.toolkit.fluxcd.io/v1"},` +
		`"severity":"info","timestamp":"2026-03-21T20:20:20Z","message":"event ` + strconv.Itoa(number) + `","reason":"Progressing",` +
		`"reportingController":"kustomize-controller"}`
}

func recordedEvent(tb testing.TB) string {
	tb.Helper()
	event, err := os.ReadFile("../../testdata/events/kustomization-v1.json")
	require.NoError(tb, err)
	return string(event)
}

func keys(keys ...string) func(*Config) {
	return func(c *Config) { c.Signature.Keys = opaque(keys...) }
}

func opaque(keys ...string) []configopaque.String {
	hidden := make([]configopaque.String, len(keys))
	for i, key := range keys {
		hidden[i] = configopaque.String(key)
	}
	return hidden
}

// clusterKeys adds the keys of a cluster.
func clusterKeys(cluster string, keys ...string) func(*Config) {
	return func(c *Config) {
		if c.Signature.ClusterKeys == nil {
			c.Signature.ClusterKeys = map[string][]configopaque.String{}
		}
		c.Signature.ClusterKeys[cluster] = opaque(keys...)
	}
}

func path(path string) func(*Config) { return func(c *Config) { c.Path = path } }

func cluster(name string) func(*Config) { return func(c *Config) { c.Cluster = name } }

func required(required bool) func(*Config) {
	return func(c *Config) { c.Signature.Required = &required }
}

func maxBody(bytes int64) func(*Config) {
	return func(c *Config) { c.ServerConfig.MaxRequestBodySize = bytes }
}

func noDeduplication(c *Config) { c.Deduplication.Interval = 0 }

// sign makes an X-Signature.
func sign(algorithm, key, body string) string {
	mac := hmac.New(hashOf(algorithm), []byte(key))
	mac.Write([]byte(body))
	return algorithm + "=" + hex.EncodeToString(mac.Sum(nil))
}

// pipeline makes a consumer of a function.
func pipeline(t *testing.T, consume func(context.Context, plog.Logs) error) consumer.Logs {
	t.Helper()
	next, err := consumer.NewLogs(consume)
	require.NoError(t, err)
	return next
}

// gate is a pipeline that says when it is entered, and gives the answers that
// it is sent.
type gate struct {
	consumertest.LogsSink
	entered chan struct{}
	answers chan error
}

func newGate() *gate {
	return &gate{entered: make(chan struct{}, 100), answers: make(chan error, 100)}
}

func (g *gate) ConsumeLogs(ctx context.Context, logs plog.Logs) error {
	g.entered <- struct{}{}
	if err := <-g.answers; err != nil {
		return err
	}
	return g.LogsSink.ConsumeLogs(ctx, logs)
}
