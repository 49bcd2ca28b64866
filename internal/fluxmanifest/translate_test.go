package fluxmanifest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEveryField(t *testing.T) {
	t.Parallel()
	got := translate(t, `
apiVersion: notification.toolkit.fluxcd.io/v1beta3
kind: Provider
metadata:
  name: status
  namespace: flux-system
  uid: 6f0a8c1e-0001-4000-8000-000000000001
spec:
  type: slack
  interval: 10m
  address: https://slack.com/api/chat.postMessage
  channel: general
  username: flux
  timeout: 1m30s
  proxy: http://proxy.example.com:3128
  secretRef: {name: token}
  certSecretRef: {name: ca}
  proxySecretRef: {name: proxy}
  suspend: true
status: {observedGeneration: 1}
---
apiVersion: notification.toolkit.fluxcd.io/v1beta3
kind: Alert
metadata:
  name: apps
  namespace: flux-system
  uid: 6f0a8c1e-0002-4000-8000-000000000002
  labels: {team: a}
spec:
  providerRef:
    name: status
  eventSeverity: error
  eventSources:
    - apiVersion: kustomize.toolkit.fluxcd.io/v1
      kind: Kustomization
      name: '*'
    - kind: HelmRelease
      name: webapp
      namespace: apps
      matchLabels: {team: a}
  inclusionList: ['.*succeeded.*$']
  exclusionList: ["waiting.*socket", "^Dependencies"]
  eventMetadata:
    cluster: prod-eu
    runbook: https://example.com/${cluster}
  summary: production
  suspend: true
`, Collector{Endpoint: "0.0.0.0:8787", Storage: "/var/lib/$flux", Options: Options{Secrets: SecretsMounted, SecretRoot: "/secrets"}})
	require.Empty(t, got.faults)
	assert.Equal(t, map[string]any{
		"receivers":  map[string]any{"flux_event": map[string]any{"endpoint": "0.0.0.0:8787"}},
		"extensions": map[string]any{"file_storage/flux": map[string]any{"directory": "/var/lib/$$flux", "create_directory": true}},
		"exporters": map[string]any{"flux_notify/flux-system.status": map[string]any{
			"type": "slack", "address": "https://slack.com/api/chat.postMessage", "channel": "general", "username": "flux",
			"timeout": "1m30s", "proxy_url": "http://proxy.example.com:3128", "suspend": true,
			"uid":        "6f0a8c1e-0001-4000-8000-000000000001",
			"secret_dir": "/secrets/flux-system/token", "cert_secret_dir": "/secrets/flux-system/ca", "proxy_secret_dir": "/secrets/flux-system/proxy",
			"sending_queue": map[string]any{"storage": "file_storage/flux"},
			"alerts": []any{map[string]any{
				"name": "apps", "namespace": "flux-system", "uid": "6f0a8c1e-0002-4000-8000-000000000002",
				"event_severity": "error",
				"event_sources": []any{
					map[string]any{"kind": "Kustomization", "name": "*"},
					map[string]any{"kind": "HelmRelease", "name": "webapp", "namespace": "apps", "match_labels": map[string]any{"team": "a"}},
				},
				"inclusion_list": []any{".*succeeded.*$$"},
				"exclusion_list": []any{"waiting.*socket", "^Dependencies"},
				"event_metadata": map[string]any{"cluster": "prod-eu", "runbook": "https://example.com/$${cluster}"},
				"summary":        "production",
				"suspend":        true,
			}},
		}},
		"service": map[string]any{
			"extensions": []any{"file_storage/flux"},
			"pipelines": map[string]any{"logs/flux-system.status": map[string]any{
				"receivers": []any{"flux_event"}, "exporters": []any{"flux_notify/flux-system.status"},
			}},
		},
	}, got.config)
	assert.Equal(t, []string{
		"flux.yaml:15: Provider flux-system/status: spec.proxy: is deprecated: use spec.proxySecretRef",
		"flux.yaml:40: Alert flux-system/apps: spec.eventSources[1].matchLabels: Flux's events do not have the labels of their objects: nothing matches until a processor adds attributes k8s.object.label.<key>",
		"flux.yaml:46: Alert flux-system/apps: spec.summary: is deprecated: use spec.eventMetadata.summary",
	}, got.warnings)
}

