package fluxnotifyexporter

import (
	"context"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configcompression"
	"go.opentelemetry.io/collector/config/configopaque"

	"github.com/fluxnotify/otelcol-flux/exporter/fluxnotifyexporter/internal/metadata"
	"github.com/fluxnotify/otelcol-flux/internal/alert"
	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers"
	"github.com/fluxnotify/otelcol-flux/internal/target"
	"github.com/fluxnotify/otelcol-flux/internal/testca"
)

const redacted = "[REDACTED]"

func preview(t *testing.T, config *Config) *target.Preview {
	t.Helper()
	return previewOf(t, component.NewID(metadata.Type), config)
}

func previewOf(t *testing.T, id component.ID, config *Config) *target.Preview {
	t.Helper()
	p, err := target.NewPreview(t.Context(), id, &config.Target)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Shutdown(context.Background())) })
	return p
}

func realEvent(t *testing.T, name string) *fluxevent.Event {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("..", "..", "testdata", "events", name+".json"))
	require.NoError(t, err)
	e, err := fluxevent.Parse(body)
	require.NoError(t, err)
	return &e
}

// TestPreviewIsWhatIsSent compares, for every HTTP type, the requests that an
// endpoint gets with those that the preview shows.
func TestPreviewIsWhatIsSent(t *testing.T) {
	t.Parallel()
	ca := testca.New(t)
	for _, row := range providers.Table {
		if row.Bus {
			continue
		}
		t.Run(row.Type, func(t *testing.T) {
			t.Parallel()
			for _, name := range []string{"kustomization-failed", "kustomization-markup", "helmrelease-installed"} {
				sink, _, config := behindProxy(t, ca, row)
				e := realEvent(t, name)
				exporter := start(t, config)
				before := len(sink.seen())
				shown := previewOf(t, exporter.id, config).Of(t.Context(), e)
				require.Len(t, sink.seen(), before, "a preview sends nothing")
				require.NoError(t, exporter.ConsumeLogs(context.Background(), fluxevent.ToLogs(e, time.Now())))
				exporter.stop(t)
				if shown.Rule != "" {
					require.Len(t, sink.seen(), before)
					continue
				}
				compare(t, config, shown, sink.seen())
			}
		})
	}
}

func compare(t *testing.T, config *Config, shown target.Decision, seen []arrival) {
	t.Helper()
	require.Len(t, shown.Alerts, 1)
	requests := shown.Alerts[0].Requests
	for len(seen) > len(requests) && seen[0].method == http.MethodGet { // read at the start
		require.Contains(t, requests[0].ReadsFirst, "GET "+seen[0].url)
		seen = seen[1:]
	}
	require.Len(t, requests, len(seen))
	for i, r := range requests {
		body := seen[i].body
		if config.Target.Type == "pagerduty" {
			body = strings.ReplaceAll(body, config.Target.Channel, redacted)
		}
		if r.URL == "" || len(r.ReadsFirst) > 0 && len(r.Headers) == 0 {
			continue // something is asked before, so it is the payload that is shown
		}
		assert.Equal(t, body, string(r.Body))
		assert.Empty(t, r.Fails)
		assert.Equal(t, seen[i].method, r.Method)
		host, _, _ := strings.Cut(strings.TrimPrefix(seen[i].url, "https://"), "/")
		assert.True(t, strings.HasPrefix(r.URL, "https://"+host), r.URL)
		if !strings.Contains(r.URL, redacted) {
			assert.Equal(t, seen[i].url, r.URL)
		}
		headers := seen[i].header.Clone()
		for _, h := range r.Headers {
			if !strings.Contains(h.Value, redacted) {
				assert.Equal(t, headers.Get(h.Name), h.Value)
			}
			assert.Contains(t, headers, h.Name)
			headers.Del(h.Name)
		}
		for _, added := range []string{"Content-Length", "User-Agent", "Accept-Encoding"} { // by the transport
			headers.Del(added)
		}
		assert.Empty(t, headers, "headers that the preview does not show")
	}
}

