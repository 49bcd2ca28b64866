package fluxnotifyexporter

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/providers"
)

var updateReadme = flag.Bool("update-readme", false, "write the table of provider types into README.md")

// TestProviderTable keeps the README's table that of the code.
func TestProviderTable(t *testing.T) {
	t.Parallel()
	const begin, end = "-update-readme -->\n", "<!-- end provider types -->"
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(text), begin)
	require.True(t, found)
	table, after, found := strings.Cut(rest, end)
	require.True(t, found)
	if *updateReadme {
		require.NoError(t, os.WriteFile("README.md", []byte(before+begin+providerTable()+end+after), 0o600))
		return
	}
	assert.Equal(t, providerTable(), table, "run the test with -update-readme")
}

func providerTable() string {
	words := map[providers.Use]string{providers.Unused: "–", providers.Optional: "optional", providers.Expected: "expected", providers.Required: "required"}
	var b strings.Builder
	b.WriteString("\n| type | tells | `address` | `channel` | `username` | `password` | `token` | `headers` | further keys of `secret_dir` |\n")
	b.WriteString("| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n")
	for _, row := range providers.Table {
		secrets := "–"
		if len(row.Secrets) > 0 {
			secrets = "`" + strings.Join(row.Secrets, "`, `") + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s | %s | %s | %s |\n", row.Type, row.Words,
			words[row.Address], words[row.Channel], words[row.Username], words[row.Password], words[row.Token], words[row.Headers], secrets)
	}
	b.WriteString("\n")
	return b.String()
}
