package fluxtraceconnector

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/fluxtrace"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

// TestOrderAndRestartsDoNotMatter makes the same spans of the same events in
// every order, by one connector and by many.
func TestOrderAndRestartsDoNotMatter(t *testing.T) {
	t.Parallel()
	source := happens(0, "GitRepository", "flux-system", revision)
	apps := happens(5, "Kustomization", "apps", revision)
	infra := happens(7, "Kustomization", "infra", revision)
	type place struct {
		trace        pcommon.TraceID
		span, parent pcommon.SpanID
	}
	places := func(spans []ptrace.Span) map[string]place {
		all := map[string]place{}
		for _, s := range spans {
			all[attribute(s, "object.name")] = place{s.TraceID(), s.SpanID(), s.ParentSpanID()}
		}
		return all
	}
	want := places(made(t, identified(), source, apps, infra))
	require.Len(t, want, 3)
	root := want["flux-system"]
	assert.Empty(t, root.parent)
	for _, child := range []string{"apps", "infra"} {
		assert.Equal(t, root.trace, want[child].trace)
		assert.Equal(t, root.span, want[child].parent)
	}
	assert.NotEqual(t, want["apps"].span, want["infra"].span)
	for _, order := range [][]fluxevent.Event{{apps, infra, source}, {infra, source, apps}, {source, infra, apps}} {
		assert.Equal(t, want, places(made(t, identified(), order...)))
		alone := map[string]place{}
		for _, e := range order {
			alone[e.InvolvedObject.Name] = places(made(t, identified(), e))[e.InvolvedObject.Name]
		}
		assert.Equal(t, want, alone, "a connector for each")
	}
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	trace := func(config *Config, resource map[string]string) pcommon.TraceID {
		sink := &consumertest.TracesSink{}
		logs := logsOf(happens(0, "GitRepository", "flux-system", revision))
		for key, value := range resource {
			logs.ResourceLogs().At(0).Resource().Attributes().PutStr(key, value)
		}
		require.NoError(t, connect(t, config, sink).ConsumeLogs(t.Context(), logs))
		return spansOf(sink.AllTraces()...)[0].TraceID()
	}
	defaults := createDefaultConfig().(*Config)
	both := map[string]string{"k8s.cluster.name": "prod", "k8s.cluster.uid": "218fc5a9"}
	assert.Equal(t, fluxtrace.TraceID("flux_trace/tests", revision), trace(defaults, nil))
	assert.Equal(t, fluxtrace.TraceID("prod", revision), trace(defaults, map[string]string{"k8s.cluster.name": "prod"}))
	assert.Equal(t, fluxtrace.TraceID("218fc5a9", revision), trace(defaults, both))
	assert.Equal(t, fluxtrace.TraceID("prod-eu", revision), trace(identified(), both))
	assert.Equal(t, "819fc03ab70acc3a2e1f20ac2d90c24c",
		trace(&Config{Identity: "df905058-dd67-a409-fef8-1480e81e4736", Memory: defaults.Memory}, nil).String(),
		"the uid of an alert makes the trace that Flux makes for it")
}

func TestOtherRecordsAreLeftOut(t *testing.T) {
	t.Parallel()
	sink := &consumertest.TracesSink{}
	c := connect(t, identified(), sink)
	foreign := logsOf(happens(0, "Kustomization", "apps", revision))
	foreign.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0).SetEventName("k8s.event")
	for _, logs := range []plog.Logs{plog.NewLogs(), foreign, logsOf(happens(0, "HelmRepository", "podinfo", "sha256:"+commit))} {
		require.NoError(t, c.ConsumeLogs(t.Context(), logs))
	}
	assert.Empty(t, sink.AllTraces(), "the next consumer is not bothered with nothing")

	mixed := logsOf(happens(0, "Kustomization", "apps", revision), happens(1, "Kustomization", "infra", revision))
	mixed.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0).SetEventName("")
	require.NoError(t, c.ConsumeLogs(t.Context(), mixed))
	require.Equal(t, 1, sink.SpanCount())
	require.Equal(t, 1, sink.AllTraces()[0].ResourceSpans().Len(), "no resource without a span")
}

