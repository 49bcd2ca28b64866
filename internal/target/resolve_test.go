package target

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configopaque"

	"github.com/fluxnotify/otelcol-flux/internal/providers"
	"github.com/fluxnotify/otelcol-flux/internal/testca"
)

func resolveType(t *testing.T, config *Config) (resolved, error) {
	t.Helper()
	row, ok := providers.Find(config.Type)
	require.True(t, ok)
	return config.resolve(row, "")
}

// sampleConfig is the configuration of a row's sample.
func sampleConfig(row providers.Row) *Config {
	config := NewConfig()
	config.Type, config.Address = row.Type, configopaque.String(row.Sample.Address)
	config.Channel, config.Username = row.Sample.Channel, row.Sample.Username
	config.Password, config.Token = configopaque.String(row.Sample.Password), configopaque.String(row.Sample.Token)
	for _, header := range row.Sample.Headers {
		config.ClientConfig.Headers.Set(header.Name, configopaque.String(header.Value))
	}
	return &config
}

func TestSecretsOverrideEachOther(t *testing.T) {
	t.Parallel()
	ca, other := testca.New(t).PEM(), testca.New(t).PEM()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "token"), []byte("of-the-folder"), 0o600))
	config := NewConfig()
	config.Address = "https://example.com"
	config.Type, config.SecretDir = "alertmanager", dir
	config.Secret = map[string]configopaque.String{"token": "of-the-map", "username": "of-the-map", "ca.crt": configopaque.String(other), "proxy": "http://old:3128"}
	config.CertSecret = map[string]configopaque.String{"caFile": configopaque.String(ca), "token": "not of this secret"}
	config.ProxySecret = map[string]configopaque.String{"address": "http://proxy.example.com:3128\n", "username": "user", "password": "p@ss"}
	r, err := resolveType(t, &config)
	require.NoError(t, err)
	assert.Equal(t, "of-the-folder", r.settings.Token)
	assert.Equal(t, "of-the-map", r.settings.Username)
	assert.Equal(t, configopaque.String(ca), r.client.TLS.CAPem)
	assert.Equal(t, "http://user:p%40ss@proxy.example.com:3128", r.client.ProxyURL)
	assert.Equal(t, []string{"cert_secret: the key caFile is deprecated, call it ca.crt"}, r.warnings)
}