// No type shows a secret, wherever it stands in its settings.
func TestPreviewShowsNoSecret(t *testing.T) {
	t.Parallel()
	const canary = "cAnArY-4f1d"
	for _, row := range providers.Table {
		t.Run(row.Type, func(t *testing.T) {
			t.Parallel()
			config := sampleConfig(row)
			if !row.OpenAddress && !row.Bus {
				config.Target.Address += "/" + canary
			}
			separator := "?"
			if strings.Contains(string(config.Target.Address), "?") {
				separator = "&"
			}
			if !row.Bus {
				config.Target.Address += configopaque.String(separator + "key=" + canary)
			}
			for _, s := range []struct {
				use    providers.Use
				target *configopaque.String
			}{{row.Token, &config.Target.Token}, {row.Password, &config.Target.Password}} {
				if s.use != providers.Unused {
					*s.target = canary
				}
			}
			if row.SecretChannel {
				config.Target.Channel = canary
			}
			if row.Headers != providers.Unused {
				config.Target.ClientConfig.Headers.Set("X-Api-Key", canary)
			}
			accept(t, row, config)
			for _, name := range []string{"kustomization-failed", "kustomization-succeeded", "kustomization-commit-status"} {
				shown := preview(t, config).Of(t.Context(), realEvent(t, name))
				assert.NotContains(t, fmt.Sprintf("%+v", shown), canary)
				for _, a := range shown.Alerts {
					for _, r := range a.Requests {
						assert.NotContains(t, string(r.Body), canary)
					}
				}
			}
		})
	}
}

// accept takes back what a type refuses in its place: it need not hide that.
func accept(t *testing.T, row providers.Row, config *Config) {
	t.Helper()
	for range 2 {
		err := config.Validate()
		if err == nil {
			return
		}
		require.NotContains(t, err.Error(), "cAnArY")
		switch key, _, _ := strings.Cut(err.Error(), ": "); key {
		case "address":
			config.Target.Address = configopaque.String(row.Sample.Address)
		case "token":
			config.Target.Token = configopaque.String(row.Sample.Token)
		}
	}
}

func TestPreviewOfABus(t *testing.T) {
	t.Parallel()
	config := webhook("nats://flux:canary@127.0.0.1:1")
	config.Target.Type, config.Target.Channel = "nats", "flux.events"
	e := realEvent(t, "kustomization-failed")
	shown := preview(t, config).Of(t.Context(), e)
	require.Len(t, shown.Alerts, 1)
	require.Len(t, shown.Alerts[0].Requests, 1)
	r := shown.Alerts[0].Requests[0]
	assert.Equal(t, "nats://127.0.0.1:1", r.Address)
	assert.Equal(t, "flux.events", r.Channel)
	assert.Len(t, r.Key, 64)
	assert.Empty(t, r.Method+r.URL)
	whole, err := json.Marshal(&alert.Everything(e).Event)
	require.NoError(t, err)
	assert.Equal(t, string(whole), string(r.Body))
}

func TestPreviewSaysWhy(t *testing.T) {
	t.Parallel()
	config := webhook("https://example.com")
	config.Target.Type, config.Target.Username = "slack", "flux"
	config.Target.Alerts = []alert.Config{
		{Name: "all", Namespace: "a"},
		{Name: "errors", Namespace: "a", EventSeverity: "error"},
	}
	of := func(name string) target.Decision { return preview(t, config).Of(t.Context(), realEvent(t, name)) }

	shown := of("kustomization-succeeded")
	require.Len(t, shown.Alerts, 2)
	assert.Empty(t, shown.Rule)
	assert.Equal(t, "all", shown.Alerts[0].Name)
	assert.Len(t, shown.Alerts[0].Requests, 1)
	assert.Equal(t, target.AlertDecision{
		Namespace: "a", Name: "errors", Rule: "event_severity", Why: `it wants errors, and the event's severity is "info"`,
	}, shown.Alerts[1])

	assert.Equal(t, target.Decision{
		Rule: "commit_status_update", Why: "a commit-status update is for the types that set commit statuses, and for webhooks",
	}, of("kustomization-commit-status"))
	config.Target.Suspend = true
	assert.Equal(t, target.Decision{Rule: "suspend", Why: "the exporter is suspended"}, of("kustomization-failed"))
}

// Every rule of a type is explained, and there is an event for each.
func TestRulesOfTypesAreExplained(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("..", "..", "testdata", "events", "*.json"))
	require.NoError(t, err)
	events := []*fluxevent.Event{
		{InvolvedObject: fluxevent.Object{Kind: "HelmRepository"}},
		{Severity: "trace", Metadata: map[string]string{notify.CommitKey: "x"}},
		{Metadata: map[string]string{notify.ChangeRequestKey: "#7"}},
	}
	for _, file := range files {
		events = append(events, realEvent(t, strings.TrimSuffix(filepath.Base(file), ".json")))
	}
	seen := map[string]bool{}
	for _, row := range providers.Table {
		for _, e := range events {
			if rule, filtered := row.Filters(e); filtered {
				assert.NotEmpty(t, notify.Explain(rule), rule)
				seen[rule] = true
			}
		}
	}
	for _, rule := range rules(t) {
		assert.True(t, seen[rule], "no event shows the rule %s", rule)
		assert.NotEmpty(t, notify.Explain(rule), rule)
		delete(seen, rule)
	}
	assert.Empty(t, seen, "a rule that is no constant")
}

