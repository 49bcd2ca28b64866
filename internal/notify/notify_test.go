package notify_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

func event(metadata map[string]string) *fluxevent.Event {
	return &fluxevent.Event{
		InvolvedObject: fluxevent.Object{
			Kind: "HelmRelease", Namespace: "apps", Name: "Webapp", APIVersion: "helm.toolkit.fluxcd.io/v2",
		},
		Metadata: metadata,
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	original := map[string]string{"helm.toolkit.fluxcd.io/revision": "6.5.0"}
	e := event(maps.Clone(original))
	fields := []notify.Field{{Key: "revision", Value: "6.5.0"}, {Key: "cluster", Value: "prod", Operator: true}, {Key: "env", Value: ""}}
	n := notify.New(e, fields, notify.Alert{Name: "apps"})

	assert.Equal(t, []notify.Field{
		{Key: "cluster", Value: "prod", Operator: true}, {Key: "env", Value: ""}, {Key: "revision", Value: "6.5.0"},
	}, n.Fields, "sorted by key")
	assert.Equal(t, map[string]string{"cluster": "prod", "env": "", "revision": "6.5.0"}, n.Event.Metadata)
	assert.Equal(t, original, e.Metadata, "the event is not the notification's to change")
	assert.Equal(t, original, n.Own)
	assert.Equal(t, "apps", n.Alert.Name)
	assert.Equal(t, "helmrelease/Webapp.apps", n.Subject())

	assert.Nil(t, notify.New(event(original), nil, notify.Alert{}).Event.Metadata, "left out of the JSON, as Flux does")
}

func TestTime(t *testing.T) {
	t.Parallel()
	happened := time.Date(2026, time.March, 9, 12, 0, 0, 0, time.UTC)
	e := event(nil)
	e.Observed = happened.Add(time.Minute)
	assert.Equal(t, e.Observed, notify.New(e, nil, notify.Alert{}).Time())
	e.Timestamp = fluxevent.NewTime(happened)
	assert.Equal(t, happened, notify.New(e, nil, notify.Alert{}).Time())
}

func TestErrors(t *testing.T) {
	t.Parallel()
	e := notify.Permanentf("404", "no such channel: %w", io.EOF)
	assert.Equal(t, notify.Permanent, e.Class)
	assert.Equal(t, "404", e.Type)
	assert.Equal(t, "no such channel: EOF", e.Error())
	require.ErrorIs(t, e, io.EOF)
	assert.Equal(t, notify.Retryable, notify.Retryablef("timeout", "late").Class)

	assert.Same(t, e, notify.AsError(fmt.Errorf("deliver: %w", e)), "found however deep")
	unknown := notify.AsError(io.ErrUnexpectedEOF)
	assert.Equal(t, notify.Retryable, unknown.Class, "losing it would be worse than trying again")
	assert.Equal(t, "_OTHER", unknown.Type)
	require.ErrorIs(t, unknown, io.ErrUnexpectedEOF)
	joined := notify.AsError(errors.Join(io.EOF, e))
	assert.Same(t, e, joined)
}

func TestClassNames(t *testing.T) {
	t.Parallel()
	for class, want := range map[notify.Class]string{
		notify.Permanent: "permanent", notify.Retryable: "retryable", notify.Throttled: "throttled", 0: "Class(0)",
	} {
		assert.Equal(t, want, class.String())
	}
}

func TestTakes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		takes      notify.Takes
		apiVersion string
		metadata   map[string]string
		rule       string
	}{
		{"news", notify.TakesNews, "helm.toolkit.fluxcd.io/v2", nil, ""},
		{"an update", notify.TakesNews, "helm.toolkit.fluxcd.io/v2", map[string]string{"helm.toolkit.fluxcd.io/commit_status": "update"}, "commit_status_update"},
		{"an update for a machine", notify.TakesAll, "helm.toolkit.fluxcd.io/v2", map[string]string{"helm.toolkit.fluxcd.io/commit_status": "update"}, ""},
		{"another value", notify.TakesNews, "helm.toolkit.fluxcd.io/v2", map[string]string{"helm.toolkit.fluxcd.io/commit_status": "no"}, ""},
		{"another group's key", notify.TakesNews, "helm.toolkit.fluxcd.io/v2", map[string]string{"kustomize.toolkit.fluxcd.io/commit_status": "update"}, ""},
		{"a commit status of an update", notify.TakesCommits, "helm.toolkit.fluxcd.io/v2", map[string]string{"helm.toolkit.fluxcd.io/commit_status": "update"}, ""},
		{"a commit status of a commit", notify.TakesCommits, "helm.toolkit.fluxcd.io/v2", map[string]string{"event.toolkit.fluxcd.io/commit": ""}, ""},
		{"a commit status of nothing", notify.TakesCommits, "helm.toolkit.fluxcd.io/v2", map[string]string{"helm.toolkit.fluxcd.io/commit": "x"}, "no_commit_status"},
		{"a comment", notify.TakesChangeRequests, "helm.toolkit.fluxcd.io/v2", map[string]string{"event.toolkit.fluxcd.io/change_request": "7"}, ""},
		{"a comment on nothing", notify.TakesChangeRequests, "helm.toolkit.fluxcd.io/v2", map[string]string{"helm.toolkit.fluxcd.io/change_request": "7"}, "no_change_request"},
		{"no group", notify.TakesNews, "v1", map[string]string{"/commit_status": "update"}, ""},
	} {
		e := event(c.metadata)
		e.InvolvedObject.APIVersion = c.apiVersion
		rule, filtered := c.takes.Filters(e)
		assert.Equal(t, c.rule, rule, c.name)
		assert.Equal(t, c.rule != "", filtered, c.name)
	}
}

func TestMessageID(t *testing.T) {
	t.Parallel()
	n := notify.New(event(map[string]string{"a": "b"}), nil, notify.Alert{UID: "1"})
	body, err := n.EventJSON()
	require.NoError(t, err)
	assert.JSONEq(t, `{"involvedObject":{"kind":"HelmRelease","namespace":"apps","name":"Webapp","apiVersion":"helm.toolkit.fluxcd.io/v2"},`+
		`"severity":"","timestamp":null,"message":"","reason":"","reportingController":""}`, string(body), "without what no alert chose")
	id := n.MessageID(body)
	assert.Equal(t, id, n.MessageID(body))
	n.Alert.UID = "2"
	assert.NotEqual(t, id, n.MessageID(body), "another alert's")
}

func TestPlace(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, time.March, 9, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct{ at, arrived, want time.Time }{
		"before it arrived":      {noon, noon.Add(time.Second), noon},
		"by a clock ahead":       {noon.AddDate(1, 0, 0), noon, noon},
		"of no time":             {time.Time{}, noon, noon},
		"of no known arrival":    {noon, time.Time{}, noon},
		"arrived somewhere else": {noon.Add(time.Hour), noon.In(time.FixedZone("", 3600)), noon},
	} {
		e := fluxevent.Event{Observed: c.arrived, Timestamp: fluxevent.NewTime(c.at)}
		if c.at.IsZero() {
			e.Timestamp = fluxevent.Time{}
		}
		assert.Equal(t, c.want, notify.New(&e, nil, notify.Alert{}).Place(), name)
	}
}
