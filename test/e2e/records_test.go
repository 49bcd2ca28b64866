package e2e

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A record of any pipeline can be told.
func TestAnyRecord(t *testing.T) {
	t.Parallel()
	c, s := newCollector(t), newSink(t, nil)
	errors := c.Secret("path of the Slack webhook for errors", "/services/T1/B1/errors0123")
	warnings := c.Secret("path of the Slack webhook for warnings", "/services/T1/B1/warnings0123")
	c.Start(spec{exporters: `
flux_notify/errors:
  type: slack
  address: ` + s.URL + errors + `
  alerts: [{name: errors, event_severity: error, event_sources: [{kind: Deployment, name: 'check*', namespace: shop}]}]
flux_notify/warnings:
  type: slack
  address: ` + s.URL + warnings + `
  error_severity: warn
  alerts: [{name: warnings, event_severity: error}]
flux_notify/events:
  type: generic
  address: ` + s.URL + `/events
`})
	resource := map[string]string{"k8s.deployment.name": "checkout", "k8s.namespace.name": "shop", "service.name": "checkout-api"}
	c.PostRecords(resource, logRecord{body: "out of <memory>", severity: 17, attributes: map[string]string{"flux.event.metadata.team": "a"}})
	c.PostRecords(resource, logRecord{body: "memory is low", severity: 13})
	c.PostRecords(resource, logRecord{body: "all is well", severity: 9})
	s.WaitUntil(func() bool { return len(s.Path("/events")) == 3 })
	require.Eventually(t, func() bool { return c.Notifications("sent")+c.Notifications("filtered") == 9 }, patience, tick)
	assert.Equal(t, 6, c.Notifications("sent"))
	assert.Equal(t, 3, c.Count("otelcol_exporter_flux_notify_notifications", `outcome="filtered"`, `rule="event_severity"`))
	c.Stop()

	message := `{"username":"checkout-api","attachments":[{"fallback":"deployment/checkout.shop: out of &lt;memory&gt;","color":"danger",
		"author_name":"deployment/checkout.shop","text":"out of &lt;memory&gt;","mrkdwn_in":["text"],
		"fields":[{"title":"team","value":"a","short":false}]}]}`
	require.Len(t, s.Path(errors), 1)
	assert.JSONEq(t, message, s.Path(errors)[0].body)
	require.Len(t, s.Path(warnings), 2, "error_severity: warn makes 13 an error")
	assert.JSONEq(t, message, s.Path(warnings)[0].body)
	assert.JSONEq(t, `{"username":"checkout-api","attachments":[{"fallback":"deployment/checkout.shop: memory is low","color":"danger",
		"author_name":"deployment/checkout.shop","text":"memory is low","mrkdwn_in":["text"]}]}`, s.Path(warnings)[1].body)

	severities := map[string]string{}
	for _, r := range s.Path("/events") {
		e := r.event(t)
		assert.Equal(t, "Deployment", e.InvolvedObject.Kind)
		assert.Equal(t, "checkout", e.InvolvedObject.Name)
		assert.Equal(t, "shop", e.InvolvedObject.Namespace)
		severities[e.Message] = e.Severity
	}
	assert.Equal(t, map[string]string{"out of <memory>": "error", "memory is low": "info", "all is well": "info"}, severities)
}

// 202 is a promise; where the pipeline cannot keep it, Flux's client must come
// again, and is not told then that the event is a duplicate.
func TestFullQueueIsNotAccepted(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	release := make(chan struct{})
	s := newSink(t, func(request) answer {
		<-release
		return answer{}
	})
	c.Start(spec{exporters: `
flux_notify:
  type: generic
  address: ` + s.URL + `
  sending_queue: {queue_size: 2, num_consumers: 1}
`})
	events := numbered(10)
	refused := 0
	accepted := map[string]int{}
	for _, e := range events {
		res := c.Post(e)
		if res.status == http.StatusAccepted {
			accepted[e.Message] = 1
			continue
		}
		refused++
		assert.Equal(t, http.StatusServiceUnavailable, res.status, res.body)
		assert.NotEmpty(t, res.header.Get("Retry-After"))
	}
	assert.Positive(t, refused, "the queue took more than it has room for")
	close(release)
	s.Wait(len(accepted))
	for _, e := range events {
		if accepted[e.Message] == 0 {
			require.Eventually(t, func() bool { return c.Post(e).status == http.StatusAccepted }, patience, tick)
			accepted[e.Message] = 1
		}
	}
	c.Stop()
	assert.Equal(t, accepted, messages(t, s.Accepted()))
	assert.Len(t, accepted, len(events))
}
