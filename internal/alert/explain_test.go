package alert_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/fluxnotify/otelcol-flux/internal/alert"
	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// Every rule that filters is explained by what of the alert and of the event
// made it do so.
func TestExplain(t *testing.T) {
	t.Parallel()
	e := &fluxevent.Event{
		InvolvedObject: fluxevent.Object{Kind: "Kustomization", Namespace: "apps", Name: "webapp"},
		Severity:       "info", Message: "waiting for the socket", Cluster: "dev",
	}
	for want, c := range map[string]alert.Config{
		"the alert is suspended":                                {Suspend: true},
		"none of its sources matches Kustomization apps/webapp": {EventSources: []alert.SourceConfig{{Kind: "HelmRelease"}, {Kind: "Kustomization", Name: "other"}}},
		"none of its sources matches Kustomization apps/webapp: one would, but for its labels, which the event does not carry":   {EventSources: []alert.SourceConfig{{Kind: "HelmRelease"}, {Kind: "Kustomization", Namespace: "apps", MatchLabels: map[string]string{"team": "a"}}}},
		`none of its sources matches Kustomization apps/webapp: one would in cluster "prod-*", but the event's cluster is "dev"`: {EventSources: []alert.SourceConfig{{Kind: "Kustomization", Namespace: "flux-system", Cluster: "dev"}, {Kind: "*", Namespace: "apps", Cluster: "prod-*"}}},
		`it wants errors, and the event's severity is "info"`:                                                                    {EventSeverity: "error"},
		`the message matches "^waiting.*socket"`:                                                                                 {ExclusionList: []string{"^never", "^waiting.*socket"}},
		"the message matches none of its expressions":                                                                            {InclusionList: []string{"succeeded"}},
	} {
		c.Name, c.Namespace = "all", "flux-system"
		a, err := alert.New(&c, zap.NewNop())
		require.NoError(t, err)
		assert.Equal(t, notify.Alert{Name: "all", Namespace: "flux-system", UID: a.Ref().UID}, a.Ref())
		rule, filtered := a.Filters(e)
		require.True(t, filtered, want)
		assert.Equal(t, want, a.Explain(e, rule))
		assert.Empty(t, a.Explain(e, "no such rule"))
	}
}

func TestExplainClusters(t *testing.T) {
	t.Parallel()
	e := &fluxevent.Event{InvolvedObject: fluxevent.Object{Kind: "Kustomization", Namespace: "apps", Name: "webapp"}}
	c := alert.Config{EventSources: []alert.SourceConfig{{Kind: "*", Cluster: "prod"}}}
	explain := func() string {
		a, err := alert.New(&c, zap.NewNop())
		require.NoError(t, err)
		return a.Explain(e, alert.RuleEventSources)
	}
	assert.Equal(t, `none of its sources matches Kustomization apps/webapp: one would in cluster "prod", but the event's cluster is unknown`, explain())
	c.EventSources = append(c.EventSources, alert.SourceConfig{Kind: "*", MatchLabels: map[string]string{"team": "a"}})
	assert.Contains(t, explain(), "but for its labels", "the nearer source explains it")
}
