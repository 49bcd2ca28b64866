package fluxprovider

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.opentelemetry.io/collector/confmap/provider/envprovider"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.uber.org/goleak"

	"github.com/fluxnotify/otelcol-flux/exporter/fluxnotifyexporter"
	"github.com/fluxnotify/otelcol-flux/receiver/fluxeventreceiver"
)

func TestMain(m *testing.M) {
	// The library of Google Pub/Sub links one that starts a goroutine with the process.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"))
}

// resolve resolves URIs as the collector does.
func resolve(t *testing.T, uris ...string) (*confmap.Conf, error) {
	t.Helper()
	r, err := confmap.NewResolver(confmap.ResolverSettings{
		URIs: uris, DefaultScheme: "env",
		ProviderFactories: []confmap.ProviderFactory{NewFactory(), envprovider.NewFactory(), fileprovider.NewFactory()},
	})
	require.NoError(t, err)
	defer func() { assert.NoError(t, r.Shutdown(context.Background())) }()
	return r.Resolve(context.Background())
}

func mustResolve(t *testing.T, uris ...string) *confmap.Conf {
	t.Helper()
	conf, err := resolve(t, uris...)
	require.NoError(t, err)
	return conf
}

// unmarshal unmarshals and checks the settings of one, as the collector does.
func unmarshal[T component.Config](t *testing.T, conf *confmap.Conf, path string, config component.Config) T {
	t.Helper()
	sub, err := conf.Sub(path)
	require.NoError(t, err)
	require.NoError(t, sub.Unmarshal(config))
	require.NoError(t, confmap.Validate(config))
	return config.(T)
}

func exporter(t *testing.T, conf *confmap.Conf) *fluxnotifyexporter.Config {
	t.Helper()
	return unmarshal[*fluxnotifyexporter.Config](t, conf, "exporters::flux_notify", fluxnotifyexporter.NewFactory().CreateDefaultConfig())
}

func receiver(t *testing.T, conf *confmap.Conf) *fluxeventreceiver.Config {
	t.Helper()
	return unmarshal[*fluxeventreceiver.Config](t, conf, "receivers::flux_event", fluxeventreceiver.NewFactory().CreateDefaultConfig())
}

func TestScheme(t *testing.T) {
	t.Parallel()
	assert.NoError(t, confmaptest.ValidateProviderScheme(NewFactory().Create(confmaptest.NewNopProviderSettings())))
}

func TestManifests(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"./notifications/", "flux.yaml", "./kubernetes", "kubernetes/", "/a,b/${env:HOME}$"} {
		conf := mustResolve(t, "flux:"+path)
		assert.Equal(t, "localhost:8787", receiver(t, conf).ServerConfig.NetAddr.Endpoint)
		config := exporter(t, conf)
		assert.Equal(t, &fluxnotifyexporter.ManifestsConfig{Path: []string{path}}, config.Manifests)
		assert.Nil(t, config.Kubernetes)
		assert.Nil(t, config.QueueConfig.StorageID)
		assert.Equal(t, map[string]any{"pipelines": map[string]any{
			"logs/flux": map[string]any{"receivers": []any{"flux_event"}, "exporters": []any{"flux_notify"}},
		}}, conf.ToStringMap()["service"])
		assert.False(t, conf.IsSet("extensions"))
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	conf := mustResolve(t, "flux:/etc/flux?endpoint=0.0.0.0:9292&storage=/var/lib/$flux&queue_size=7&num_consumers=3&max_elapsed_time=90m&secrets=/secrets&no_cross_namespace_refs=true")
	assert.Equal(t, "0.0.0.0:9292", receiver(t, conf).ServerConfig.NetAddr.Endpoint)
	config := exporter(t, conf)
	assert.Equal(t, &fluxnotifyexporter.ManifestsConfig{Path: []string{"/etc/flux"}, Secrets: "/secrets", NoCrossNamespaceRefs: true}, config.Manifests)
	storage := component.MustNewIDWithName("file_storage", "flux")
	assert.Equal(t, &storage, config.QueueConfig.StorageID)
	assert.Equal(t, 7, config.QueueConfig.QueueSize)
	assert.Equal(t, 3, config.QueueConfig.NumConsumers)
	assert.Equal(t, 90*time.Minute, config.RetryConfig.MaxElapsedTime)
	assert.True(t, config.RetryConfig.Enabled)
	assert.Equal(t, map[string]any{"file_storage/flux": map[string]any{"directory": "/var/lib/$flux", "create_directory": true}}, conf.ToStringMap()["extensions"])
	assert.Equal(t, []any{"file_storage/flux"}, conf.Get("service::extensions"))
}