func TestTheLeast(t *testing.T) {
	t.Parallel()
	got := translate(t, provider+alert, Collector{})
	assert.Empty(t, got.warnings)
	assert.Equal(t, map[string]any{
		"type": "generic", "address": "https://example.com/hook",
		"alerts": []any{map[string]any{"name": "all", "namespace": "apps", "event_sources": []any{map[string]any{"kind": "Kustomization", "name": "*"}}}},
	}, got.exporter(t, "apps.hook"))
	assert.Equal(t, map[string]any{"flux_event": map[string]any{"endpoint": "localhost:8787"}}, got.config["receivers"])
	assert.NotContains(t, got.config, "extensions")
	assert.NotContains(t, got.config["service"], "extensions")
}

// What belongs together is found by namespace and name, across files and in any
// order; the Alerts of a Provider are sorted.
func TestManyObjects(t *testing.T) {
	t.Parallel()
	named := func(text, from, to, namespace string) string {
		return strings.ReplaceAll(strings.ReplaceAll(text, "name: "+from+",", "name: "+to+","), "namespace: apps", "namespace: "+namespace)
	}
	got := translateAll(t, map[string]string{
		"a/alerts.yaml":    named(alert, "all", "z", "apps") + named(alert, "all", "b", "apps") + named(alert, "all", "b", "infra"),
		"b/c/provider.yml": provider + "---" + named(provider, "-", "-", "infra"),
		".hidden.yaml":     provider,
		".git/x.yaml":      provider,
		"notes.txt":        "{",
	}, Collector{})
	names := func(exporter string) []any {
		var names []any
		for _, a := range got.exporter(t, exporter)["alerts"].([]any) {
			names = append(names, a.(map[string]any)["name"])
		}
		return names
	}
	assert.Equal(t, []any{"b", "z"}, names("apps.hook"))
	assert.Equal(t, []any{"b"}, names("infra.hook"))
	assert.Empty(t, got.warnings)
}

func TestNamesNeverCollide(t *testing.T) {
	t.Parallel()
	both := func(namespace, name string) string {
		replace := strings.NewReplacer("namespace: apps", "namespace: "+namespace, "name: hook", "name: "+name, "name: all", "name: of-"+name)
		return replace.Replace(provider) + replace.Replace(alert) + "---"
	}
	got := translate(t, both("a-b", "c")+both("a", "b-c")+both("a", "b.c")+both("a", "d"), Collector{})
	for _, name := range []string{"a-b.c", "a.b-c", "a.b.c", "a.d"} {
		assert.NotNil(t, got.exporter(t, name))
		assert.Contains(t, got.config["service"].(map[string]any)["pipelines"], "logs/"+name)
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"v1beta1", "v1beta2", "v1beta3", "v1"} {
		got := translate(t, strings.ReplaceAll(provider+alert, "v1beta3", version), Collector{})
		assert.NotNil(t, got.exporter(t, "apps.hook"), version)
		assert.Empty(t, got.warnings, version)
	}
}

// kubectl prints lists, with all that the server keeps.
func TestLists(t *testing.T) {
	t.Parallel()
	indent := func(text string) string {
		text = strings.TrimPrefix(strings.TrimSpace(text), "---\n")
		return "- " + strings.ReplaceAll(text, "\n", "\n  ") + "\n"
	}
	for _, kind := range []string{"apiVersion: v1\nkind: List", "apiVersion: notification.toolkit.fluxcd.io/v1beta3\nkind: AlertList"} {
		got := translate(t, kind+"\nmetadata: {resourceVersion: \"\"}\nitems:\n"+indent(provider)+indent(alert), Collector{})
		assert.NotNil(t, got.exporter(t, "apps.hook"))
	}
}

func TestAListThatIsItsOwnItem(t *testing.T) {
	t.Parallel()
	got := translate(t, "&all\napiVersion: v1\nkind: List\nitems: [*all]\n---"+provider+alert, Collector{})
	assert.NotNil(t, got.exporter(t, "apps.hook"))
}

