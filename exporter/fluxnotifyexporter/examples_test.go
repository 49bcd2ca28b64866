package fluxnotifyexporter

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"go.yaml.in/yaml/v3"

	"github.com/fluxnotify/otelcol-flux/internal/providers"
)

var environment = regexp.MustCompile(`\$\{env:\w+:-([^}]*)\}`)

// TestEveryTypeHasAnExample loads the configurations that people copy from.
func TestEveryTypeHasAnExample(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "config", "providers.yaml"))
	require.NoError(t, err)
	var file struct {
		Exporters map[string]map[string]any `yaml:"exporters"`
	}
	require.NoError(t, yaml.Unmarshal(environment.ReplaceAll(text, []byte("$1")), &file))
	var have, want []string
	for name, settings := range file.Exporters {
		config := createDefaultConfig()
		require.NoError(t, confmap.NewFromStringMap(settings).Unmarshal(config), name)
		require.NoError(t, confmap.Validate(config), name)
		have = append(have, config.(*Config).Target.Type)
	}
	for _, row := range providers.Table {
		want = append(want, row.Type)
	}
	assert.ElementsMatch(t, want, have)
}
