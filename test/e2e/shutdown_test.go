package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// The queue in memory is all there is: what was answered 202 has to be sent
// before the end.
func TestStopDrainsTheQueue(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	s := newSink(t, func(request) answer { return answer{after: 300 * time.Millisecond} })
	c.Start(generic(s.URL))
	events := numbered(60)
	c.acceptAtOnce(events)
	assert.Less(t, len(s.Accepted()), len(events), "nothing was left to drain")
	c.Stop()
	assert.Len(t, s.Accepted(), len(events))
	assertAll(t, events, s.Accepted())
	assert.Empty(t, c.Lines("\terror\t"))
}

// What a stop loses is said, one line for each notification.
func TestStopReportsWhatIsLost(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	c.Start(generic("http://" + loopback(freePort(t)) + c.Secret("path of a webhook", "/hook/s3cr3t-lost")))
	events := numbered(20)
	c.Accept(events...)
	c.Stop()
	for _, e := range events {
		assert.Len(t, c.Lines("\terror\t", "notification not sent", "Kustomization/flux-system/"+e.InvolvedObject.Name+`"`), 1)
	}
}

// One collector forwards to another what that one verifies and tells.
func TestChain(t *testing.T) {
	t.Parallel()
	front, back, s := newCollector(t), newCollector(t), newSink(t, nil)
	key := front.Secret("key between the collectors", "chain-key-0815")
	back.Secret("key between the collectors", key)
	back.Start(spec{
		receiver:  `signature: {keys: ["` + back.Secret("key that was replaced", "replaced-key-0815") + `", "` + key + `"]}`,
		exporters: `flux_notify: {type: generic, address: "` + s.URL + `"}`,
	})
	front.Start(spec{exporters: `
flux_notify:
  type: generic-hmac
  address: http://` + back.events + `/
  token: ` + key + `
  compression: gzip
`})
	e := newEvent("apps", "through two collectors: ünï <code>")
	e.Metadata = map[string]string{"event.toolkit.fluxcd.io/summary": summary, "kustomize.toolkit.fluxcd.io/revision": revision}
	front.Accept(e)
	got := s.Wait(1)[0].event(t)
	front.Stop()
	back.Stop()
	assert.Len(t, s.Requests(), 1)
	assert.Equal(t, e.Message, got.Message)
	assert.Equal(t, e.InvolvedObject, got.InvolvedObject)
	assert.True(t, e.Timestamp.Equal(&got.Timestamp))
	assert.Equal(t, e.ReportingInstance, got.ReportingInstance)
}
