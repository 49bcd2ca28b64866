package target

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"

	"github.com/fluxnotify/otelcol-flux/internal/testca"
)

// Whatever stands in the tls section reaches a bus, each setting alone too.
func TestTLSOfABus(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		section map[string]any
		given   bool
	}{
		"nothing":         {nil, false},
		"empty":           {map[string]any{}, false},
		"lowest version":  {map[string]any{"min_version": "1.3"}, true},
		"highest version": {map[string]any{"max_version": "1.2"}, true},
		"ciphers":         {map[string]any{"cipher_suites": []string{"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"}}, true},
		"curves":          {map[string]any{"curve_preferences": []string{"X25519"}}, true},
		"system's roots":  {map[string]any{"include_system_ca_certs_pool": true}, true},
		"another name":    {map[string]any{"server_name_override": "nats.example.com"}, true},
		"not verified":    {map[string]any{"insecure_skip_verify": true}, true},
		"roots":           {map[string]any{"ca_pem": testca.New(t).PEM()}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := NewConfig()
			require.NoError(t, confmap.NewFromStringMap(map[string]any{
				"type": "nats", "address": "nats://127.0.0.1", "channel": "flux", "tls": test.section,
			}).Unmarshal(&config))
			r, err := resolveType(t, &config)
			require.NoError(t, err)
			assert.Equal(t, test.given, r.tlsGiven)
			loaded, err := loadTLS(t.Context(), r)
			require.NoError(t, err)
			assert.NotNil(t, loaded)
		})
	}
}
