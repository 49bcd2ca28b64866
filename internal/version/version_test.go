package version

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func TestChoose(t *testing.T) {
	t.Parallel()
	main := func(version string) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Path: module, Version: version}}
	}
	dependency := func(m debug.Module) *debug.BuildInfo {
		m.Path = module
		return &debug.BuildInfo{Main: debug.Module{Path: "example.com/collector", Version: "v9.9.9"}, Deps: []*debug.Module{{Path: "example.com/other", Version: "v8.8.8"}, &m}}
	}
	for name, c := range map[string]struct {
		linked string
		info   *debug.BuildInfo
		want   string
	}{
		"nothing known":               {"", nil, unreleased},
		"the linker's":                {"1.2.3", main("v1.0.0"), "1.2.3"},
		"the linker's with a v":       {"v1.2.3", nil, "1.2.3"},
		"its own program":             {"", main("v1.0.0"), "1.0.0"},
		"its own program, unreleased": {"", main("(devel)"), unreleased},
		"without version control":     {"", main(""), unreleased},
		"another collector":           {"", dependency(debug.Module{Version: "v1.0.0"}), "1.0.0"},
		"a fork":                      {"", dependency(debug.Module{Version: "v1.0.0", Replace: &debug.Module{Path: "example.com/fork", Version: "v1.0.1"}}), "1.0.1"},
		"a folder":                    {"", dependency(debug.Module{Version: "v0.0.0", Replace: &debug.Module{Path: "./otelcol-flux"}}), unreleased},
		"another program":             {"", &debug.BuildInfo{Main: debug.Module{Path: "example.com/collector", Version: "v9.9.9"}}, unreleased},
	} {
		assert.Equal(t, c.want, choose(c.linked, c.info), name)
	}
}

func TestUserAgent(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "otelcol-flux/"+String(), UserAgent())
	assert.Regexp(t, `^otelcol-flux/[0-9][0-9A-Za-z.+-]*$`, UserAgent())
}

// The distribution and the source name the same version.
func TestDistribution(t *testing.T) {
	t.Parallel()
	var config struct {
		Dist struct {
			Version string `yaml:"version"`
		} `yaml:"dist"`
	}
	file, err := os.ReadFile(filepath.Join("..", "..", "builder-config.yaml"))
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(file, &config))
	assert.Equal(t, unreleased, config.Dist.Version)
}
