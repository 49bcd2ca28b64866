package fluxmanifest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Objects of the Kubernetes API are read as those of files are, but for lines.
func TestObjectsOfTheAPI(t *testing.T) {
	t.Parallel()
	m := New()
	m.AddObject(map[string]any{
		"apiVersion": group + "v1beta3", "kind": "Provider",
		"metadata": map[string]any{"name": "chat", "namespace": "apps", "uid": "u1", "generation": int64(3), "managedFields": []any{map[string]any{}}},
		"spec": map[string]any{
			"type": "slack", "address": "https://slack.com/api/chat.postMessage", "channel": "general", "suspend": true, "timeout": "30s",
			"secretRef": map[string]any{"name": "token"}, "certSecretRef": map[string]any{"name": "ca"}, "serviceAccountName": "tenant",
		},
		"status": map[string]any{"x": 1.5, "y": nil},
	})
	m.AddObject(map[string]any{
		"apiVersion": group + "v1beta3", "kind": "Alert", "metadata": map[string]any{"name": "good", "namespace": "apps"},
		"spec": map[string]any{
			"providerRef":   map[string]any{"name": "chat"},
			"eventSources":  []any{map[string]any{"kind": "Kustomization", "name": "*", "matchLabels": map[string]any{"team": "a"}}},
			"eventMetadata": map[string]any{"number": "5", "yes": "true", "none": "null"},
		},
	})
	m.AddObject(map[string]any{
		"apiVersion": group + "v1beta3", "kind": "Alert", "metadata": map[string]any{"name": "bad", "namespace": "apps"},
		"spec": map[string]any{"providerRef": map[string]any{"name": "chat"}, "eventSources": []any{}, "inclusionList": []any{"("}, "summary": int64(5), "extra": []any{}},
	})
	m.AddObject(map[string]any{"apiVersion": "v1", "kind": "ConfigMap"})
	m.AddObject(map[string]any{})
	assert.Equal(t, []SecretRef{{"apps", "ca"}, {"apps", "token"}}, m.SecretRefs())
	m.AddSecret("apps", "token", map[string][]byte{"token": []byte(canary)})

	results := m.Results(Options{ServiceAccounts: true, Labels: true})
	require.Len(t, results.Providers, 1)
	r := results.Providers[0]
	assert.Equal(t, "apps/chat u1 tenant", r.Namespace+"/"+r.Name+" "+r.UID+" "+r.ServiceAccountName)
	assert.Equal(t, map[string]any{
		"type": "slack", "address": "https://slack.com/api/chat.postMessage", "channel": "general", "suspend": true, "timeout": "30s", "uid": "u1",
	}, r.Settings)
	assert.Equal(t, canary, string(r.Secret["token"]))
	require.Len(t, r.Alerts, 1)
	assert.Equal(t, map[string]any{
		"name": "good", "namespace": "apps", "event_metadata": map[string]any{"number": "5", "yes": "true", "none": "null"},
		"event_sources": []any{map[string]any{"kind": "Kustomization", "name": "*", "match_labels": map[string]any{"team": "a"}}},
	}, r.Alerts[0].Settings)
	assert.False(t, r.Ready)
	assert.Equal(t, []string{
		"Provider apps/chat: spec.certSecretRef: there is no Secret apps/ca",
		"Alert apps/bad: spec.inclusionList[0]: error parsing regexp: missing closing ): `(` (the syntax is that of https://pkg.go.dev/regexp/syntax)",
		"Alert apps/bad: spec.summary: must be a string: put it in quotes",
	}, lines("/none", r.Faults))
	assert.Empty(t, results.Faults)
	assert.Equal(t, []string{"Alert apps/bad: spec.extra: is not a field of this kind, and is ignored"}, lines("/none", results.Warnings))

	m.AddMissingSecret("apps", "ca", "cannot be read: forbidden")
	r = m.Results(Options{}).Providers[0]
	assert.Equal(t, "Provider apps/chat: spec.certSecretRef: the Secret apps/ca cannot be read: forbidden", r.Faults[0].String())
	assert.Contains(t, r.Faults[1].String(), "spec.serviceAccountName: is not supported here")
	assert.Contains(t, m.Results(Options{}).Warnings.Error(), "eventSources[0].matchLabels: Flux's events do not have the labels")
	m.AddSecret("apps", "ca", nil)
	assert.True(t, m.Results(Options{ServiceAccounts: true}).Providers[0].Ready)
}

