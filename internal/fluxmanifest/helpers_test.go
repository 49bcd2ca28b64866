package fluxmanifest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// canary stands where a secret stands; it may be in no problem.
const canary = "canary-5ecr3t"

// folder writes files, by their paths in it.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	return dir
}

// translated is what Translate made, its paths without the folder.
type translated struct {
	config           map[string]any
	warnings, faults []string
}

func translate(t *testing.T, text string, options Collector) translated {
	t.Helper()
	return translateAll(t, map[string]string{"flux.yaml": text}, options)
}

func translateAll(t *testing.T, files map[string]string, options Collector) translated {
	t.Helper()
	dir := folder(t, files)
	manifests, err := Load(dir)
	require.NoError(t, err)
	config, warnings, faults := Translate(manifests, options)
	result := translated{config: config, warnings: lines(dir, warnings), faults: lines(dir, faults)}
	if config == nil {
		require.Contains(t, result.faults[0], "no Provider in ")
		result.faults = result.faults[1:]
	}
	for _, text := range append(result.faults, result.warnings...) {
		require.NotContains(t, text, canary)
	}
	return result
}

func lines(dir string, problems Problems) []string {
	var texts []string
	for _, p := range problems {
		texts = append(texts, strings.ReplaceAll(strings.ReplaceAll(p.String(), dir+string(filepath.Separator), ""), dir, "DIR"))
	}
	return texts
}

// exporter is the settings of one exporter.
func (tr translated) exporter(t *testing.T, name string) map[string]any {
	t.Helper()
	require.Empty(t, tr.faults)
	require.NotNil(t, tr.config)
	settings, ok := tr.config["exporters"].(map[string]any)["flux_notify/"+name].(map[string]any)
	require.True(t, ok, "%v", tr.config)
	return settings
}

// A Provider and an Alert without a fault, to which others are added.
const (
	provider = `
apiVersion: notification.toolkit.fluxcd.io/v1beta3
kind: Provider
metadata: {name: hook, namespace: apps}
spec:
  type: generic
  address: https://example.com/hook
`
	alert = `---
apiVersion: notification.toolkit.fluxcd.io/v1beta3
kind: Alert
metadata: {name: all, namespace: apps}
spec:
  providerRef: {name: hook}
  eventSources: [{kind: Kustomization, name: '*'}]
`
)
