package fluxeventreceiver

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configauth"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configtls"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"
)

func TestDefaults(t *testing.T) {
	t.Parallel()
	server := confighttp.NewDefaultServerConfig()
	server.NetAddr.Endpoint = "localhost:8787"
	server.MaxRequestBodySize = 3145728
	server.ReadHeaderTimeout = 10 * time.Second
	server.ReadTimeout = 30 * time.Second
	want := &Config{
		ServerConfig:  server,
		Path:          "/",
		HealthPath:    "/healthz",
		Deduplication: DeduplicationConfig{Interval: 5 * time.Minute, MaxEntries: 100000},
	}
	assert.Equal(t, want, NewFactory().CreateDefaultConfig())
	require.NoError(t, confmap.Validate(want))
}

func TestLoadConfig(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*Config){
		"": func(*Config) {},
		"all": func(c *Config) {
			tls := configtls.NewDefaultServerConfig()
			tls.CertFile, tls.KeyFile = "/etc/otelcol/tls.crt", "/etc/otelcol/tls.key"
			c.ServerConfig.NetAddr.Endpoint = "0.0.0.0:9292"
			c.ServerConfig.MaxRequestBodySize = 1 << 20
			c.ServerConfig.ReadTimeout = 5 * time.Second
			c.ServerConfig.ReadHeaderTimeout = 2 * time.Second
			c.ServerConfig.CompressionAlgorithms = []string{"", "gzip"}
			c.ServerConfig.TLS = configoptional.Some(tls)
			c.ServerConfig.Auth = configoptional.Some(confighttp.AuthConfig{
				Config: configauth.Config{AuthenticatorID: component.MustNewIDWithName("basicauth", "flux")},
			})
			c.Path, c.HealthPath = "/flux", "/ready"
			c.Signature.Keys = []configopaque.String{"first", "second"}
			required(false)(c)
			c.Deduplication = DeduplicationConfig{Interval: 90 * time.Second, MaxEntries: 500}
		},
		"no_deduplication": func(c *Config) { c.Deduplication = DeduplicationConfig{} },
		"signed":           keys("only"),
		"one_cluster":      func(c *Config) { c.Cluster = "prod-eu.1_A" },
		"clusters": func(c *Config) {
			c.Path = "/events/{cluster}"
			c.Signature.ClusterKeys = map[string][]configopaque.String{"prod-eu": opaque("first", "second"), "prod.us": opaque("third")}
			required(true)(c)
		},
	}
	sections, err := confmaptest.LoadConf(filepath.Join("testdata", "config.yaml"))
	require.NoError(t, err)
	assert.Len(t, sections.ToStringMap(), len(tests), "every section is tested")
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			section, err := sections.Sub(component.NewIDWithName(typ, name).String())
			require.NoError(t, err)
			got := NewFactory().CreateDefaultConfig()
			require.NoError(t, section.Unmarshal(got))
			want := createDefaultConfig().(*Config)
			change(want)
			assert.Equal(t, want, got)
			require.NoError(t, confmap.Validate(got))
		})
	}
}

func TestUnknownKeysAreRefused(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"key", "signature::key", "clusters", "deduplication::ttl"} {
		given := confmap.New()
		require.NoError(t, given.Merge(confmap.NewFromStringMap(map[string]any{key: "x"})))
		require.Error(t, given.Unmarshal(NewFactory().CreateDefaultConfig()), key)
	}
}

func TestRequired(t *testing.T) {
	t.Parallel()
	var c Config
	assert.False(t, c.Signature.required(), "without keys there is nothing to require")
	keys("key")(&c)
	assert.True(t, c.Signature.required())
	required(false)(&c)
	assert.False(t, c.Signature.required())
	required(true)(&c)
	assert.True(t, c.Signature.required())
	assert.False(t, (&SignatureConfig{ClusterKeys: map[string][]configopaque.String{"eu": opaque("key")}}).required(), "they are for their clusters only")
}

