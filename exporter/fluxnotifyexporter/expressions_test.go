package fluxnotifyexporter

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.yaml.in/yaml/v3"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

// TestReadmeExpressions gives the expressions of the README to a provider: each
// stands there with the name that it makes.
func TestReadmeExpressions(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(text), "<!-- tried by TestReadmeExpressions -->\n\n```yaml\n")
	require.True(t, found)
	block, _, found := strings.Cut(rest, "```")
	require.True(t, found)
	for _, line := range strings.Split(strings.TrimSpace(block), "\n") {
		example, want, found := strings.Cut(line, " # ")
		require.True(t, found, line)
		var config struct {
			Expression string `yaml:"commit_status_expr"`
		}
		require.NoError(t, yaml.Unmarshal([]byte(example), &config), line)
		assert.Equal(t, want, statusName(t, config.Expression), line)
	}
}

// statusName is that of the status which an expression makes of an event.
func statusName(t *testing.T, expression string) string {
	t.Helper()
	row, ok := providers.Find("github")
	require.True(t, ok)
	s := providertest.Complete(t, row.Sample)
	s.Type, s.Name, s.UID, s.CommitStatusExpr = row.Type, "status", "0c9c2e41-d2f9-4f9b-9c41-bebc1984d67a", expression
	provider, err := row.New(s)
	require.NoError(t, err, expression)
	payloads, err := provider.Render(providertest.Notification(t, providertest.Event(t, "kustomization-commit-status")))
	require.NoError(t, err, expression)
	require.Len(t, payloads, 1)
	return payloads[0].Key
}

// TestRotatedSecretsShareTheMemory proves that a successor knows what its
// predecessor has written, and by which name an expression knows either.
func TestRotatedSecretsShareTheMemory(t *testing.T) {
	t.Parallel()
	var memories []*notify.Memory
	var names []string
	dir := t.TempDir()
	put := func(token string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "token"), []byte(token), 0o600))
	}
	put("one")
	row := providers.Row{
		Type: "sample", Takes: notify.TakesAll, Token: providers.Optional,
		New: func(s notify.Settings) (notify.Provider, error) {
			memories, names = append(memories, s.Memory), append(names, s.Type+" "+s.Name)
			return nil, nil
		},
	}
	config := createDefaultConfig().(*Config)
	config.SecretDir = dir
	c := &current{config: config, row: row, name: config.providerName(component.MustNewIDWithName("flux_notify", "status")), set: componenttest.NewNopTelemetrySettings(), width: 1}
	require.NoError(t, c.start(t.Context(), componenttest.NewNopHost()))
	put("two")
	require.Eventually(t, func() bool { c.reload(); c.reloading.Lock(); defer c.reloading.Unlock(); return len(memories) == 2 }, 10*time.Second, time.Millisecond)
	require.NoError(t, c.shutdown(t.Context()))
	assert.NotNil(t, memories[0])
	assert.Same(t, memories[0], memories[1])
	assert.Equal(t, []string{"sample status", "sample status"}, names)
}

func TestProviderName(t *testing.T) {
	t.Parallel()
	for id, want := range map[component.ID]string{
		component.MustNewIDWithName("flux_notify", "status"): "status",
		component.MustNewID("flux_notify"):                   "flux_notify",
	} {
		assert.Equal(t, want, (&Config{}).providerName(id))
		assert.Equal(t, "github-status", (&Config{Name: "github-status"}).providerName(id))
	}
}
