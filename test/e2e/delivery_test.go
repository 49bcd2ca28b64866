package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func generic(address string) spec {
	return spec{exporters: `
flux_notify:
  type: generic
  address: ` + address + `
  retry_on_failure: {initial_interval: 50ms, max_interval: 200ms}
`}
}

func TestRepeatedUntilAccepted(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	s := newSink(t, func(r request) answer {
		if r.n <= 2 {
			return answer{status: http.StatusServiceUnavailable, body: "come again"}
		}
		return answer{}
	})
	c.Start(generic(s.URL + c.Secret("path of a webhook", "/hook/s3cr3t-503")))
	c.Accept(newEvent("apps", "once"))
	s.Wait(1)
	require.Eventually(t, func() bool { return c.Notifications("sent") == 1 }, patience, tick)
	assert.Zero(t, c.Notifications("failed"))
	c.Stop()
	require.Len(t, s.Requests(), 3)
	assert.Len(t, s.Accepted(), 1)
	for _, r := range s.Requests() {
		assert.Equal(t, s.Requests()[0].body, r.body, "a repetition differs")
	}
}

func TestPatienceThatTheEndpointAsksFor(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	s := newSink(t, func(r request) answer {
		if r.n == 1 {
			return answer{status: http.StatusTooManyRequests, header: map[string]string{"Retry-After": "2"}}
		}
		return answer{}
	})
	c.Start(generic(s.URL))
	c.Accept(newEvent("apps", "first"))
	// Those of other objects have to wait too, as soon as the answer is there:
	// the endpoint means all.
	s.WaitUntil(func() bool { return len(c.Lines("Kustomization/flux-system/apps", "429")) > 0 })
	c.Accept(newEvent("infra", "second"))
	s.Wait(2)
	c.Stop()
	requests := s.Requests()
	require.Len(t, requests, 3)
	for _, r := range requests[1:] {
		assert.GreaterOrEqual(t, r.at.Sub(requests[0].at), 2*time.Second)
	}
}

// One record that is refused must neither repeat nor lose its neighbours.
func TestBatchWithOneRefused(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	token := c.Secret("token of the endpoint", "quoted-token-0123456789")
	s := newSink(t, func(r request) answer {
		a := refusing("poison", http.StatusBadRequest)(r)
		if a.status != 0 {
			// An endpoint that quotes what it was sent.
			a.body = "cannot take poison from " + r.header.Get("X-Api-Key") + "\nsecond line"
		}
		return a
	})
	c.Start(spec{exporters: `
flux_notify:
  type: generic
  address: ` + s.URL + `/hook
  headers: {X-Api-Key: "` + token + `"}
  retry_on_failure: {initial_interval: 50ms, max_interval: 200ms}
`})
	records := make([]logRecord, 100)
	want := map[string]int{}
	for i := range records {
		body := fmt.Sprintf("record %d", i)
		if i == 42 {
			body = "poison"
		} else {
			want[body] = 1
		}
		records[i] = logRecord{body: body, severity: 9, attributes: map[string]string{
			"k8s.object.kind": "Deployment", "k8s.object.name": fmt.Sprintf("app-%d", i), "k8s.namespace.name": "apps",
		}}
	}
	c.PostRecords(map[string]string{"service.name": "checkout"}, records...)
	require.Eventually(t, func() bool { return c.Notifications("sent")+c.Notifications("failed") == 100 }, patience, tick)
	assert.Equal(t, 99, c.Notifications("sent"))
	assert.Equal(t, 1, c.Count("otelcol_exporter_flux_notify_notifications",
		`outcome="failed"`, `error_type="400"`, `flux_provider_type="generic"`))
	c.Stop()
	assert.Equal(t, want, messages(t, s.Accepted()))
	assert.Len(t, s.Requests(), 100)
	lines := c.Lines("Deployment/apps/app-42")
	require.Len(t, lines, 1, "the failure is to be logged once, naming the object")
	assert.Contains(t, lines[0], "\terror\t")
	assert.Contains(t, lines[0], "400 Bad Request: cannot take poison from ")
	assert.Contains(t, lines[0], `"provider_type": "generic"`)
}

// The collector leaves out of its log most of the lines that say the same. Each
// failure is another: whose notification is missing must be found there.
func TestEveryFailureIsLogged(t *testing.T) {
	t.Parallel()
	c, s := newCollector(t), newSink(t, func(request) answer { return answer{status: http.StatusBadRequest} })
	config := generic(s.URL)
	config.sampled = true
	c.Start(config)
	events := numbered(20)
	c.Accept(events...)
	require.Eventually(t, func() bool { return c.Notifications("failed") == len(events) }, patience, tick)
	c.Stop()
	for _, e := range events {
		assert.Len(t, c.Lines("\terror\t", "Kustomization/flux-system/"+e.InvolvedObject.Name+`"`), 1, e.InvolvedObject.Name)
	}
}

// A redirect followed would turn the POST into a GET, and carry what is secret
// to a stranger.
func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	c, elsewhere := newCollector(t), newSink(t, nil)
	s := newSink(t, func(request) answer {
		return answer{status: http.StatusFound, header: map[string]string{"Location": elsewhere.URL + "/elsewhere/s3cr3t-place"}}
	})
	c.Secret("path in the Location", "/elsewhere/s3cr3t-place")
	c.Start(generic(s.URL + c.Secret("path of a webhook", "/hook/s3cr3t-302")))
	c.Accept(newEvent("apps", "moved"))
	require.Eventually(t, func() bool {
		return c.Count("otelcol_exporter_flux_notify_notifications", `outcome="failed"`, `error_type="302"`) == 1
	}, patience, tick)
	c.Stop()
	assert.Len(t, s.Requests(), 1)
	assert.Empty(t, elsewhere.Requests())
	lines := c.Lines("Kustomization/flux-system/apps")
	require.Len(t, lines, 1)
	assert.Contains(t, lines[0], elsewhere.host(), "the other host is to be named")
}
