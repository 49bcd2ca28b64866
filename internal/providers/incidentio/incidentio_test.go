package incidentio_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/incidentio"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// alertEvent is all that incident.io's reference knows of such a request.
type alertEvent struct {
	Title            string         `json:"title"`
	Status           string         `json:"status"`
	DeduplicationKey string         `json:"deduplication_key"`
	Description      string         `json:"description"`
	Metadata         map[string]any `json:"metadata"`
	SourceURL        string         `json:"source_url"`
}

func render(t *testing.T, e fluxevent.Event, operator map[string]string) alertEvent {
	t.Helper()
	p, err := incidentio.New(providertest.Complete(t, notify.Settings{Address: "https://api.incident.io/v2/alert_events/http/01", Token: "sample-token"}))
	require.NoError(t, err)
	payloads, err := p.Render(providertest.NotificationWith(t, e, operator))
	require.NoError(t, err)
	require.Len(t, payloads, 1)
	var a alertEvent
	d := json.NewDecoder(bytes.NewReader(payloads[0].Body))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&a))
	return a
}

func TestAlerts(t *testing.T) {
	t.Parallel()
	e := providertest.Event(t, "kustomization-health-check-failed")
	a := render(t, e, map[string]string{"severity": "critical", "team": "apps"})
	assert.Equal(t, "firing", a.Status)
	assert.Equal(t, "kustomization/apps.flux-system: HealthCheckFailed", a.Title)
	assert.Equal(t, e.Message, a.Description)
	assert.Equal(t, e.InvolvedObject.UID, a.DeduplicationKey)
	assert.Equal(t, "error", a.Metadata["severity"], "the event's own counts")
	assert.Equal(t, "apps", a.Metadata["team"])

	for _, name := range []string{"kustomization-succeeded", "kustomization-trace"} {
		assert.Equal(t, "resolved", render(t, providertest.Event(t, name), nil).Status, name)
	}
}

func TestDeduplicationKeyIsNeverEmpty(t *testing.T) {
	t.Parallel()
	for _, uid := range []string{"", " "} {
		e := providertest.Event(t, "kustomization-failed")
		e.InvolvedObject.UID = uid
		failed := render(t, e, nil).DeduplicationKey
		assert.Equal(t, "Kustomization/flux-system/apps", failed)
		e.Severity = fluxevent.SeverityInfo
		assert.Equal(t, failed, render(t, e, nil).DeduplicationKey, "what fires is what resolves")
	}
}
