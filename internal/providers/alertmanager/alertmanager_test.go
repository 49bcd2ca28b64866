package alertmanager_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/alertmanager"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCredentials(t *testing.T) {
	t.Parallel()
	var authorization string
	server := providertest.Server(t, func(_ http.ResponseWriter, r *http.Request) { authorization = r.Header.Get("Authorization") })
	withUser := strings.Replace(server.URL, "http://", "http://address:word@", 1)
	for _, c := range []struct {
		name     string
		settings notify.Settings
		want     string
	}{
		{"none", notify.Settings{Address: server.URL}, ""},
		{"token", notify.Settings{Address: withUser, Token: "sample-token", Username: "flux", Password: "word"}, "Bearer sample-token"},
		{"user", notify.Settings{Address: withUser, Username: "flux", Password: "word"}, "Basic Zmx1eDp3b3Jk"},
		{"address", notify.Settings{Address: withUser}, "Basic YWRkcmVzczp3b3Jk"},
	} {
		p, err := alertmanager.New(providertest.Complete(t, c.settings))
		require.NoError(t, err)
		require.NoError(t, p.Deliver(t.Context(), providertest.Payload(t, p)))
		assert.Equal(t, c.want, authorization, c.name)
	}
}

func TestLabels(t *testing.T) {
	t.Parallel()
	p, err := alertmanager.New(providertest.Complete(t, notify.Settings{Address: "http://127.0.0.1"}))
	require.NoError(t, err)
	e := providertest.Event(t, "kustomization-failed")
	e.ReportingController = ""
	e.Metadata = map[string]string{
		fluxevent.Group + "/app-version": "6.5.0",
		fluxevent.Group + "/empty":       "",
		fluxevent.Group + "/severity":    "critical",
		fluxevent.Group + "/summary":     "the apps",
	}
	payloads, err := p.Render(providertest.NotificationWith(t, e, nil))
	require.NoError(t, err)
	var alerts []struct {
		Labels, Annotations map[string]string
	}
	require.NoError(t, json.Unmarshal(payloads[0].Body, &alerts))
	require.Len(t, alerts, 1)
	assert.Equal(t, map[string]string{
		"alertname": "FluxKustomization" + "Reconciliationfailed", "severity": "error", "reason": e.Reason,
		"kind": "Kustomization", "name": e.InvolvedObject.Name, "namespace": e.InvolvedObject.Namespace, "app_version": "6.5.0",
	}, alerts[0].Labels, "valid names, no empty values, the event's own over the metadata's")
	assert.Equal(t, map[string]string{"message": e.Message, "summary": "the apps"}, alerts[0].Annotations)
}