// No text takes long to read, and none ends the process.
func TestHostileTexts(t *testing.T) {
	t.Parallel()
	size := 1<<20 - 1000
	if testing.Short() {
		size = 1 << 17
	}
	fill := func(part string) string { return strings.Repeat(part, size/len(part)) }
	head := "apiVersion: " + group + "v1\nkind: Alert\nmetadata: {name: a, namespace: b}\nspec:\n"
	var anchors strings.Builder
	anchors.WriteString("a0: &a0 [x]\n")
	for i := range 40 {
		fmt.Fprintf(&anchors, "a%d: &a%d [*a%d, *a%d, *a%d]\n", i+1, i+1, i, i, i)
	}
	for name, text := range map[string]string{
		"nothing":               "",
		"comments":              fill("#\n"),
		"lists in lists":        fill("["),
		"maps in maps":          fill("{a: "),
		"indentation":           fill("- "),
		"questions":             fill("? "),
		"anchors":               anchors.String() + "spec: *a40\n",
		"documents":             fill("---\n"),
		"bytes":                 fill("\x00\xff"),
		"quotes":                fill("'"),
		"keys":                  "kind: Alert\n" + fill("a: b\n"),
		"tabs":                  fill("\t"),
		"a list of lists":       "apiVersion: v1\nkind: List\nitems:\n" + fill("- {apiVersion: v1, kind: List}\n"),
		"one object repeatedly": "apiVersion: v1\nkind: List\nitems:\n- &a {apiVersion: " + group + "v1, kind: Alert, metadata: {name: a, namespace: b}, spec: {summary: 5}}\n" + fill("- *a\n"),
		"sources":               head + "  providerRef: {name: a}\n  eventSources: [" + fill("{}, ") + "]\n",
		"unknown fields":        head + fill("  abcdefg: 1\n"),
		"metadata":              head + "  eventMetadata: {" + fill("a: 1, ") + "}\n",
		"expressions":           head + "  inclusionList: [" + fill("'(', ") + "]\n",
		"merges":                "a: &a {b: c}\n" + head + "  <<: [" + fill("*a, ") + "]\n",
		"merged in itself":      head + "  &a\n  <<: *a\n",
		"a long name":           strings.Replace(head, "name: a,", "name: "+fill("a")+",", 1),
		"a long kind":           "apiVersion: " + group + "v1\nkind: " + fill("a"),
		"a long version":        "kind: Alert\nmetadata: {name: a}\napiVersion: " + group + fill("a"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			m := New()
			m.add(parseFile("flux.yaml", []byte(text)))
			results := m.Results(Options{})
			assert.Less(t, time.Since(began), 30*time.Second, "without the race detector it is less than one")
			assert.Less(t, len(results.Faults.Error()), 100_000)
			assert.Less(t, len(results.Warnings.Error()), 100_000)
		})
	}
}

// A file of the largest size without aliases is read as a whole.
func TestManySmallObjects(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	n := 0
	for b.Len() < 1<<20-200 {
		fmt.Fprintf(&b, "---\nkind: Alert\napiVersion: "+group+"v1\nmetadata: {name: a%d, namespace: b}\nspec: {providerRef: {name: a}, eventSources: []}\n", n)
		n++
	}
	f := parseFile("flux.yaml", []byte(b.String()))
	assert.Len(t, f.alerts, n)
	for _, a := range f.alerts {
		require.Empty(t, a.faults)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(provider + alert + secretHead + "data: {a: YQ==}\n")
	f.Add("&a\napiVersion: v1\nkind: List\nitems: [*a, {<<: *a}]\n")
	f.Fuzz(func(_ *testing.T, text string) {
		m := New()
		m.add(parseFile("flux.yaml", []byte(text)))
		_ = m.Results(Options{NoCrossNamespaceRefs: true}).Faults.Error()
		_, _, _ = Translate(m, Collector{Options: Options{Secrets: SecretsFromEnvironment}})
	})
}
