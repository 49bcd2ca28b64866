package alert

import (
	"fmt"
	"maps"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

const objectGroup = "kustomize.toolkit.fluxcd.io/"

const eventGroup = fluxevent.Group + "/"

func eventWith(metadata map[string]string) *fluxevent.Event {
	e := event()
	e.Metadata = metadata
	return e
}

func TestNotifyCombinesMetadata(t *testing.T) {
	t.Parallel()
	type fields = []notify.Field
	tests := map[string]struct {
		config Config
		event  map[string]string
		want   fields
	}{
		"nothing":       {},
		"event's group": {event: map[string]string{eventGroup + "team": "a"}, want: fields{{Key: "team", Value: "a"}}},
		"object's group": {
			event: map[string]string{objectGroup + "revision": "main@sha1:7"},
			want:  fields{{Key: "revision", Value: "main@sha1:7"}},
		},
		"the alert's": {
			config: Config{EventMetadata: map[string]string{"cluster": "eu"}},
			want:   fields{{Key: "cluster", Value: "eu", Operator: true}},
		},
		"summary": {config: Config{Summary: "production"}, want: fields{{Key: "summary", Value: "production", Operator: true}}},
		"all of it, sorted by key": {
			config: Config{Summary: "s", EventMetadata: map[string]string{"z": "1", "cluster": "eu"}},
			event:  map[string]string{eventGroup + "team": "a", objectGroup + "revision": "r", eventGroup + "App": "b"},
			want: fields{
				{Key: "App", Value: "b"},
				{Key: "cluster", Value: "eu", Operator: true},
				{Key: "revision", Value: "r"},
				{Key: "summary", Value: "s", Operator: true},
				{Key: "team", Value: "a"},
				{Key: "z", Value: "1", Operator: true},
			},
		},
		"the alert's over the event's group": {
			config: Config{EventMetadata: map[string]string{"k": "alert"}},
			event:  map[string]string{eventGroup + "k": "event"},
			want:   fields{{Key: "k", Value: "alert", Operator: true}},
		},
		"the summary over the alert's": {
			config: Config{Summary: "summary", EventMetadata: map[string]string{"summary": "alert"}},
			event:  map[string]string{eventGroup + "summary": "event"},
			want:   fields{{Key: "summary", Value: "summary", Operator: true}},
		},
		"the object's group over the summary": {
			config: Config{Summary: "summary", EventMetadata: map[string]string{"summary": "alert"}},
			event:  map[string]string{eventGroup + "summary": "event", objectGroup + "summary": "object"},
			want:   fields{{Key: "summary", Value: "object"}},
		},
		"the object's group over the alert's": {
			config: Config{EventMetadata: map[string]string{"revision": "alert"}},
			event:  map[string]string{objectGroup + "revision": "object"},
			want:   fields{{Key: "revision", Value: "object"}},
		},
		"controllers' own business": {
			event: map[string]string{
				objectGroup + "checksum": "c", objectGroup + "digest": "d", objectGroup + "token": "t", objectGroup + "tokens": "kept",
			},
			want: fields{{Key: "tokens", Value: "kept"}},
		},
		"an author's own business": {
			config: Config{EventMetadata: map[string]string{"token": "alert"}},
			event:  map[string]string{eventGroup + "checksum": "c", eventGroup + "digest": "d", eventGroup + "token": "t", objectGroup + "token": "x"},
			want:   fields{{Key: "checksum", Value: "c"}, {Key: "digest", Value: "d"}, {Key: "token", Value: "alert", Operator: true}},
		},
		"junk": {event: map[string]string{
			"": "1", "revision": "2", "/revision": "3", "helm.toolkit.fluxcd.io/revision": "6",
			"kustomize.toolkit.fluxcd.io": "7", "kustomize.toolkit.fluxcd.io.x/a": "8", "x" + eventGroup + "a": "9", "KUSTOMIZE.toolkit.fluxcd.io/a": "10",
		}},
		"an empty key":       {event: map[string]string{objectGroup: "4", eventGroup: "5"}, want: fields{{Value: "4"}}},
		"a key with slashes": {event: map[string]string{eventGroup + "a/b/c": "1"}, want: fields{{Key: "a/b/c", Value: "1"}}},
		"an empty value":     {event: map[string]string{eventGroup + "a": ""}, want: fields{{Key: "a"}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := maps.Clone(test.event)
			a := newAlert(t, &test.config)
			n := a.Notify(eventWith(test.event))
			if len(test.want) == 0 {
				assert.Empty(t, n.Fields)
				assert.Nil(t, n.Event.Metadata)
			} else {
				assert.Equal(t, test.want, n.Fields)
			}
			flat := map[string]string{}
			for _, f := range test.want {
				flat[f.Key] = f.Value
			}
			for key, value := range n.Event.Metadata {
				assert.Equal(t, flat[key], value)
			}
			assert.Len(t, n.Event.Metadata, len(flat))
			assert.Equal(t, before, test.event, "the event's own map is left alone")
			for range 20 {
				assert.Equal(t, n.Fields, a.Notify(eventWith(test.event)).Fields, "whatever the order of maps")
			}
		})
	}
}

// An empty group would make every key that begins with / the object's.
func TestNotifyWithoutObjectGroup(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"", "v1", "/v1"} {
		e := eventWith(map[string]string{"/revision": "1", "v1/revision": "2", "revision": "3", eventGroup + "team": "a"})
		e.InvolvedObject.APIVersion = version
		assert.Equal(t, []notify.Field{{Key: "team", Value: "a"}}, newAlert(t, &Config{}).Notify(e).Fields, version)
	}
}

