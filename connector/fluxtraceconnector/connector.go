package fluxtraceconnector

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	semconv "go.opentelemetry.io/otel/semconv/v1.42.0"

	"github.com/fluxnotify/otelcol-flux/connector/fluxtraceconnector/internal/metadata"
	"github.com/fluxnotify/otelcol-flux/internal/alert"
	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/fluxtrace"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// traceConnector makes a span of every event. Which trace it is in, its ID and
// its parent's are derived from the event alone, so that neither the order of
// events nor a restart matters to them. The memory adds what one event cannot
// know: when the one before it was, and which one is the root.
type traceConnector struct {
	component.StartFunc
	component.ShutdownFunc

	next     consumer.Traces
	identity string // as configured
	fallback string // where nothing tells the cluster
	version  string
	memory   *memory
}

func newConnector(set connector.Settings, config *Config, next consumer.Traces) (*traceConnector, error) {
	m, err := newMemory(&config.Memory)
	if err != nil {
		return nil, err
	}
	return &traceConnector{
		next:     next,
		identity: config.Identity,
		fallback: set.ID.String(),
		version:  set.BuildInfo.Version,
		memory:   m,
	}, nil
}

// Capabilities implements consumer.Consumer.
func (*traceConnector) Capabilities() consumer.Capabilities {
	return consumer.Capabilities{MutatesData: false}
}

// ConsumeLogs implements consumer.Logs. What the next consumer does not take is
// forgotten, so that it is made the same way when it comes again.
func (c *traceConnector) ConsumeLogs(ctx context.Context, logs plog.Logs) error {
	t := c.memory.turn()
	traces := ptrace.NewTraces()
	for _, resourceLogs := range logs.ResourceLogs().All() {
		c.convert(resourceLogs, traces, t)
	}
	if traces.SpanCount() == 0 {
		return nil
	}
	if err := c.next.ConsumeTraces(ctx, traces); err != nil {
		t.undo()
		return err
	}
	return nil
}

// convert keeps the resource: whatever a processor has added to it, such as the
// cluster, is true of the span as well.
func (c *traceConnector) convert(resourceLogs plog.ResourceLogs, traces ptrace.Traces, t *turn) {
	spans := ptrace.NewSpanSlice()
	identity := c.identify(resourceLogs.Resource())
	for _, scopeLogs := range resourceLogs.ScopeLogs().All() {
		for _, record := range scopeLogs.LogRecords().All() {
			if record.EventName() != fluxevent.EventName {
				continue
			}
			e := fluxevent.FromRecord(resourceLogs.Resource(), record, plog.SeverityNumberError)
			if !fluxtrace.Traceable(e) {
				continue
			}
			if s, ok := place(alert.Everything(e), identity, t); ok {
				s.write(spans.AppendEmpty())
			}
		}
	}
	if spans.Len() == 0 {
		return
	}
	resourceSpans := traces.ResourceSpans().AppendEmpty()
	resourceLogs.Resource().CopyTo(resourceSpans.Resource())
	resourceSpans.SetSchemaUrl(resourceLogs.SchemaUrl())
	scopeSpans := resourceSpans.ScopeSpans().AppendEmpty()
	scopeSpans.SetSchemaUrl(semconv.SchemaURL)
	scopeSpans.Scope().SetName(metadata.ScopeName)
	scopeSpans.Scope().SetVersion(c.version)
	spans.MoveAndAppendTo(scopeSpans.Spans())
}

// identify names the cluster whose traces these are.
func (c *traceConnector) identify(resource pcommon.Resource) string {
	if c.identity != "" {
		return c.identity
	}
	for _, key := range []string{string(semconv.K8SClusterUIDKey), string(semconv.K8SClusterNameKey)} {
		if cluster, ok := resource.Attributes().Get(key); ok && cluster.AsString() != "" {
			return cluster.AsString()
		}
	}
	return c.fallback
}

// placed is an event with its place among the traces.
type placed struct {
	n     *notify.Notification
	trace pcommon.TraceID
	span  pcommon.SpanID
	root  bool
	start pcommon.Timestamp
}

// place finds the place of an event. ok is false where it says nothing new.
func place(n *notify.Notification, identity string, t *turn) (s placed, ok bool) {
	s = placed{n: n, start: fluxtrace.Timestamp(n)}
	revision := revisionOf(n)
	if revision == "" {
		// It belongs to nothing: a trace of its own.
		s.trace, s.root = fluxtrace.TraceID(identity, fluxtrace.SpanID(pcommon.TraceID{}, n).String()), true
		s.span = fluxtrace.RootSpanID(s.trace)
		return s, true
	}
	s.trace = fluxtrace.TraceID(identity, revision)
	s.span = fluxtrace.SpanID(s.trace, n)
	if s.start, ok = t.continues(keyOf(s.trace, &n.Event.InvolvedObject), moment{
		span: s.span, at: s.start, update: n.Event.Metadata["commit_status"] == "update",
	}); !ok {
		return s, false
	}
	if isSource(n.Event.InvolvedObject.Kind) && t.roots(s.trace, s.span) {
		s.root, s.span = true, fluxtrace.RootSpanID(s.trace)
	}
	return s, true
}

func (s *placed) write(span ptrace.Span) {
	fluxtrace.Fill(span, s.n)
	span.SetTraceID(s.trace)
	span.SetSpanID(s.span)
	span.SetStartTimestamp(s.start)
	span.SetFlags(fluxtrace.Sampled | fluxtrace.ParentKnown)
	if !s.root {
		span.SetParentSpanID(fluxtrace.RootSpanID(s.trace))
		span.SetFlags(fluxtrace.Sampled | fluxtrace.ParentKnown | fluxtrace.ParentRemote)
	}
	describe(span.Attributes(), s.n)
}

var _ connector.Logs = (*traceConnector)(nil)
