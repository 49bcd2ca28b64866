package fluxnotifyexporter

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"

	"github.com/fluxnotify/otelcol-flux/internal/alert"
)

func load(t *testing.T, name string) *Config {
	t.Helper()
	conf, err := confmaptest.LoadConf(filepath.Join("testdata", "config.yaml"))
	require.NoError(t, err)
	sub, err := conf.Sub(name)
	require.NoError(t, err)
	config := NewFactory().CreateDefaultConfig()
	require.NoError(t, sub.Unmarshal(config))
	return config.(*Config)
}

func TestLoadConfig(t *testing.T) {
	t.Parallel()
	minimal := createDefaultConfig().(*Config)
	minimal.Target.Type, minimal.Target.Address = "generic", "https://example.com/hook"
	loaded := load(t, "flux_notify")
	assert.Equal(t, minimal, loaded)
	require.NoError(t, confmap.Validate(loaded))
	assert.Equal(t, 15*time.Second, loaded.Target.ClientConfig.Timeout)
	assert.Equal(t, 2*time.Hour, loaded.RetryConfig.MaxElapsedTime)

	want := createDefaultConfig().(*Config)
	want.Target.Type, want.Target.Address, want.Target.Channel, want.Target.Username = "slack", "https://slack.com/api/chat.postMessage", "general", "flux"
	uid := "prod-eu-1"
	want.Target.Token, want.Target.UID, want.Target.Suspend, want.ErrorSeverity = "xoxb-secret", &uid, true, "warn"
	want.Target.ClientConfig.Timeout, want.Target.ClientConfig.ProxyURL = 5*time.Second, "http://proxy.example.com:3128"
	want.RetryConfig.MaxElapsedTime = 10 * time.Minute
	storage := component.MustNewID("file_storage")
	want.QueueConfig.NumConsumers, want.QueueConfig.StorageID = 4, &storage
	want.Target.Alerts = []alert.Config{{
		Name: "apps", Namespace: "flux-system", UID: "7d0cdc51-ddcf-4743-b223-83ca5c699632", EventSeverity: "error",
		EventSources: []alert.SourceConfig{{
			Kind: "Kustomization", Name: "*", Namespace: "apps", MatchLabels: map[string]string{"app.kubernetes.io/team": "a"},
		}},
		InclusionList: []string{".*succeeded.*"}, ExclusionList: []string{"waiting.*socket"},
		EventMetadata: map[string]string{"cluster": "prod-eu"}, Summary: "production", Suspend: true,
	}}
	loaded = load(t, "flux_notify/everything")
	assert.Equal(t, want, loaded)
	require.NoError(t, confmap.Validate(loaded))
}

