package fluxtraceconnector

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/connector/connectortest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/fluxnotify/otelcol-flux/connector/fluxtraceconnector/internal/metadata"
	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
)

// arrived is when every event of the tests arrived.
var arrived = time.Date(2026, time.March, 31, 12, 0, 0, 0, time.UTC)

// began is when the first of them happened.
var began = time.Date(2026, time.March, 9, 12, 0, 0, 0, time.UTC)

const (
	commit   = "5394cb7f48332b2de7c17dd8b8384bbc84b7e738"
	revision = "main@sha1:" + commit
)

// happens is an event of an object of the table, so many seconds after the
// others began.
func happens(after int, kind, name, revision string) fluxevent.Event {
	group := map[string]string{"Kustomization": "kustomize", "HelmRelease": "helm"}[kind]
	if group == "" {
		group = "source"
	}
	group += ".toolkit.fluxcd.io"
	e := fluxevent.Event{
		InvolvedObject: fluxevent.Object{Kind: kind, Namespace: "apps", Name: name, APIVersion: group + "/v1"},
		Severity:       fluxevent.SeverityInfo, Reason: "Progressing", Message: "it happens",
		Timestamp: fluxevent.NewTime(began.Add(time.Duration(after) * time.Second)),
	}
	if revision != "" {
		e.Metadata = map[string]string{group + "/revision": revision}
	}
	return e
}

// with adds metadata of the object's own group.
func with(e fluxevent.Event, key, value string) fluxevent.Event {
	if e.Metadata == nil {
		e.Metadata = map[string]string{}
	}
	e.Metadata[e.InvolvedObject.Group()+"/"+key] = value
	return e
}

func logsOf(events ...fluxevent.Event) plog.Logs {
	logs := plog.NewLogs()
	for i := range events {
		fluxevent.ToLogs(&events[i], arrived).ResourceLogs().MoveAndAppendTo(logs.ResourceLogs())
	}
	return logs
}

func settings() connector.Settings {
	set := connectortest.NewNopSettings(metadata.Type)
	set.ID = component.MustNewIDWithName("flux_trace", "tests")
	set.BuildInfo.Version = "1.2.3"
	return set
}

func connect(tb testing.TB, config *Config, next consumer.Traces) connector.Logs {
	tb.Helper()
	c, err := NewFactory().CreateLogsToTraces(tb.Context(), settings(), config, next)
	require.NoError(tb, err)
	return c
}

// identified is a configuration whose IDs do not depend on the connector's.
func identified() *Config {
	config := createDefaultConfig().(*Config)
	config.Identity = "prod-eu"
	return config
}

// made is what a connector makes of events, each in a request of its own.
func made(t *testing.T, config *Config, events ...fluxevent.Event) []ptrace.Span {
	t.Helper()
	sink := &consumertest.TracesSink{}
	c := connect(t, config, sink)
	for _, e := range events {
		require.NoError(t, c.ConsumeLogs(t.Context(), logsOf(e)))
	}
	return spansOf(sink.AllTraces()...)
}

func spansOf(all ...ptrace.Traces) []ptrace.Span {
	var spans []ptrace.Span
	for _, traces := range all {
		for _, resourceSpans := range traces.ResourceSpans().All() {
			for _, scopeSpans := range resourceSpans.ScopeSpans().All() {
				for _, span := range scopeSpans.Spans().All() {
					spans = append(spans, span)
				}
			}
		}
	}
	return spans
}

func attribute(span ptrace.Span, key string) string {
	value, ok := span.Attributes().Get(key)
	if !ok {
		return ""
	}
	return value.AsString()
}

func isRoot(span ptrace.Span) bool { return span.ParentSpanID() == (pcommon.SpanID{}) }

// lasts is a span's duration, in seconds.
func lasts(span ptrace.Span) float64 {
	return time.Duration(span.EndTimestamp() - span.StartTimestamp()).Seconds()
}

// eventsIn reads a file of events.
func eventsIn(t *testing.T, file string) []fluxevent.Event {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", file))
	require.NoError(t, err)
	var raw []json.RawMessage
	require.NoError(t, json.Unmarshal(text, &raw), file)
	events := make([]fluxevent.Event, len(raw))
	for i := range raw {
		events[i], err = fluxevent.Parse(raw[i])
		require.NoError(t, err, file)
	}
	return events
}