func TestOtherKindsAreLeftAlone(t *testing.T) {
	t.Parallel()
	got := translate(t, `
# only a comment
---
---
apiVersion: notification.toolkit.fluxcd.io/v1
kind: Receiver
metadata: {name: github, namespace: apps}
spec: {type: github, secretRef: {name: none}}
---
apiVersion: example.com/v1
kind: Provider
metadata: {}
---
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [a.yaml]
---
apiVersion: v1
kind: Secret
metadata: {name: nobody-refers-to-it, namespace: apps}
data: {token: "%%%"}
---
apiVersion: v1
kind: Secret
metadata: {generateName: x}
---
replicaCount: 3
---
- a list
---
a text
---`+provider+alert, Collector{})
	assert.NotNil(t, got.exporter(t, "apps.hook"))
	assert.Empty(t, got.warnings)
}

func TestAliasesAndMerges(t *testing.T) {
	t.Parallel()
	got := translate(t, `
apiVersion: notification.toolkit.fluxcd.io/v1beta3
kind: Provider
metadata: &meta {name: hook, namespace: apps}
spec: {type: generic, address: https://example.com/hook}
---
apiVersion: notification.toolkit.fluxcd.io/v1beta3
kind: Alert
metadata: {name: all, namespace: apps}
spec:
  providerRef: {name: hook}
  eventSources:
    - &first {kind: Kustomization, name: '*'}
    - {<<: *first, kind: HelmRelease}
    - *first
`, Collector{})
	sources := got.exporter(t, "apps.hook")["alerts"].([]any)[0].(map[string]any)["event_sources"]
	assert.Equal(t, []any{
		map[string]any{"kind": "Kustomization", "name": "*"},
		map[string]any{"kind": "HelmRelease", "name": "*"},
		map[string]any{"kind": "Kustomization", "name": "*"},
	}, sources)
}

func TestLoadOfFiles(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"provider.txt": provider, "more/alert.yaml": alert})
	require.NoError(t, os.Symlink(filepath.Join("more", "alert.yaml"), filepath.Join(dir, "link.yaml")))
	require.NoError(t, os.Symlink("more", filepath.Join(dir, "folder.yaml")))

	manifests, err := Load(filepath.Join(dir, "provider.txt"), filepath.Join(dir, "more"))
	require.NoError(t, err)
	config, _, faults := Translate(manifests, Collector{})
	assert.Empty(t, faults)
	assert.Contains(t, config["exporters"], "flux_notify/apps.hook")

	manifests, err = Load(dir, filepath.Join(dir, "more"))
	require.NoError(t, err)
	faults = manifests.Results(Options{}).Faults
	require.ErrorContains(t, faults, "folder.yaml: is a folder: only regular files are read")
	require.ErrorContains(t, faults, "alert.yaml:2: Alert apps/all: is defined twice, first in ", "the link to a file is followed")
	assert.Len(t, faults, 3, "a path that is given twice is read once")

	_, err = Load(filepath.Join(dir, "absent"), filepath.Join(dir, "gone"))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "absent")
	require.ErrorContains(t, err, "gone")
}

func TestAnExpressionKnowsItsProvider(t *testing.T) {
	t.Parallel()
	got := translate(t, `
apiVersion: notification.toolkit.fluxcd.io/v1beta3
kind: Provider
metadata: {name: status, namespace: flux-system}
spec:
  type: github
  address: https://github.com/owner/repository
  commitStatusExpr: provider.metadata.namespace + '/' + provider.metadata.name
---
apiVersion: notification.toolkit.fluxcd.io/v1beta3
kind: Alert
metadata: {name: apps, namespace: flux-system}
spec:
  providerRef: {name: status}
  eventSources: [{kind: Kustomization, name: '*'}]
`, Collector{})
	exporter := got.exporter(t, "flux-system.status")
	assert.Equal(t, "status", exporter["name"])
	assert.Equal(t, "flux-system", exporter["namespace"])
}
