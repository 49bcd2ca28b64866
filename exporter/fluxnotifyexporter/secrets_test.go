package fluxnotifyexporter

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/confmap"

	"github.com/fluxnotify/otelcol-flux/internal/providers"
	"github.com/fluxnotify/otelcol-flux/internal/testca"
)

func resolveType(t *testing.T, config *Config) (resolved, error) {
	t.Helper()
	row, ok := providers.Find(config.Type)
	require.True(t, ok)
	return config.resolve(row, "")
}

func TestASecretInTheConfiguration(t *testing.T) {
	t.Parallel()
	sink := newEndpoint(t, nil)
	config := webhook("http://127.0.0.1:1/overridden")
	config.Type = "generic-hmac"
	config.Secret = map[string]configopaque.String{
		"token": "canary \xff\x00\n", "address": configopaque.String(" " + sink.URL + "\n"), "headers": "X-Number: 7", "other": "not used",
	}
	require.NoError(t, confmap.Validate(config))
	e := start(t, config)
	require.NoError(t, e.ConsumeLogs(context.Background(), event("webapp", "one")))
	a := sink.waitFor(t, 1)[0]
	assert.Equal(t, "7", a.header.Get("X-Number"))
	assert.Equal(t, signature("canary \xff\x00\n", a.body), a.header.Get("X-Signature"), "the key is bytes")

	printed := confmap.New()
	require.NoError(t, printed.Marshal(config))
	assert.NotContains(t, fmt.Sprint(printed.ToStringMap()), "canary")
}

func TestSecretsOverrideEachOther(t *testing.T) {
	t.Parallel()
	ca, other := testca.New(t).PEM(), testca.New(t).PEM()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "token"), []byte("of-the-folder"), 0o600))
	config := webhook("https://example.com")
	config.Type, config.SecretDir = "alertmanager", dir
	config.Secret = map[string]configopaque.String{"token": "of-the-map", "username": "of-the-map", "ca.crt": configopaque.String(other), "proxy": "http://old:3128"}
	config.CertSecret = map[string]configopaque.String{"caFile": configopaque.String(ca), "token": "not of this secret"}
	config.ProxySecret = map[string]configopaque.String{"address": "http://proxy.example.com:3128\n", "username": "user", "password": "p@ss"}
	r, err := resolveType(t, config)
	require.NoError(t, err)
	assert.Equal(t, "of-the-folder", r.settings.Token)
	assert.Equal(t, "of-the-map", r.settings.Username)
	assert.Equal(t, configopaque.String(ca), r.client.TLS.CAPem)
	assert.Equal(t, "http://user:p%40ss@proxy.example.com:3128", r.client.ProxyURL)
	assert.Equal(t, []string{"cert_secret: the key caFile is deprecated, call it ca.crt"}, r.warnings)
}

func TestCertAndProxySecretsRotate(t *testing.T) {
	t.Parallel()
	first, second := testca.New(t).PEM(), testca.New(t).PEM()
	cert := mount(t, map[string]string{"ca.crt": first})
	proxy := mount(t, map[string]string{"address": "http://one:3128", "username": "canary"})
	config := webhook("https://127.0.0.1:1")
	config.CertSecretDir, config.ProxySecretDir = cert.dir, proxy.dir
	e := start(t, config)
	cert.swap(t, map[string]string{"ca.crt": second})
	e.waitForLog(t, "the changed secret is in use", 1)
	proxy.swap(t, map[string]string{"address": "http://two:3128", "username": "canary"})
	e.waitForLog(t, "the changed secret is in use", 2)
	proxy.swap(t, map[string]string{"address": "", "username": "canary"})
	e.waitForLog(t, "the changed secret cannot be used, the one before stays in use", 1)
	e.stop(t)
	assert.Equal(t, configopaque.String(second), e.current.from.client.TLS.CAPem)
	assert.Equal(t, "http://canary@two:3128", e.current.from.client.ProxyURL)
	for _, entry := range e.logs.All() {
		assert.NotContains(t, fmt.Sprint(entry.Message, entry.ContextMap()), "canary")
	}
}

func TestBrokenSecretsAreNamed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change  func(*Config)
		message string
	}{
		"certificate":  {func(c *Config) { c.CertSecret = map[string]configopaque.String{"ca.crt": "canary"} }, "cert_secret: ca.crt: holds no certificate"},
		"folder":       {func(c *Config) { c.CertSecretDir = "/does/not/exist" }, "cert_secret_dir: cannot be read: open /does/not/exist"},
		"proxy folder": {func(c *Config) { c.ProxySecretDir = "/does/not/exist" }, "proxy_secret_dir: cannot be read: open /does/not/exist"},
		"no proxy":     {func(c *Config) { c.ProxySecret = map[string]configopaque.String{"username": "canary"} }, "proxy_secret: address: must be set to the URL of the proxy"},
		"bad proxy":    {func(c *Config) { c.ProxySecret = map[string]configopaque.String{"address": "http://canary\x00"} }, "proxy_secret: address: must be a URL"},
		"odd scheme":   {func(c *Config) { c.ProxySecret = map[string]configopaque.String{"address": "ftp://canary"} }, "proxy_url: must be a URL such as"},
		"no username": {func(c *Config) {
			c.ProxySecret = map[string]configopaque.String{"address": "http://proxy", "password": "canary"}
		}, "proxy_secret: username: must be set"},
		"no address": {func(c *Config) {
			c.Address, c.Secret = "", map[string]configopaque.String{"token": "canary"}
		}, "address: must be set for the type generic, here or as the key address of secret"},
		"headers": {func(c *Config) { c.Secret = map[string]configopaque.String{"headers": "canary"} }, "secret: headers: is not a YAML map"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := webhook("https://example.com")
			test.change(config)
			err := confmap.Validate(config)
			require.ErrorContains(t, err, test.message)
			assert.NotContains(t, err.Error(), "canary")
		})
	}
}