func TestValidateSaysWhatWouldBeRight(t *testing.T) {
	t.Parallel()
	dir := func(t *testing.T, files map[string]string) string {
		t.Helper()
		dir := t.TempDir()
		for name, value := range files {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(value), 0o600))
		}
		return dir
	}
	for _, test := range []struct {
		name    string
		yaml    map[string]any
		secret  map[string]string
		message string
	}{
		{name: "no type", yaml: map[string]any{}, message: "type: must be set to one of alertmanager, "},
		{name: "unknown type", yaml: map[string]any{"type": "slac"}, message: `type: "slac" is not known, the types are slack, `},
		{name: "Flux's other spelling", yaml: map[string]any{"type": "genericHMAC"}, message: `the types are generic-hmac, `},
		{name: "no address", yaml: map[string]any{"type": "generic"}, message: "address: must be set for the type generic"},
		{name: "no address in the secret", yaml: map[string]any{"type": "generic"}, secret: map[string]string{"token": "x"}, message: "address: must be set for the type generic, here or as the file address of secret_dir"},
		{name: "impossible address", yaml: map[string]any{"type": "generic", "address": "example.com"}, message: "address: must be a URL that begins with https:// or http://"},
		{name: "address without a host", yaml: map[string]any{"type": "generic", "address": "https:///x"}, message: "address: the URL has no host"},
		{name: "endpoint", yaml: map[string]any{"type": "generic", "endpoint": "https://example.com"}, message: `endpoint: unknown key, use "address", as in Flux`},
		{name: "unused channel", yaml: map[string]any{"type": "generic", "address": "https://example.com", "channel": "x"}, message: "channel: the type generic does not use it, remove it"},
		{name: "unused headers", yaml: map[string]any{"type": "slack", "address": "https://example.com", "headers": map[string]any{"X-A": "b"}}, message: "headers: the type slack does not use it"},
		{name: "proxy of a bus", yaml: map[string]any{"type": "nats", "address": "nats://localhost", "channel": "a", "proxy_url": "http://proxy"}, message: "proxy_url: the type nats does not use it"},
		{name: "commit_status_expr", yaml: map[string]any{"type": "generic", "address": "https://example.com", "commit_status_expr": "'a'"}, message: "commit_status_expr: the type generic does not use it"},
		{name: "bad subject", yaml: map[string]any{"type": "nats", "address": "nats://localhost", "channel": "a b"}, message: `channel: "a b" is not a subject that can be published to`},
		{name: "no key", yaml: map[string]any{"type": "generic-hmac", "address": "https://example.com"}, message: "token: must be set for the type generic-hmac"},
		{name: "timeout", yaml: map[string]any{"type": "generic", "address": "https://example.com", "timeout": "0s"}, message: "timeout: 0s is too short, use at least 100ms"},
		{name: "error_severity", yaml: map[string]any{"type": "generic", "address": "https://example.com", "error_severity": "info"}, message: `error_severity: "info" is not one of error, warn`},
		{name: "proxy", yaml: map[string]any{"type": "generic", "address": "https://example.com", "proxy_url": "proxy:3128"}, message: "proxy_url: must be a URL such as http://proxy.example.com:3128"},
		{name: "header", yaml: map[string]any{"type": "generic", "address": "https://example.com", "headers": map[string]any{"X A": "b"}}, message: `headers: one of the names is not that of a header`},
		{name: "expression", yaml: withAlert(map[string]any{"inclusion_list": []any{"ok", "("}}), message: "alerts::0::inclusion_list::1: error parsing regexp: missing closing )"},
		{name: "severity", yaml: withAlert(map[string]any{"event_severity": "warning"}), message: `alerts::0::event_severity: "warning" is not one of info (every event), error`},
		{name: "source", yaml: withAlert(map[string]any{"event_sources": []any{map[string]any{"name": "a"}}}), message: "alerts::0::event_sources::0::kind: must be set"},
		{name: "no folder", yaml: map[string]any{"type": "generic", "address": "https://example.com", "secret_dir": "/does/not/exist"}, message: "secret_dir: cannot be read: open /does/not/exist"},
		{name: "broken CA", yaml: map[string]any{"type": "generic", "address": "https://example.com"}, secret: map[string]string{"ca.crt": "x"}, message: "secret_dir: ca.crt: holds no certificate in PEM form"},
		{name: "half a key pair", yaml: map[string]any{"type": "generic", "address": "https://example.com"}, secret: map[string]string{"tls.crt": "x"}, message: "secret_dir: tls.crt, tls.key: one is missing"},
		{name: "headers that are none", yaml: map[string]any{"type": "generic", "address": "https://example.com"}, secret: map[string]string{"headers": "X-A: [1]"}, message: "secret_dir: headers: the value of X-A is not a text or a number"},
		{name: "nkey", yaml: map[string]any{"type": "nats", "address": "nats://localhost", "channel": "a"}, secret: map[string]string{"nkey": "secret-seed"}, message: "nkey: is not an nkey seed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			settings := map[string]any{}
			for key, value := range test.yaml {
				settings[key] = value
			}
			if test.secret != nil {
				settings["secret_dir"] = dir(t, test.secret)
			}
			config := createDefaultConfig()
			require.NoError(t, confmap.NewFromStringMap(settings).Unmarshal(config))
			err := confmap.Validate(config)
			require.ErrorContains(t, err, test.message)
			for _, value := range test.secret {
				if len(value) > 8 {
					assert.NotContains(t, err.Error(), value)
				}
			}
		})
	}
}

func withAlert(a map[string]any) map[string]any {
	return map[string]any{"type": "generic", "address": "https://example.com", "alerts": []any{a}}
}

func TestTheAddressIsNoSecretInErrorsNorInPrintedConfigurations(t *testing.T) {
	t.Parallel()
	config := createDefaultConfig().(*Config)
	config.Target.Type, config.Target.Address = "generic", "ftp://user:canary-password@example.com/canary-path"
	require.ErrorContains(t, confmap.Validate(config), "address: ")
	assert.NotContains(t, confmap.Validate(config).Error(), "canary")
	printed := confmap.New()
	require.NoError(t, printed.Marshal(config))
	assert.NotContains(t, fmt.Sprint(printed.ToStringMap()), "canary")
}