func TestValidate(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*Config)
		want   string
	}{
		"no endpoint": {
			func(c *Config) { c.ServerConfig.NetAddr.Endpoint = "" },
			"endpoint: must be set, for example to localhost:8787",
		},
		"no path": {func(c *Config) { c.Path = "" }, `path: "" is not a path such as /events`},
		"a relative path": {
			func(c *Config) { c.Path = "events" },
			`path: "events" is not a path such as /events`,
		},
		"a query": {
			func(c *Config) { c.Path = "/events?a=b" },
			`path: "/events?a=b" is not a path such as /events`,
		},
		"a fragment": {
			func(c *Config) { c.HealthPath = "/health#z" },
			`health_path: "/health#z" is not a path such as /events`,
		},
		"a space": {
			func(c *Config) { c.HealthPath = "/health z" },
			`health_path: "/health z" is not a path such as /events`,
		},
		"another placeholder": {
			func(c *Config) { c.Path = "/{namespace}" },
			`path: "/{namespace}": the only placeholder is {cluster}, as the last segment of path: /events/{cluster}`,
		},
		"a placeholder in the middle": {
			func(c *Config) { c.Path = "/{cluster}/events" },
			`path: "/{cluster}/events": the only placeholder is {cluster}, as the last segment of path: /events/{cluster}`,
		},
		"a placeholder in a segment": {
			func(c *Config) { c.Path = "/x-{cluster}" },
			`path: "/x-{cluster}": the only placeholder is {cluster}, as the last segment of path: /events/{cluster}`,
		},
		"two placeholders": {
			func(c *Config) { c.Path = "/{cluster}/{cluster}" },
			`path: "/{cluster}/{cluster}": the only placeholder is {cluster}, as the last segment of path: /events/{cluster}`,
		},
		"a placeholder alone": {func(c *Config) { c.Path = "{cluster}" }, `path: "{cluster}" is not a path such as /events`},
		"a health path with a placeholder": {
			func(c *Config) { c.HealthPath = "/healthz/{cluster}" },
			`health_path: "/healthz/{cluster}": the only placeholder is {cluster}, as the last segment of path: /events/{cluster}`,
		},
		"a bad cluster": {func(c *Config) { c.Cluster = "prod eu" }, `cluster: "prod eu" is not a name of 1 to 253 of A-Za-z0-9._-`},
		"a long cluster": {
			func(c *Config) { c.Cluster = strings.Repeat("x", 254) },
			`cluster: "` + strings.Repeat("x", 254) + `" is not a name of 1 to 253 of A-Za-z0-9._-`,
		},
		"an empty key of a cluster": {
			clusterKeys("prod-eu", "s3cr3t", ""),
			"signature: cluster_keys::prod-eu::1: is empty, so anybody could sign; set it, or remove it",
		},
		"no key of a cluster": {
			clusterKeys("prod-eu"),
			"signature: cluster_keys::prod-eu: must have at least one key; remove it to verify this cluster with keys",
		},
		"keys of a bad cluster": {
			clusterKeys("prod/eu", "s3cr3t"),
			`signature: cluster_keys::prod/eu: "prod/eu" is not a name of a cluster, which is 1 to 253 of A-Za-z0-9._-`,
		},
		"keys of no cluster": {
			clusterKeys("", "s3cr3t"),
			`signature: cluster_keys::: "" is not a name of a cluster, which is 1 to 253 of A-Za-z0-9._-`,
		},
		"the same paths": {
			func(c *Config) { c.HealthPath = "/" },
			`health_path: must differ from path, both are "/"`,
		},
		"several": {
			func(c *Config) { c.ServerConfig.NetAddr.Endpoint, c.Path = "", "x" },
			"endpoint: must be set, for example to localhost:8787\n" + `path: "x" is not a path such as /events`,
		},
		"an empty key": {keys("s3cr3t", ""), "signature: keys::1: is empty, so anybody could sign; set it, or remove it"},
		"required without keys": {
			required(true),
			"signature: required: true needs keys to verify signatures with",
		},
		"a negative interval": {
			func(c *Config) { c.Deduplication.Interval = -1 },
			"deduplication: interval: must not be negative; 0s turns deduplication off",
		},
		"no entries": {
			func(c *Config) { c.Deduplication.MaxEntries = 0 },
			"deduplication: max_entries: must be positive; interval: 0s turns deduplication off",
		},
		"fewer than no entries": {
			func(c *Config) { c.Deduplication.MaxEntries = -1 },
			"deduplication: max_entries: must be positive; interval: 0s turns deduplication off",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := createDefaultConfig().(*Config)
			test.change(config)
			require.EqualError(t, confmap.Validate(config), test.want)
		})
	}
	for name, change := range map[string]func(*Config){
		"not required without keys":        required(false),
		"required with keys of a cluster":  func(c *Config) { clusterKeys("eu", "a")(c); required(true)(c) },
		"the longest name of a cluster":    func(c *Config) { c.Cluster = strings.Repeat("x", 253) },
		"a cluster at the root":            func(c *Config) { c.Path = "/{cluster}" },
		"required with keys":               func(c *Config) { keys("a", "b")(c); required(true)(c) },
		"no entries without deduplication": func(c *Config) { c.Deduplication = DeduplicationConfig{} },
	} {
		config := createDefaultConfig().(*Config)
		change(config)
		require.NoError(t, confmap.Validate(config), name)
	}
}