// An object of the events' own group is not given its keys twice.
func TestNotifyOfTheEventsGroup(t *testing.T) {
	t.Parallel()
	e := eventWith(map[string]string{eventGroup + "team": "event"})
	e.InvolvedObject.APIVersion = eventGroup + "v1"
	n := newAlert(t, &Config{EventMetadata: map[string]string{"team": "alert"}}).Notify(e)
	assert.Equal(t, []notify.Field{{Key: "team", Value: "alert", Operator: true}}, n.Fields)
}

func TestNotifyKeepsTheEvent(t *testing.T) {
	t.Parallel()
	e := eventWith(map[string]string{eventGroup + "team": "a", "junk": "b"})
	got := newAlert(t, &Config{}).Notify(e).Event
	want := *e
	want.Metadata = map[string]string{"team": "a"}
	assert.Equal(t, want, got)
	assert.Len(t, e.Metadata, 2, "the event is left as it was")
}

// Many keys are found in another way than few.
func TestNotifyCombinesManyKeys(t *testing.T) {
	t.Parallel()
	config := Config{EventMetadata: map[string]string{}, Summary: "summary"}
	metadata := map[string]string{eventGroup + "summary": "event"}
	want := []notify.Field{}
	for i := range 100 {
		key := fmt.Sprintf("k%02d", i)
		field := notify.Field{Key: key, Value: "event"}
		metadata[eventGroup+key] = "event"
		if i%2 == 0 {
			config.EventMetadata[key] = "alert"
			field = notify.Field{Key: key, Value: "alert", Operator: true}
		}
		if i%5 == 0 {
			metadata[objectGroup+key] = "object"
			field = notify.Field{Key: key, Value: "object"}
		}
		want = append(want, field)
	}
	want = append(want, notify.Field{Key: "summary", Value: "summary", Operator: true})
	core, logs := observer.New(zap.WarnLevel)
	a, err := New(&config, zap.New(core))
	require.NoError(t, err)
	assert.Equal(t, want, a.Notify(eventWith(metadata)).Fields)
	assert.Equal(t, 61, logs.Len(), "a warning for each key with several values")
}

func TestEverything(t *testing.T) {
	t.Parallel()
	e := eventWith(map[string]string{
		eventGroup + "team": "a", eventGroup + "revision": "event", objectGroup + "revision": "object", objectGroup + "token": "t", "junk": "b",
	})
	n := Everything(e)
	assert.Equal(t, []notify.Field{{Key: "revision", Value: "object"}, {Key: "team", Value: "a"}}, n.Fields)
	assert.Equal(t, notify.Alert{}, n.Alert)
	assert.Len(t, e.Metadata, 5)
}