func TestKubernetes(t *testing.T) {
	t.Parallel()
	config := exporter(t, mustResolve(t, "flux:kubernetes"))
	assert.Equal(t, &fluxnotifyexporter.KubernetesConfig{}, config.Kubernetes)
	assert.Nil(t, config.Manifests)

	config = exporter(t, mustResolve(t, "flux:kubernetes?context=prod&namespaces=apps,infra&no_cross_namespace_refs=true&storage=/x"))
	assert.Equal(t, &fluxnotifyexporter.KubernetesConfig{
		AuthType: "kubeConfig", Context: "prod", Namespaces: []string{"apps", "infra"}, NoCrossNamespaceRefs: true,
	}, config.Kubernetes)
	assert.NotNil(t, config.QueueConfig.StorageID)
}

func TestWrongURIs(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ uri, want string }{
		"no path":             {"flux:", "flux: must name a file or folder"},
		"options only":        {"flux:?endpoint=a:1", "flux: must name a file or folder"},
		"unknown option":      {"flux:a?enpoint=:1&x=y", "\"enpoint\" is not one of the options endpoint, max_elapsed_time, no_cross_namespace_refs, num_consumers, queue_size, secrets, storage\n\"x\" is not one"},
		"empty option":        {"flux:a?storage=", "storage: must be set to one value"},
		"option twice":        {"flux:a?storage=a&storage=b", "storage: must be set to one value"},
		"no query":            {"flux:a?%zz", "flux: the options are not like endpoint="},
		"no port":             {"flux:a?endpoint=localhost", "endpoint: must be an address with a port"},
		"no number":           {"flux:a?queue_size=many&num_consumers=0", "num_consumers: must be a number, at least 1\nqueue_size: must be a number"},
		"no duration":         {"flux:a?max_elapsed_time=-1s", "max_elapsed_time: must be a duration such as 2h"},
		"no flag":             {"flux:a?no_cross_namespace_refs=1", "no_cross_namespace_refs: must be true or false"},
		"context of a folder": {"flux:./kubernetes?context=a", "\"context\" is not one of the options"},
		"secrets of the API":  {"flux:kubernetes?secrets=a", "\"secrets\" is not one of the options context, endpoint"},
		"an empty namespace":  {"flux:kubernetes?namespaces=a,", "namespaces: must be names with commas between them"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := resolve(t, test.uri)
			require.ErrorContains(t, err, test.want)
		})
	}
}

// A pipeline of one's own is added, and so are settings of the receiver and of the
// exporter; lists are not merged, so the later service::extensions wins.
func TestMergesWithOtherConfigurations(t *testing.T) {
	t.Parallel()
	own := filepath.Join(t.TempDir(), "own.yaml")
	require.NoError(t, os.WriteFile(own, []byte(`
receivers:
  flux_event: {signature: {keys: [key-0123456789]}}
exporters:
  debug:
  flux_notify: {failed_notifications: {max: 7}}
extensions:
  health_check:
service:
  extensions: [health_check, file_storage/flux]
  pipelines:
    logs: {receivers: [flux_event], exporters: [debug]}
`), 0o600))
	const flux = "flux:./notifications/?storage=/var/lib/flux"
	conf := mustResolve(t, flux, own)
	assert.Len(t, receiver(t, conf).Signature.Keys, 1)
	config := exporter(t, conf)
	assert.NotNil(t, config.QueueConfig.StorageID)
	assert.Equal(t, 7, config.Failed.Max)
	assert.Equal(t, []any{"health_check", "file_storage/flux"}, conf.Get("service::extensions"))
	assert.Equal(t, map[string]any{
		"logs":      map[string]any{"receivers": []any{"flux_event"}, "exporters": []any{"debug"}},
		"logs/flux": map[string]any{"receivers": []any{"flux_event"}, "exporters": []any{"flux_notify"}},
	}, conf.Get("service::pipelines"))
	assert.Equal(t, []any{"file_storage/flux"}, mustResolve(t, own, flux).Get("service::extensions"), "the other way round, one's own are dropped")
}

func TestRetrieve(t *testing.T) {
	t.Parallel()
	p := NewFactory().Create(confmaptest.NewNopProviderSettings())
	retrieved, err := p.Retrieve(context.Background(), "flux:.", nil)
	require.NoError(t, err)
	require.NoError(t, retrieved.Close(context.Background()))
	_, err = p.Retrieve(context.Background(), "file:.", nil)
	require.ErrorContains(t, err, "is not of the scheme flux")
	require.NoError(t, p.Shutdown(context.Background()))
}
