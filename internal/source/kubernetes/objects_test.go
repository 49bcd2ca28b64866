package kubernetes

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

func object(fields map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: fields}
}

// Only what is a setting is kept of an object.
func TestTrim(t *testing.T) {
	t.Parallel()
	o := &objectFeed{kind: kindProvider}
	kept := o.trim(object(map[string]any{
		"apiVersion": "notification.toolkit.fluxcd.io/v1", "kind": "Provider",
		"metadata": map[string]any{
			"name": "a", "namespace": "apps", "uid": "u", "resourceVersion": "7", "generation": int64(3), "labels": map[string]any{"a": "b"},
			"annotations": map[string]any{"notify.fluxnotify.io/title": "x", "kubectl.kubernetes.io/last-applied-configuration": "y"},
		},
		"spec": map[string]any{"type": "slack"}, "status": map[string]any{"a": "b"},
	}))
	assert.Equal(t, map[string]any{
		"apiVersion": "notification.toolkit.fluxcd.io/v1", "kind": "Provider",
		"metadata": map[string]any{"name": "a", "namespace": "apps", "uid": "u", "annotations": map[string]any{"notify.fluxnotify.io/title": "x"}},
		"spec":     map[string]any{"type": "slack"},
	}, kept)
	assert.Nil(t, o.trim(&metav1.PartialObjectMetadata{}))
}

// Hostile values name nothing.
func TestReferences(t *testing.T) {
	t.Parallel()
	metadata := map[string]any{"name": "a", "namespace": "apps"}
	provider := map[string]any{"metadata": metadata, "spec": map[string]any{
		"secretRef": map[string]any{"name": "s"}, "certSecretRef": map[string]any{"name": "../x"}, "proxySecretRef": "p",
	}}
	assert.Equal(t, []types.NamespacedName{{Namespace: "apps", Name: "s"}}, secretsOf(provider))
	assert.Empty(t, secretsOf(map[string]any{"spec": "x"}))
	labels := map[string]any{"team": "a"}
	alert := map[string]any{"spec": map[string]any{"eventSources": []any{
		map[string]any{"kind": "Kustomization", "matchLabels": labels},
		map[string]any{"kind": "Bucket"},
		map[string]any{"matchLabels": labels},
		"x", nil,
		map[string]any{"kind": 7, "matchLabels": labels},
		map[string]any{"kind": "HelmRelease", "matchLabels": "x"},
	}}}
	assert.Equal(t, []string{"Kustomization"}, labelKinds(alert))
	assert.Empty(t, labelKinds(map[string]any{"spec": map[string]any{"eventSources": "x"}}))
}

func TestSecretData(t *testing.T) {
	t.Parallel()
	data := secretData(object(map[string]any{"data": map[string]any{"token": "b25l", "broken": "?"}}))
	assert.Equal(t, map[string][]byte{"token": []byte("one")}, data)
	assert.NotNil(t, secretData(object(map[string]any{})), "a Secret without data exists")
}

// Labels are forgotten ten minutes after the object.
func TestLabelRetention(t *testing.T) {
	t.Parallel()
	l := newLabels(t.Context(), nil, nil, nil, []string{""})
	kind := &labelKind{objects: map[types.NamespacedName]labelled{}}
	l.kinds["Kustomization"] = kind
	f := &labelFeed{labels: l, kind: kind}
	name := func(n string) types.NamespacedName { return types.NamespacedName{Namespace: "apps", Name: n} }
	f.replace(map[types.NamespacedName]any{name("a"): map[string]string{"x": "1"}, name("b"): map[string]string{}})
	f.replace(map[types.NamespacedName]any{name("b"): map[string]string{}})
	f.set(name("b"), nil)
	f.set(name("c"), nil)
	l.sweep(time.Now().Add(labelRetention - time.Minute))
	labels, ok := l.get("Kustomization", "apps", "a")
	assert.True(t, ok)
	assert.Equal(t, map[string]string{"x": "1"}, labels)
	labels["x"] = "2" // a copy
	f.set(name("b"), map[string]string{"y": "1"})
	l.sweep(time.Now().Add(labelRetention + time.Minute))
	_, ok = l.get("Kustomization", "apps", "a")
	assert.False(t, ok)
	labels, ok = l.get("Kustomization", "apps", "b")
	assert.True(t, ok, "it exists again")
	assert.Equal(t, map[string]string{"y": "1"}, labels)
	assert.Len(t, kind.objects, 1)
}

// storage fails, or holds data.
type storage struct {
	data  []byte
	err   error
	saves int
}

func (s *storage) Load(context.Context) ([]byte, error) { return s.data, s.err }

func (s *storage) Save(_ context.Context, data []byte) error {
	s.saves++
	if s.err == nil {
		s.data = data
	}
	return s.err
}

func TestState(t *testing.T) {
	t.Parallel()
	all, one := []string{""}, []string{"apps"}
	objects := []map[string]any{
		{"metadata": map[string]any{"namespace": "apps", "name": "a"}, "spec": map[string]any{"n": int64(1)}},
		{"metadata": map[string]any{"namespace": "infra", "name": "a"}},
	}
	core, logs := observer.New(zap.WarnLevel)
	s := &storage{}
	k := keeper{state: s, log: zap.New(core)}
	assert.Nil(t, k.load(t.Context(), all))
	k.keep(objects, nil)
	due, needed := k.due(time.Now())
	assert.True(t, needed)
	assert.Zero(t, due)
	s.err = errors.New("disk full")
	k.save(t.Context())
	due, needed = k.due(time.Now())
	assert.True(t, needed, "it is tried again")
	assert.Positive(t, due)
	s.err = nil
	k.save(t.Context())
	k.save(t.Context())
	assert.Equal(t, 2, s.saves)
	k.keep(objects, nil)
	_, needed = k.due(time.Now())
	assert.False(t, needed, "nothing has changed")

	k = keeper{state: s, log: zap.New(core)}
	loaded := k.load(t.Context(), all)
	require.NotNil(t, loaded)
	assert.Equal(t, objects, loaded.of(kindProvider, ""))
	assert.Len(t, loaded.of(kindProvider, "infra"), 1)
	assert.Empty(t, loaded.of(kindAlert, ""))
	assert.Equal(t, objects[:1], k.load(t.Context(), one).Providers)
	k.keep(objects, nil)
	_, needed = k.due(time.Now())
	assert.False(t, needed, "it is saved already")
	assert.Equal(t, 1, logs.Len())

	for text, warnings := range map[string]int{`{`: 1, `{"version": 2}`: 1, `{"version": 1}`: 0, strings.Repeat("\x00", 10): 1} {
		before := logs.Len()
		k := keeper{state: &storage{data: []byte(text)}, log: zap.New(core)}
		assert.Equal(t, warnings == 0, k.load(t.Context(), all) != nil, text)
		assert.Equal(t, warnings, logs.Len()-before, text)
	}
	k = keeper{state: &storage{err: errors.New("closed")}, log: zap.New(core)}
	assert.Nil(t, k.load(t.Context(), all))
	k = keeper{}
	k.keep(objects, nil)
	_, needed = k.due(time.Now())
	assert.False(t, needed)
}
