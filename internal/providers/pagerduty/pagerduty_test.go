package pagerduty_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	api "github.com/PagerDuty/go-pagerduty"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/pagerduty"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const routingKey = "0123456789abcdef0123456789abcdef"

func provider(t *testing.T, address string) notify.Provider {
	t.Helper()
	p, err := pagerduty.New(providertest.Complete(t, notify.Settings{Address: address, Channel: routingKey}))
	require.NoError(t, err)
	return p
}

// render reads what is sent as PagerDuty's own Go types do, and nothing
// besides.
func render(t *testing.T, e fluxevent.Event, operator map[string]string) (api.V2Event, *api.ChangeEvent) {
	t.Helper()
	payloads, err := provider(t, "https://events.pagerduty.com").Render(providertest.NotificationWith(t, e, operator))
	require.NoError(t, err)
	require.NotEmpty(t, payloads)
	require.LessOrEqual(t, len(payloads), 2)
	read := func(p notify.Payload, into any) {
		assert.LessOrEqual(t, len(p.Body), 512_000)
		d := json.NewDecoder(bytes.NewReader(p.Body))
		d.DisallowUnknownFields()
		require.NoError(t, d.Decode(into))
	}
	var event api.V2Event
	read(payloads[0], &event)
	assert.Equal(t, "/v2/enqueue", payloads[0].Path)
	assert.Equal(t, routingKey, event.RoutingKey)
	if len(payloads) == 1 {
		return event, nil
	}
	change := &api.ChangeEvent{}
	read(payloads[1], change)
	assert.Equal(t, "/v2/change/enqueue", payloads[1].Path)
	assert.Equal(t, routingKey, change.RoutingKey)
	return event, change
}

func TestEvents(t *testing.T) {
	t.Parallel()
	event, change := render(t, providertest.Event(t, "kustomization-health-check-failed"), nil)
	assert.Equal(t, "trigger", event.Action)
	require.NotNil(t, event.Payload)
	assert.Equal(t, "health check failed: kustomization/apps", event.Payload.Summary)
	assert.Equal(t, "Flux kustomize-controller", event.Payload.Source)
	assert.Equal(t, "error", event.Payload.Severity)
	assert.Equal(t, "apps", event.Payload.Component)
	assert.Equal(t, "Kustomization", event.Payload.Group)
	assert.Nil(t, change, "an error is no change")

	e := providertest.Event(t, "kustomization-succeeded")
	event, change = render(t, e, map[string]string{"cluster": "prod-eu"})
	assert.Equal(t, "resolve", event.Action)
	assert.Equal(t, e.InvolvedObject.UID, event.DedupKey)
	assert.Nil(t, event.Payload)
	require.NotNil(t, change)
	assert.Equal(t, "reconciliation succeeded: kustomization/apps", change.Payload.Summary)
	assert.Equal(t, e.Message, change.Payload.CustomDetails["message"])
	assert.Equal(t, "prod-eu", change.Payload.CustomDetails["metadata"].(map[string]any)["cluster"])

	event, change = render(t, providertest.Event(t, "kustomization-trace"), nil)
	assert.Equal(t, "resolve", event.Action)
	assert.Nil(t, change, "a trace is too little for the timeline")
}

func TestDedupKeyIsTheObjects(t *testing.T) {
	t.Parallel()
	key := func(change func(*fluxevent.Object)) string {
		e := providertest.Event(t, "kustomization-failed")
		change(&e.InvolvedObject)
		event, _ := render(t, e, nil)
		assert.NotEmpty(t, event.DedupKey)
		assert.LessOrEqual(t, utf8.RuneCountInString(event.DedupKey), 255)
		return event.DedupKey
	}
	assert.Equal(t, "Kustomization/flux-system/apps", key(func(o *fluxevent.Object) { o.UID = "" }))
	assert.Equal(t, "Kustomization/flux-system/apps", key(func(o *fluxevent.Object) { o.UID = " " }))
	long := strings.Repeat("n", 253)
	one := key(func(o *fluxevent.Object) { o.UID, o.Name = "", long })
	assert.NotEqual(t, one, key(func(o *fluxevent.Object) { o.UID, o.Name, o.Kind = "", long, "HelmRelease" }))
	assert.Equal(t, one, key(func(o *fluxevent.Object) { o.UID, o.Name = "", long }))
	assert.NotEmpty(t, key(func(o *fluxevent.Object) { *o = fluxevent.Object{} }))
}

func TestLimits(t *testing.T) {
	t.Parallel()
	e := providertest.Event(t, "kustomization-failed")
	e.InvolvedObject.Name = strings.Repeat("n", 253)
	e.Reason = strings.Repeat("部", 2000)
	e.Message = strings.Repeat("<\"", 200_000)
	event, _ := render(t, e, map[string]string{"summary": "Production apps"})
	assert.Equal(t, 1024, utf8.RuneCountInString(event.Payload.Summary))
	assert.True(t, strings.HasSuffix(event.Payload.Summary, "… (truncated): kustomization/"+e.InvolvedObject.Name), "the object is whole")
	details := event.Payload.Details.(map[string]any)
	assert.True(t, strings.HasSuffix(details["message"].(string), "… (truncated)"))

	operator := map[string]string{"summary": strings.Repeat("s", 20_000)}
	for i := range 40 {
		operator[fmt.Sprintf("key-%02d", i)] = strings.Repeat("é&", 10_000)
	}
	e.Severity = fluxevent.SeverityInfo
	_, change := render(t, e, operator)
	require.NotNil(t, change)
	metadata := change.Payload.CustomDetails["metadata"].(map[string]any)
	assert.Len(t, metadata, 42, "with the revision")
	assert.Equal(t, operator["summary"], metadata["summary"], "the summary is whole")
	assert.Greater(t, len(change.Payload.CustomDetails["message"].(string)), 1000, "metadata leaves the message its least")
}

func TestAddressIsAHost(t *testing.T) {
	t.Parallel()
	var paths []string
	server := providertest.Server(t, func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.RequestURI)
		w.WriteHeader(http.StatusAccepted)
	})
	p := provider(t, server.URL+"/ignored/path?q=1#f")
	payloads, err := p.Render(providertest.Notification(t, providertest.Event(t, "kustomization-succeeded")))
	require.NoError(t, err)
	for _, payload := range payloads {
		require.NoError(t, p.Deliver(t.Context(), payload))
	}
	assert.Equal(t, []string{"/v2/enqueue", "/v2/change/enqueue"}, paths)
}

func TestRoutingKeyIsASecret(t *testing.T) {
	t.Parallel()
	server := providertest.Server(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.Copy(w, r.Body)
	})
	p := provider(t, server.URL)
	var e *notify.Error
	require.ErrorAs(t, p.Deliver(t.Context(), providertest.Payload(t, p)), &e)
	assert.Equal(t, notify.Permanent, e.Class)
	assert.Contains(t, e.Error(), "event_action", "the answer is quoted")
	assert.NotContains(t, e.Error(), routingKey)
}
