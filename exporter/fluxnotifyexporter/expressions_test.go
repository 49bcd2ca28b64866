package fluxnotifyexporter

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

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
