package fluxnotifyexporter

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/confmap"

	"github.com/fluxnotify/otelcol-flux/internal/testca"
)

func TestASecretInTheConfiguration(t *testing.T) {
	t.Parallel()
	sink := newEndpoint(t, nil)
	config := webhook("http://127.0.0.1:1/overridden")
	config.Target.Type = "generic-hmac"
	config.Target.Secret = map[string]configopaque.String{
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

func TestCertAndProxySecretsRotate(t *testing.T) {
	t.Parallel()
	first, second := testca.New(t).PEM(), testca.New(t).PEM()
	cert := mount(t, map[string]string{"ca.crt": first})
	proxy := mount(t, map[string]string{"address": "http://one:3128", "username": "canary"})
	config := webhook("https://127.0.0.1:1")
	config.Target.CertSecretDir, config.Target.ProxySecretDir = cert.dir, proxy.dir
	e := start(t, config)
	cert.swap(t, map[string]string{"ca.crt": second})
	e.waitForLog(t, "the changed secret is in use", 1)
	proxy.swap(t, map[string]string{"address": "http://two:3128", "username": "canary"})
	e.waitForLog(t, "the changed secret is in use", 2)
	proxy.swap(t, map[string]string{"address": "", "username": "canary"})
	e.waitForLog(t, "the changed secret cannot be used: the previous one stays in use", 1)
	e.stop(t)
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
		"certificate":  {func(c *Config) { c.Target.CertSecret = map[string]configopaque.String{"ca.crt": "canary"} }, "cert_secret: ca.crt: holds no certificate"},
		"folder":       {func(c *Config) { c.Target.CertSecretDir = "/does/not/exist" }, "cert_secret_dir: cannot be read: open /does/not/exist"},
		"proxy folder": {func(c *Config) { c.Target.ProxySecretDir = "/does/not/exist" }, "proxy_secret_dir: cannot be read: open /does/not/exist"},
		"no proxy":     {func(c *Config) { c.Target.ProxySecret = map[string]configopaque.String{"username": "canary"} }, "proxy_secret: address: must be set to the URL of the proxy"},
		"bad proxy":    {func(c *Config) { c.Target.ProxySecret = map[string]configopaque.String{"address": "http://canary\x00"} }, "proxy_secret: address: must be a URL"},
		"odd scheme":   {func(c *Config) { c.Target.ProxySecret = map[string]configopaque.String{"address": "ftp://canary"} }, "proxy_url: must be a URL such as"},
		"no username": {func(c *Config) {
			c.Target.ProxySecret = map[string]configopaque.String{"address": "http://proxy", "password": "canary"}
		}, "proxy_secret: username: must be set"},
		"no address": {func(c *Config) {
			c.Target.Address, c.Target.Secret = "", map[string]configopaque.String{"token": "canary"}
		}, "address: must be set for the type generic, here or as the key address of secret"},
		"headers": {func(c *Config) { c.Target.Secret = map[string]configopaque.String{"headers": "canary"} }, "secret: headers: is not a YAML map"},
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