func TestCluster(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		cluster string
		config  Config
		event   map[string]string
		want    notify.Field
	}{
		"known":       {cluster: "eu", want: notify.Field{Value: "eu"}},
		"unknown":     {event: map[string]string{eventGroup + "cluster": "us"}, want: notify.Field{Value: "us"}},
		"blank":       {cluster: " ", event: map[string]string{eventGroup + "cluster": "us"}, want: notify.Field{Value: "us"}},
		"no cluster":  {},
		"the event's": {cluster: "eu", event: map[string]string{eventGroup + "cluster": "us"}, want: notify.Field{Value: "eu"}},
		"the object's group": {
			cluster: "eu", event: map[string]string{objectGroup + "cluster": "us"}, want: notify.Field{Value: "eu"},
		},
		"of a forwarded event": {cluster: "eu", event: map[string]string{"cluster": "us"}, want: notify.Field{Value: "eu"}},
		"the alert's": {
			cluster: "eu", config: Config{EventMetadata: map[string]string{"cluster": "Europe"}},
			event: map[string]string{eventGroup + "cluster": "us", objectGroup + "cluster": "asia"},
			want:  notify.Field{Value: "Europe", Operator: true},
		},
		"the alert's, blank": {
			cluster: "eu", config: Config{EventMetadata: map[string]string{"cluster": ""}}, want: notify.Field{Value: "eu"},
		},
		"the alert's and a blank one": {
			cluster: " ", config: Config{EventMetadata: map[string]string{"cluster": "Europe"}}, event: map[string]string{objectGroup + "cluster": "asia"},
			want: notify.Field{Value: "asia"},
		},
		"the alert's without a known one": {
			config: Config{EventMetadata: map[string]string{"cluster": "Europe"}}, event: map[string]string{objectGroup + "cluster": "asia"},
			want: notify.Field{Value: "asia"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := eventWith(test.event)
			e.Cluster = test.cluster
			want := []notify.Field{}
			if test.want.Value != "" {
				test.want.Key = "cluster"
				want = append(want, test.want)
			}
			assert.Equal(t, want, newAlert(t, &test.config).Notify(e).Fields)
			if test.config.EventMetadata == nil {
				assert.Equal(t, want, Everything(e).Fields)
			}
		})
	}
}

func TestConflictsAreLoggedOnce(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.DebugLevel)
	config := &Config{Name: "apps", Namespace: "flux-system", EventMetadata: map[string]string{"k": "alert", "same": "v", "own": "x"}}
	one, err := New(config, zap.New(core))
	require.NoError(t, err)
	two, err := New(config, zap.New(core))
	require.NoError(t, err)

	e := eventWith(map[string]string{eventGroup + "k": "event", eventGroup + "same": "v", objectGroup + "revision": "r"})
	for range 3 {
		one.Notify(e)
	}
	require.Equal(t, 1, logs.Len(), "the same value twice is no conflict")
	entry := logs.TakeAll()[0]
	assert.Equal(t, zap.WarnLevel, entry.Level)
	assert.Equal(t, map[string]any{"alert": "flux-system/apps", "key": "k", "object": "Kustomization/apps/webapp"}, entry.ContextMap())

	e.InvolvedObject.Name = "other"
	one.Notify(e)
	assert.Zero(t, logs.Len(), "not for every object")
	e.Metadata[objectGroup+"own"] = "y"
	one.Notify(e)
	require.Equal(t, 1, logs.Len(), "but for every key")
	assert.Equal(t, "own", logs.TakeAll()[0].ContextMap()["key"])
	two.Notify(e)
	assert.Equal(t, 2, logs.Len(), "and for every alert")
}

func BenchmarkNotify(b *testing.B) {
	a := newAlert(b, &Config{
		Name: "apps", Namespace: "flux-system", EventMetadata: map[string]string{"cluster": "eu", "env": "prod"}, Summary: "production",
	})
	e := eventWith(map[string]string{eventGroup + "team": "a", objectGroup + "revision": "main@sha1:5394cb7f", objectGroup + "token": "t"})
	b.ReportAllocs()
	for b.Loop() {
		a.Notify(e)
	}
}

func TestForwardedEventsKeepTheirMetadata(t *testing.T) {
	t.Parallel()
	e := fluxevent.Event{
		InvolvedObject: fluxevent.Object{Kind: "Kustomization", Name: "webapp", APIVersion: "kustomize.toolkit.fluxcd.io/v1"},
		Metadata:       map[string]string{"revision": "main@sha1:731f7ea", "env": "prod"},
	}
	assert.Equal(t, []notify.Field{{Key: "env", Value: "prod"}, {Key: "revision", Value: "main@sha1:731f7ea"}}, Everything(&e).Fields)
	e.Metadata["kustomize.toolkit.fluxcd.io/revision"] = "main@sha1:5394cb7"
	assert.Equal(t, []notify.Field{{Key: "revision", Value: "main@sha1:5394cb7"}}, Everything(&e).Fields,
		"with prefixes about, keys without one are nobody's")
}
