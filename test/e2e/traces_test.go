package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"testing"
	"time"

	eventv1 "github.com/fluxcd/pkg/apis/event/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// span is what the tests look at of one.
type span struct {
	TraceID      string `json:"traceId"`
	SpanID       string `json:"spanId"`
	ParentSpanID string `json:"parentSpanId"`
	Name         string `json:"name"`
	Start        string `json:"startTimeUnixNano"`
	End          string `json:"endTimeUnixNano"`
	Status       struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"status"`
	Attributes []struct {
		Key   string `json:"key"`
		Value struct {
			String string `json:"stringValue"`
		} `json:"value"`
	} `json:"attributes"`
}

// spans are those of accepted requests, in the order of their arrival.
func (s *sink) spans() []span {
	s.t.Helper()
	var all []span
	for _, r := range s.Path("/v1/traces") {
		var body struct {
			ResourceSpans []struct {
				ScopeSpans []struct {
					Spans []span `json:"spans"`
				} `json:"scopeSpans"`
			} `json:"resourceSpans"`
		}
		if err := json.Unmarshal([]byte(r.body), &body); err != nil {
			assert.Fail(s.t, "these are no traces", "%v: %s", err, r.body)
			continue
		}
		for _, resource := range body.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				all = append(all, scope.Spans...)
			}
		}
	}
	return all
}

func (s span) attribute(key string) string {
	for _, a := range s.Attributes {
		if a.Key == key {
			return a.Value.String
		}
	}
	return ""
}

func (s span) duration(t *testing.T) time.Duration {
	t.Helper()
	start, err := strconv.ParseInt(s.Start, 10, 64)
	require.NoError(t, err)
	end, err := strconv.ParseInt(s.End, 10, 64)
	require.NoError(t, err)
	return time.Duration(end - start)
}

const (
	deployedCommit   = "5394cb7f48332b2de7c17dd8b8384bbc84b7e738"
	deployedRevision = "main@sha1:" + deployedCommit
)

// fetched is a new artifact of the source that the other events apply.
func fetched() eventv1.Event {
	e := newEvent("flux-system", "stored artifact for commit 'Bump podinfo'")
	e.InvolvedObject.Kind, e.InvolvedObject.APIVersion = "GitRepository", "source.toolkit.fluxcd.io/v1"
	e.Reason, e.ReportingController = "NewArtifact", "source-controller"
	e.Metadata = map[string]string{"source.toolkit.fluxcd.io/revision": deployedRevision}
	return e
}

// applied is what a Kustomization reports of it, so many seconds later.
func applied(message string, after int) eventv1.Event {
	e := newEvent("apps", message)
	e.Timestamp.Time = e.Timestamp.Add(time.Duration(after) * time.Second)
	e.Metadata = map[string]string{"kustomize.toolkit.fluxcd.io/revision": deployedRevision}
	return e
}

// A revision is one trace, from the source to what became of it, although the
// collector was restarted in its middle and a child came before its parent.
func TestTraces(t *testing.T) {
	t.Parallel()
	s := newSink(t, nil)
	c := newCollector(t)
	c.Start(spec{
		connector: "{identity: prod-eu}",
		traces:    "otlp_http: {endpoint: '" + s.URL + "', encoding: json, compression: none}",
	})
	failed := applied("health check failed", 124)
	failed.Severity, failed.Reason = eventv1.EventSeverityError, "HealthCheckFailed"
	c.Accept(applied("Deployment/apps/podinfo configured", 4), failed)
	s.WaitUntil(func() bool { return len(s.spans()) == 2 })
	c.Stop()
	c.Again()
	c.Accept(fetched())
	s.WaitUntil(func() bool { return len(s.spans()) == 3 })
	c.Stop()

	spans := map[string]span{}
	for _, each := range s.spans() {
		spans[each.attribute("flux.event.message")] = each
	}
	sum := sha256.Sum256([]byte("prod-eu:" + deployedRevision))
	root := spans["stored artifact for commit 'Bump podinfo'"]
	assert.Equal(t, "GitRepository: flux-system/flux-system", root.Name)
	assert.Equal(t, hex.EncodeToString(sum[:16]), root.TraceID)
	assert.Empty(t, root.ParentSpanID)
	for message, want := range map[string]struct {
		status   int
		duration time.Duration
	}{
		"Deployment/apps/podinfo configured": {1, 0},
		"health check failed":                {2, 2 * time.Minute},
	} {
		child := spans[message]
		assert.Equal(t, "Kustomization: flux-system/apps", child.Name, message)
		assert.Equal(t, root.TraceID, child.TraceID, message)
		assert.Equal(t, root.SpanID, child.ParentSpanID, message)
		assert.Equal(t, want.status, child.Status.Code, message)
		assert.Equal(t, want.duration, child.duration(t), message)
		assert.Equal(t, deployedCommit, child.attribute("vcs.ref.head.revision"), message)
		assert.Equal(t, deployedRevision, child.attribute("revision"), message)
	}
}

// Without a queue the sender hears of it where nobody takes the traces, and what
// it sends again is the same span.
func TestTracesThatNobodyTakes(t *testing.T) {
	t.Parallel()
	s := newSink(t, func(r request) answer {
		if r.n == 1 {
			return answer{status: http.StatusServiceUnavailable}
		}
		return answer{}
	})
	c := newCollector(t)
	c.Start(spec{traces: `
otlp_http:
  endpoint: ` + s.URL + `
  encoding: json
  compression: none
  sending_queue: {enabled: false}
  retry_on_failure: {enabled: false}
`})
	assert.Equal(t, http.StatusServiceUnavailable, c.Post(fetched()).status)
	c.Accept(fetched())
	c.Stop()
	require.Len(t, s.Requests(), 2)
	assert.Equal(t, s.Requests()[0].body, s.Requests()[1].body)
	require.Len(t, s.spans(), 1)
}

// The provider type makes the spans that Flux makes, and a refusal in the answer
// is a failure in the endpoint's words.
func TestSpansOfAnAlert(t *testing.T) {
	t.Parallel()
	s := newSink(t, func(r request) answer {
		if r.n == 1 {
			return answer{}
		}
		return answer{
			header: map[string]string{"Content-Type": "application/json"},
			body:   `{"partialSuccess":{"rejectedSpans":"1","errorMessage":"the span is too old"}}`,
		}
	})
	c := newCollector(t)
	token := c.Secret("token", "otlp-token-0123456789")
	c.Start(spec{exporters: `
flux_notify/otel:
  type: otel
  address: ` + s.URL + `
  token: ` + token + `
  headers: {X-Scope-OrgID: tenant}
  compression: gzip
  alerts: [{name: alert, namespace: flux-system, uid: df905058-dd67-a409-fef8-1480e81e4736, event_sources: [{kind: '*', namespace: '*'}]}]
`})
	c.Accept(fetched())
	s.Wait(1)
	c.Accept(applied("Deployment/apps/podinfo configured", 4))
	require.Eventually(t, func() bool { return c.Notifications("failed") == 1 }, patience, tick)
	assert.Equal(t, 1, c.Notifications("sent"))
	assert.NotEmpty(t, c.Lines("rejected the span: the span is too old"))
	c.Stop()
	require.Len(t, s.Requests(), 2, "a rejection is final")
	r := s.Requests()[0]
	assert.Equal(t, "/v1/traces", r.path)
	assert.Equal(t, "Bearer "+token, r.header.Get("Authorization"))
	assert.Equal(t, "tenant", r.header.Get("X-Scope-OrgID"))
	assert.Equal(t, "gzip", r.header.Get("Content-Encoding"))
	assert.Equal(t, "application/x-protobuf", r.header.Get("Content-Type"))
}