func TestResourceAndScope(t *testing.T) {
	t.Parallel()
	sink := &consumertest.TracesSink{}
	logs := logsOf(happens(0, "Kustomization", "apps", revision))
	logs.ResourceLogs().At(0).SetSchemaUrl("https://opentelemetry.io/schemas/1.30.0")
	logs.ResourceLogs().At(0).Resource().Attributes().PutStr("k8s.cluster.name", "prod")
	untouched := plog.NewLogs()
	logs.CopyTo(untouched)
	logs.MarkReadOnly()
	c := connect(t, identified(), sink)
	assert.False(t, c.Capabilities().MutatesData)
	require.NoError(t, c.ConsumeLogs(t.Context(), logs))
	assert.Equal(t, untouched.ResourceLogs().At(0).Resource().Attributes().AsRaw(), logs.ResourceLogs().At(0).Resource().Attributes().AsRaw())

	spans := sink.AllTraces()[0].ResourceSpans().At(0)
	assert.Equal(t, "https://opentelemetry.io/schemas/1.30.0", spans.SchemaUrl())
	assert.Equal(t, untouched.ResourceLogs().At(0).Resource().Attributes().AsRaw(), spans.Resource().Attributes().AsRaw())
	scope := spans.ScopeSpans().At(0)
	assert.Equal(t, "github.com/fluxnotify/otelcol-flux/connector/fluxtraceconnector", scope.Scope().Name())
	assert.Equal(t, "1.2.3", scope.Scope().Version())
	assert.Regexp(t, `^https://opentelemetry.io/schemas/`, scope.SchemaUrl())
}

// refuses is a consumer that takes nothing until it is told to.
type refuses struct {
	consumertest.TracesSink
	with error
}

func newRefusing(err error) (*refuses, consumer.Traces) {
	r := &refuses{with: err}
	next, _ := consumer.NewTraces(func(ctx context.Context, traces ptrace.Traces) error {
		if r.with != nil {
			return r.with
		}
		return r.ConsumeTraces(ctx, traces)
	})
	return r, next
}

// TestWhatIsRefusedIsMadeAgain proves that an error of the next consumer comes
// back as it is, and that the second try makes the very same spans.
func TestWhatIsRefusedIsMadeAgain(t *testing.T) {
	t.Parallel()
	events := []fluxevent.Event{
		happens(0, "GitRepository", "flux-system", revision),
		happens(3, "Kustomization", "apps", revision),
		with(happens(9, "Kustomization", "apps", revision), "commit_status", "update"),
		with(happens(11, "Kustomization", "apps", revision), "commit_status", "update"),
	}
	want := made(t, identified(), events...)
	require.Len(t, want, 3)

	failure := consumererror.NewPermanent(errors.New("no room"))
	r, next := newRefusing(nil)
	c := connect(t, identified(), next)
	require.NoError(t, c.ConsumeLogs(t.Context(), logsOf(events[1])))
	r.with = failure
	for range 3 {
		require.Equal(t, failure, c.ConsumeLogs(t.Context(), logsOf(events[0], events[2], events[3])))
	}
	r.with = nil
	require.NoError(t, c.ConsumeLogs(t.Context(), logsOf(events[0], events[2], events[3])))
	got := spansOf(r.AllTraces()...)
	require.Len(t, got, 3)
	for i, j := range []int{1, 0, 2} {
		assert.Equal(t, want[j], got[i])
	}
}

// TestManyAtOnce has many senders at once; every trace has one root still.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	const senders = 8
	sink := &consumertest.TracesSink{}
	c := connect(t, identified(), sink)
	var group sync.WaitGroup
	for sender := range senders {
		group.Go(func() {
			for i := range 50 {
				source := happens(i, "GitRepository", "source-"+string(rune('a'+sender)), revision)
				applied := happens(i, "Kustomization", "apps", revision)
				assert.NoError(t, c.ConsumeLogs(t.Context(), logsOf(source, applied)))
			}
		})
	}
	group.Wait()
	spans := spansOf(sink.AllTraces()...)
	roots := slices.DeleteFunc(slices.Clone(spans), func(s ptrace.Span) bool { return !isRoot(s) })
	require.NotEmpty(t, roots)
	for _, root := range roots {
		assert.Equal(t, attribute(roots[0], "object.name"), attribute(root, "object.name"), "two roots")
	}
}

func TestLifecycle(t *testing.T) {
	t.Parallel()
	c := connect(t, identified(), consumertest.NewNop())
	var _ component.Component = c
	require.NoError(t, c.Shutdown(t.Context()), "before Start")
	require.NoError(t, c.Start(t.Context(), nil))
	require.NoError(t, c.Shutdown(t.Context()))
	require.NoError(t, c.Shutdown(t.Context()))
}

// TestHostileEvents proves that a strict receiver can read every span.
func TestHostileEvents(t *testing.T) {
	t.Parallel()
	for name, e := range providertest.Hostile() {
		sink := &consumertest.TracesSink{}
		require.NoError(t, connect(t, identified(), sink).ConsumeLogs(t.Context(), logsOf(e)))
		require.Equal(t, 1, sink.SpanCount(), name)
		span := spansOf(sink.AllTraces()...)[0]
		assert.False(t, span.TraceID().IsEmpty(), name)
		assert.False(t, span.SpanID().IsEmpty(), name)
		// What the connector writes; the resource is the sender's.
		traces := sink.AllTraces()[0]
		pcommon.NewResource().CopyTo(traces.ResourceSpans().At(0).Resource())
		body, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(traces)
		require.NoError(t, err)
		require.NoError(t, proto.Unmarshal(body, &tracepb.TracesData{}), name)
	}
}
