package datadog_test

import (
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/DataDog/datadog-api-client-go/v2/api/datadogV1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/datadog"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func provider(t *testing.T, address string) notify.Provider {
	t.Helper()
	p, err := datadog.New(providertest.Complete(t, notify.Settings{Address: address, Token: "sample-token"}))
	require.NoError(t, err)
	return p
}

// render reads what is sent as Datadog's own Go type does, and nothing besides.
func render(t *testing.T, n *notify.Notification) *datadogV1.EventCreateRequest {
	t.Helper()
	payloads, err := provider(t, "https://api.datadoghq.com").Render(n)
	require.NoError(t, err)
	require.Len(t, payloads, 1)
	var e datadogV1.EventCreateRequest
	require.NoError(t, e.UnmarshalJSON(payloads[0].Body))
	require.Nil(t, e.UnparsedObject, "a value that Datadog does not know")
	require.Empty(t, e.AdditionalProperties, "a field that Datadog does not know")
	return &e
}

func TestEvent(t *testing.T) {
	t.Parallel()
	e := render(t, providertest.Notification(t, providertest.Event(t, "kustomization-annotated")))
	assert.Equal(t, datadogV1.EVENTALERTTYPE_ERROR, e.GetAlertType())
	assert.Equal(t, "fluxcd", e.GetSourceTypeName())
	assert.Equal(t, []string{
		"flux_reporting_controller:kustomize-controller", "flux_reason:reconciliationfailed",
		"kube_kind:kustomization", "kube_name:apps", "kube_namespace:flux-system",
	}, e.Tags[:5])
	assert.Equal(t, "summary:production apps (eu-west-1)", e.Tags[len(e.Tags)-1])

	e = render(t, providertest.Notification(t, providertest.Event(t, "kustomization-no-timestamp")))
	assert.Equal(t, providertest.Observed.Unix(), e.GetDateHappened(), "when it arrived")
}

func TestMarkupOfEventsIsShown(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]string{
		"100%, 50%":                    "100%, 50%",
		"%%% \n# x\n %%%":              "%\u200b%\u200b% \n# x\n %\u200b%\u200b%",
		"chart podinfo@6.5.0, a@b.c":   "chart podinfo@6.5.0, a@b.c",
		"@all (@slack-ops) @a@b.c é@x": "@\u200ball (@\u200bslack-ops) @\u200ba@b.c é@x",
		"@" + "@pagerduty":             "@\u200b@\u200bpagerduty",
		"\xff@x":                       "\uFFFD@\u200bx",
	} {
		e := providertest.Event(t, "kustomization-failed")
		e.Message = message
		assert.Equal(t, want, render(t, providertest.NotificationWith(t, e, nil)).GetText())
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	for _, unit := range []string{"x", "部", "🚀", "%", "@"} {
		e := providertest.Event(t, "kustomization-failed")
		e.Message = strings.Repeat(unit, 5000)
		e.InvolvedObject.Name = strings.Repeat("n", 253)
		e.Metadata = map[string]string{fluxevent.Group + "/long": strings.Repeat(unit, 300)}
		got := render(t, providertest.NotificationWith(t, e, nil))
		assert.Equal(t, "Events from the Kustomization "+e.InvolvedObject.Name+"/flux-system", got.GetTitle())
		assert.Equal(t, 4000, utf8.RuneCountInString(got.GetText()), unit)
		assert.NotContains(t, got.GetText(), "%%", unit)
		for _, tag := range got.Tags {
			assert.LessOrEqual(t, utf8.RuneCountInString(tag), 200, unit)
		}
		e.InvolvedObject.Kind = strings.Repeat("k", 600)
		got = render(t, providertest.NotificationWith(t, e, nil))
		assert.Equal(t, 500, utf8.RuneCountInString(got.GetTitle()))
	}
}

func TestAddress(t *testing.T) {
	t.Parallel()
	var asked, key string
	server := providertest.Server(t, func(w http.ResponseWriter, r *http.Request) {
		asked, key = r.URL.Path, r.Header.Get("DD-API-KEY")
		w.WriteHeader(http.StatusAccepted)
	})
	for _, path := range []string{"", "/", "/api/v1/events", "/a%2Fb"} {
		p := provider(t, server.URL+path)
		require.NoError(t, p.Deliver(t.Context(), providertest.Payload(t, p)))
		assert.Equal(t, "/api/v1/events", asked)
		assert.Equal(t, "sample-token", key)
	}
}