// rules are the values of the constants of internal/notify whose names begin so.
func rules(t *testing.T) (all []string) {
	t.Helper()
	file, err := parser.ParseFile(gotoken.NewFileSet(), filepath.Join("..", "..", "internal", "notify", "takes.go"), nil, 0)
	require.NoError(t, err)
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if ok && strings.HasPrefix(spec.Names[0].Name, "Rule") {
			rule, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			require.NoError(t, err)
			all = append(all, rule)
		}
		return true
	})
	require.NotEmpty(t, all)
	return all
}

func TestPreviewSaysWhatFails(t *testing.T) {
	t.Parallel()
	config := webhook("https://api.datadoghq.com")
	config.Target.Type = "datadog"
	p := preview(t, config)
	assert.Equal(t, []string{"token: must be set for the type datadog; until then its notifications fail"}, p.Warnings())
	r := p.Of(t.Context(), realEvent(t, "kustomization-failed")).Alerts[0].Requests[0]
	assert.Equal(t, "token: must be set for the type datadog", r.Fails)
	assert.Equal(t, "https://api.datadoghq.com/api/v1/events", r.URL, "what is sent is shown all the same")

	config = webhook("https://example.zulipchat.com")
	config.Target.Type, config.Target.Channel = "zulip", "without-topic"
	shown := preview(t, config).Of(t.Context(), realEvent(t, "kustomization-failed")).Alerts[0]
	assert.Contains(t, shown.Fails, "channel: must be a channel and a topic")
	assert.Empty(t, shown.Requests)
}

// What is compressed on its way is shown as it was before.
func TestPreviewOfACompressedRequest(t *testing.T) {
	t.Parallel()
	config := webhook("https://example.com")
	config.Target.ClientConfig.Compression = configcompression.TypeGzip
	e := realEvent(t, "kustomization-failed")
	r := preview(t, config).Of(t.Context(), e).Alerts[0].Requests[0]
	assert.Equal(t, "https://example.com", r.URL)
	assert.Contains(t, r.Headers, notify.Header{Name: "Content-Encoding", Value: "gzip"})
	assert.True(t, json.Valid(r.Body))
}

func TestCheck(t *testing.T) {
	t.Parallel()
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.Path)
	}))
	t.Cleanup(server.Close)
	id := component.NewID(metadata.Type)
	config := webhook(server.URL + "/api/v2/alerts")
	for _, c := range []struct {
		name   string
		change func(*Config)
		kind   target.CheckKind
		err    string
	}{
		{"asks", func(c *Config) { c.Target.Type = "alertmanager" }, target.CheckedAPI, ""},
		{"connects", func(c *Config) { c.Target.Type = "generic" }, target.CheckedConnection, ""},
		{"connects to what cannot be asked", func(c *Config) { c.Target.Type = "slack" }, target.CheckedConnection, ""},
		{"reaches a proxy", func(c *Config) { c.Target.ClientConfig.ProxyURL, c.Target.Address = server.URL, "http://example.com" }, target.CheckedProxy, ""},
		{"reaches nobody", func(c *Config) { c.Target.Address = "http://127.0.0.1:1/canary" }, target.CheckedConnection, "127.0.0.1:1: dial tcp"},
		{"lacks a token", func(c *Config) { c.Target.Type = "datadog" }, target.CheckedNothing, "token: must be set"},
		{"is no type", func(c *Config) { c.Target.Type = "x" }, target.CheckedNothing, "type: is not known"},
		{"is unreadable", func(c *Config) { c.Target.SecretDir = filepath.Join(t.TempDir(), "none") }, target.CheckedNothing, "secret_dir: "},
	} {
		changed := *config
		c.change(&changed)
		kind, err := target.Check(t.Context(), id, &changed.Target)
		assert.Equal(t, c.kind, kind, c.name)
		if c.err == "" {
			require.NoError(t, err, c.name)
			continue
		}
		require.ErrorContains(t, err, c.err, c.name)
		assert.NotContains(t, err.Error(), "canary", c.name)
	}
	assert.Equal(t, []string{"GET /api/v2/status"}, asked, "nobody else is asked anything")
}
