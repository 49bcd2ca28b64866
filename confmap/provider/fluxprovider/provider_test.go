package fluxprovider

import (
	"context"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"

	"github.com/fluxnotify/otelcol-flux/internal/providers"
)

func TestScheme(t *testing.T) {
	t.Parallel()
	assert.NoError(t, confmaptest.ValidateProviderScheme(NewFactory().Create(confmaptest.NewNopProviderSettings())))
}

func TestConfiguration(t *testing.T) {
	t.Parallel()
	dir, file := folder(t, manifests)
	for _, path := range []string{dir, dir + "/", file} {
		conf := resolve(t, "flux:"+path)
		assert.Equal(t, "localhost:8787", receiver(t, conf).ServerConfig.NetAddr.Endpoint)
		config := exporter(t, conf, "flux_notify/apps-hook")
		assert.Equal(t, configopaque.String(canary), config.Target.Secret["token"])
		assert.Len(t, config.Target.Alerts, 1)
		assert.Equal(t, map[string]any{"logs/flux-apps-hook": map[string]any{
			"receivers": []any{"flux_event"}, "exporters": []any{"flux_notify/apps-hook"},
		}}, conf.ToStringMap()["service"].(map[string]any)["pipelines"])
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	dir, _ := folder(t, manifests)
	secrets := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(secrets, "apps", "key"), 0o700))
	write(t, filepath.Join(secrets, "apps", "key", "token"), canary)
	conf := resolve(t, "flux:"+dir+"?endpoint=0.0.0.0:9292&storage=/var/lib/flux&queue_size=7&num_consumers=3&max_elapsed_time=90m&secrets="+secrets)
	assert.Equal(t, "0.0.0.0:9292", receiver(t, conf).ServerConfig.NetAddr.Endpoint)
	config := exporter(t, conf, "flux_notify/apps-hook")
	assert.Equal(t, filepath.Join(secrets, "apps", "key"), config.Target.SecretDir)
	assert.Empty(t, config.Target.Secret)
	storage := component.MustNewIDWithName("file_storage", "flux")
	assert.Equal(t, &storage, config.QueueConfig.StorageID)
	assert.Equal(t, 7, config.QueueConfig.QueueSize)
	assert.Equal(t, 3, config.QueueConfig.NumConsumers)
	assert.Equal(t, 90*time.Minute, config.RetryConfig.MaxElapsedTime)
	assert.True(t, config.RetryConfig.Enabled)
	assert.Equal(t, map[string]any{"file_storage/flux": map[string]any{"directory": "/var/lib/flux"}}, conf.ToStringMap()["extensions"])
	assert.Equal(t, []any{"file_storage/flux"}, conf.Get("service::extensions"))
}

func TestWrongURIs(t *testing.T) {
	t.Parallel()
	dir, _ := folder(t, manifests)
	for name, test := range map[string]struct{ uri, want string }{
		"no path":        {"flux:", "flux: must name a file or folder"},
		"options alone":  {"flux:?endpoint=a:1", "flux: must name a file or folder"},
		"absent":         {"flux:" + filepath.Join(dir, "absent"), "no such file"},
		"unknown option": {"flux:" + dir + "?enpoint=:1&x=y", "\"enpoint\" is not one of the options endpoint, max_elapsed_time, num_consumers, queue_size, secrets, storage\n\"x\" is not one"},
		"empty option":   {"flux:" + dir + "?storage=", "storage: must be set to one value"},
		"option twice":   {"flux:" + dir + "?storage=a&storage=b", "storage: must be set to one value"},
		"no query":       {"flux:" + dir + "?%zz", "flux: the options are not like endpoint="},
		"no port":        {"flux:" + dir + "?endpoint=localhost", "endpoint: must be an address with a port"},
		"no number":      {"flux:" + dir + "?queue_size=many&num_consumers=0", "num_consumers: must be a number, of 1 at least\nqueue_size: must be a number"},
		"no duration":    {"flux:" + dir + "?max_elapsed_time=-1s", "max_elapsed_time: must be a duration such as 2h"},
		"no secrets":     {"flux:" + dir + "?secrets=/does/not/exist", "flux.yaml:8: Provider apps/hook: spec.secretRef: secret_dir: cannot be read: open /does/not/exist/apps/key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, _ := newResolver(t, test.uri)
			_, err := r.Resolve(context.Background())
			require.ErrorContains(t, err, test.want)
			assert.NotContains(t, err.Error(), canary)
		})
	}
}

// What the exporter would refuse is told in the words of the manifests, with
// all other faults.
func TestFaults(t *testing.T) {
	t.Parallel()
	dir, file := folder(t, strings.NewReplacer("https://example.com", "ftp://example.com").Replace(manifests))
	write(t, filepath.Join(dir, "other.yaml"), strings.NewReplacer("apps", "infra", "info", "warning", "token: ", "key: ").Replace(manifests))
	r, _ := newResolver(t, "flux:"+dir)
	_, err := r.Resolve(context.Background())
	require.EqualError(t, err, "cannot retrieve the configuration: 2 faults in the manifests:\n"+
		file+":7: Provider apps/hook: spec.address: must be a URL that begins with https:// or http://\n"+
		filepath.Join(dir, "other.yaml")+":20: Alert infra/all: spec.eventSeverity: \"warning\" is not one of info, error")
}

