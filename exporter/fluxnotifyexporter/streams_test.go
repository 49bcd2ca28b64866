package fluxnotifyexporter

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"go.yaml.in/yaml/v3"
)

var (
	yamlBlocks = regexp.MustCompile("(?s)```yaml\n(exporters:.*?)```")
	anySecret  = regexp.MustCompile(`\$\{env:\w+\}`)
)

// TestStreamsDocument loads the configurations of docs/streams.md.
func TestStreamsDocument(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "streams.md"))
	require.NoError(t, err)
	blocks := yamlBlocks.FindAllSubmatch(text, -1)
	require.NotEmpty(t, blocks)
	for _, block := range blocks {
		var file struct {
			Exporters map[string]map[string]any `yaml:"exporters"`
		}
		require.NoError(t, yaml.Unmarshal(anySecret.ReplaceAll(block[1], []byte("secret")), &file))
		require.NotEmpty(t, file.Exporters)
		for name, settings := range file.Exporters {
			config := createDefaultConfig()
			require.NoError(t, confmap.NewFromStringMap(settings).Unmarshal(config), "%s in\n%s", name, block[1])
			require.NoError(t, confmap.Validate(config), "%s in\n%s", name, block[1])
		}
	}
}
