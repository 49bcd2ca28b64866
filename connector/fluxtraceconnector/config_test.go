package fluxtraceconnector

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"
)

func TestLoadConfig(t *testing.T) {
	t.Parallel()
	defaults := &Config{Memory: MemoryConfig{Interval: time.Hour, MaxEntries: 10000}}
	tests := map[string]*Config{
		"":    defaults,
		"all": {Identity: "prod-eu", Memory: MemoryConfig{Interval: 15 * time.Minute, MaxEntries: 500}},
	}
	sections, err := confmaptest.LoadConf(filepath.Join("testdata", "config.yaml"))
	require.NoError(t, err)
	assert.Len(t, sections.ToStringMap(), len(tests), "every section is tested")
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			section, err := sections.Sub(component.NewIDWithName(typ, name).String())
			require.NoError(t, err)
			got := NewFactory().CreateDefaultConfig()
			require.NoError(t, section.Unmarshal(got))
			assert.Equal(t, want, got)
			require.NoError(t, confmap.Validate(got))
		})
	}
}

func TestConfigErrors(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Config){
		"memory: interval: must be positive":                          func(c *Config) { c.Memory.Interval = 0 },
		"memory: max_entries: must be positive, for example 10000":    func(c *Config) { c.Memory.MaxEntries = -1 },
		"interval: must be positive, for example 1h\nmax_entries: mu": func(c *Config) { c.Memory = MemoryConfig{} },
	} {
		config := createDefaultConfig().(*Config)
		change(config)
		require.ErrorContains(t, confmap.Validate(config), want)
	}
	assert.ErrorContains(t, confmap.NewFromStringMap(map[string]any{"idenity": "x"}).Unmarshal(createDefaultConfig()), "idenity")
}