func TestWarningsAreLogged(t *testing.T) {
	t.Parallel()
	dir, file := folder(t, manifests+"  eventSeverty: error\n")
	r, logs := newResolver(t, "flux:"+dir)
	_, err := r.Resolve(context.Background())
	require.NoError(t, err)
	assert.Equal(t, 1, logs.FilterMessage(file+":22: Alert apps/all: spec.eventSeverty: is not a field of this kind, and is ignored").Len())
}

// TestEveryType loads a manifest of each type that there is.
func TestEveryType(t *testing.T) {
	t.Parallel()
	for _, row := range providers.Table {
		t.Run(row.Type, func(t *testing.T) {
			t.Parallel()
			r, logs := newResolver(t, "flux:"+filepath.Join("testdata", "types", row.Type+".yaml"))
			conf, err := r.Resolve(context.Background())
			require.NoError(t, err)
			between := "-"
			if strings.Contains(row.Type, ".") {
				between = "."
			}
			assert.Equal(t, row.Type, exporter(t, conf, "flux_notify/flux-system"+between+row.Type).Target.Type)
			assert.Empty(t, logs.All(), "nothing is to be warned of")
		})
	}
}

// The collector expands what a provider gives like what stands in a file.
func TestDollarsStayAsTheyAre(t *testing.T) {
	t.Setenv("FLUX_TEST", "expanded")
	for _, value := range []string{
		"$", "$$", "a$b", "${env:FLUX_TEST}", "$${env:FLUX_TEST}", "$$${FLUX_TEST}", "${FLUX_TEST} and ${env:FLUX_TEST}$", "}${", "price: $5}", "${nosuchscheme:x}", "^ok$",
	} {
		secret := value + "\xff\x00\n"
		text := strings.NewReplacer(
			"stringData: {token: "+canary+"}", "data: {token: "+base64.StdEncoding.EncodeToString([]byte(secret))+"}",
			"eventSeverity: info", "eventMetadata: {'key$$': '"+value+"', 'a::b': x}",
		).Replace(manifests)
		dir, _ := folder(t, text)
		config := exporter(t, resolve(t, "flux:"+dir), "flux_notify/apps-hook")
		assert.Equal(t, secret, string(config.Target.Secret["token"]))
		assert.Equal(t, map[string]string{"key$$": value, "a::b": "x"}, config.Target.Alerts[0].EventMetadata)
	}
}

// A pipeline of one's own lives beside, and the receiver, which is always there,
// is added to; lists are not merged, so the later service::extensions wins.
func TestMergesWithOtherConfigurations(t *testing.T) {
	t.Parallel()
	dir, _ := folder(t, manifests)
	own := filepath.Join(t.TempDir(), "own.yaml")
	write(t, own, `
receivers:
  otlp:
  flux_event: {signature: {keys: [key-0123456789]}}
exporters:
  debug:
extensions:
  health_check:
service:
  extensions: [health_check, file_storage/flux]
  pipelines:
    logs: {receivers: [otlp, flux_event], exporters: [debug]}
`)
	flux := "flux:" + dir + "?storage=/var/lib/flux"
	conf := resolve(t, flux, own)
	assert.Len(t, receiver(t, conf).Signature.Keys, 1)
	config := exporter(t, conf, "flux_notify/apps-hook")
	assert.NotNil(t, config.QueueConfig.StorageID)
	merged := conf.ToStringMap()
	assert.Equal(t, []any{"health_check", "file_storage/flux"}, conf.Get("service::extensions"))
	assert.Equal(t, map[string]any{
		"logs":                map[string]any{"receivers": []any{"otlp", "flux_event"}, "exporters": []any{"debug"}},
		"logs/flux-apps-hook": map[string]any{"receivers": []any{"flux_event"}, "exporters": []any{"flux_notify/apps-hook"}},
	}, merged["service"].(map[string]any)["pipelines"])
	assert.Equal(t, []any{"file_storage/flux"}, resolve(t, own, flux).Get("service::extensions"), "the other way round, one's own are lost")
}

func TestRetrieveWithoutAWatcher(t *testing.T) {
	t.Parallel()
	dir, file := folder(t, manifests)
	p := NewFactory().Create(confmaptest.NewNopProviderSettings())
	for range 2 {
		retrieved, err := p.Retrieve(context.Background(), "flux:"+dir, nil)
		require.NoError(t, err)
		conf, err := retrieved.AsConf()
		require.NoError(t, err)
		assert.True(t, conf.IsSet("exporters"))
		require.NoError(t, retrieved.Close(context.Background()))
		write(t, file, "broken: [")
	}
	_, err := p.Retrieve(context.Background(), "file:"+dir, nil)
	require.ErrorContains(t, err, "is not of the scheme flux")
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = p.Retrieve(cancelled, "flux:"+dir, nil)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, p.Shutdown(context.Background()))
}

var _ confmap.ProviderFactory = NewFactory()
