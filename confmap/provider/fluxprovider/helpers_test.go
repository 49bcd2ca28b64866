package fluxprovider

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/envprovider"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/confmap/provider/yamlprovider"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fluxnotify/otelcol-flux/exporter/fluxnotifyexporter"
	"github.com/fluxnotify/otelcol-flux/receiver/fluxeventreceiver"
)

const (
	patience = 10 * time.Second
	tick     = 2 * time.Millisecond
	// silence is long enough for a report that ought not to come.
	silence = 150 * time.Millisecond
	// canary stands where a secret stands; it may be in no error and no log.
	canary = "canary-5ecr3t"
)

func TestMain(m *testing.M) {
	// The library of Google Pub/Sub links one that starts a goroutine with the
	// process.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"))
}

const manifests = `
apiVersion: notification.toolkit.fluxcd.io/v1beta3
kind: Provider
metadata: {name: hook, namespace: apps}
spec:
  type: generic-hmac
  address: https://example.com/` + canary + `
  secretRef: {name: key}
---
apiVersion: v1
kind: Secret
metadata: {name: key, namespace: apps}
stringData: {token: ` + canary + `}
---
apiVersion: notification.toolkit.fluxcd.io/v1beta3
kind: Alert
metadata: {name: all, namespace: apps}
spec:
  providerRef: {name: hook}
  eventSeverity: info
  eventSources: [{kind: Kustomization, name: '*'}]
`

// write writes a file in one step, so that nobody reads the half of it.
func write(t *testing.T, path, text string) {
	t.Helper()
	beside := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	require.NoError(t, os.WriteFile(beside, []byte(text), 0o600))
	require.NoError(t, os.Rename(beside, path))
}

// folder holds the manifests in one file.
func folder(t *testing.T, text string) (dir, file string) {
	t.Helper()
	dir = t.TempDir()
	file = filepath.Join(dir, "flux.yaml")
	write(t, file, text)
	return dir, file
}

// resolver is made as the collector makes its own.
func newResolver(t *testing.T, uris ...string) (*confmap.Resolver, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	r, err := confmap.NewResolver(confmap.ResolverSettings{
		URIs:              uris,
		DefaultScheme:     "env",
		ProviderSettings:  confmap.ProviderSettings{Logger: zap.New(core)},
		ProviderFactories: []confmap.ProviderFactory{NewFactory(), envprovider.NewFactory(), fileprovider.NewFactory(), yamlprovider.NewFactory()},
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, r.Shutdown(context.Background()))
		for _, entry := range logs.All() {
			text := entry.Message
			for _, value := range entry.ContextMap() {
				text += " " + toText(value)
			}
			assert.NotContains(t, text, canary)
		}
	})
	return r, logs
}

func toText(value any) string {
	if text, ok := value.(string); ok {
		return text
	}
	return ""
}

func resolve(t *testing.T, uris ...string) *confmap.Conf {
	t.Helper()
	r, _ := newResolver(t, uris...)
	conf, err := r.Resolve(context.Background())
	require.NoError(t, err)
	return conf
}

// exporter unmarshals and checks one as the collector does.
func exporter(t *testing.T, conf *confmap.Conf, id string) *fluxnotifyexporter.Config {
	t.Helper()
	exporters, err := conf.Sub("exporters")
	require.NoError(t, err)
	require.True(t, exporters.IsSet(id), "%v", exporters.AllKeys())
	sub, err := exporters.Sub(id)
	require.NoError(t, err)
	config := fluxnotifyexporter.NewFactory().CreateDefaultConfig()
	require.NoError(t, sub.Unmarshal(config))
	require.NoError(t, confmap.Validate(config))
	return config.(*fluxnotifyexporter.Config)
}

func receiver(t *testing.T, conf *confmap.Conf) *fluxeventreceiver.Config {
	t.Helper()
	sub, err := conf.Sub("receivers::flux_event")
	require.NoError(t, err)
	config := fluxeventreceiver.NewFactory().CreateDefaultConfig()
	require.NoError(t, sub.Unmarshal(config))
	require.NoError(t, confmap.Validate(config))
	return config.(*fluxeventreceiver.Config)
}
