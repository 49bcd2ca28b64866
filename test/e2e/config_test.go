package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What is wrong stops the start, and the check before it, with the key's path
// and what would be right.
func TestConfigurationErrors(t *testing.T) {
	t.Parallel()
	const here = "http://127.0.0.1:1/hook"
	empty := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(empty, "token"), nil, 0o600))
	for name, tc := range map[string]struct {
		exporter string // as YAML, of flux_notify
		path     string // of the key, as an expression
		says     []string
	}{
		"unknown type": {
			exporter: `{type: slak, address: "` + here + `"}`,
			path:     `type: "slak"`, says: []string{"the types are slack, "},
		},
		"no type": {exporter: `{address: "` + here + `"}`, path: "type", says: []string{"must be set", "generic-hmac"}},
		"no address": {
			exporter: `{type: generic}`,
			path:     "address", says: []string{"must be set"},
		},
		"impossible address": {
			exporter: `{type: generic, address: "ftp://127.0.0.1/hook-s3cr3t"}`,
			path:     "address", says: []string{"https://"},
		},
		"address without a host": {
			exporter: `{type: slack, address: "https:///hook-s3cr3t"}`,
			path:     "address", says: []string{"no host"},
		},
		"endpoint": {
			exporter: `{type: generic, endpoint: "http://127.0.0.1/hook-s3cr3t"}`,
			path:     "endpoint", says: []string{"address"},
		},
		"unused field": {
			exporter: `{type: generic, address: "` + here + `", channel: general}`,
			path:     "channel", says: []string{"generic does not use it", "remove"},
		},
		// The collector itself finds this one, and names it its own way.
		"unknown key": {
			exporter: `{type: generic, address: "` + here + `", color: "x"}`,
			path:     "", says: []string{"color"},
		},
		"invalid expression": {
			exporter: `{type: generic, address: "` + here + `", alerts: [{name: a}, {name: b, inclusion_list: ['ok', '(']}]}`,
			path:     "alerts::1(::|: )inclusion_list::1", says: []string{"missing closing )", "syntax"},
		},
		"unreadable secret_dir": {
			exporter: `{type: generic, address: "` + here + `", secret_dir: "` + filepath.Join(empty, "nowhere") + `"}`,
			path:     "secret_dir", says: []string{"nowhere", "no such file"},
		},
		"secret_dir is a file": {
			exporter: `{type: generic, address: "` + here + `", secret_dir: "` + filepath.Join(empty, "token") + `"}`,
			path:     "secret_dir", says: []string{"not a directory"},
		},
		"no key": {
			exporter: `{type: generic-hmac, address: "` + here + `", token: ""}`,
			path:     "token", says: []string{"must be set"},
		},
		"empty key in the secret": {
			exporter: `{type: generic-hmac, address: "` + here + `", secret_dir: "` + empty + `"}`,
			path:     "token", says: []string{"must be set", "secret_dir"},
		},
		"impossible subject": {
			exporter: `{type: nats, address: "nats://127.0.0.1:1", channel: "a.*.b"}`,
			path:     "channel", says: []string{"no wildcards"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCollector(t)
			c.Secret("path of the address", "hook-s3cr3t")
			c.write(spec{exporters: "flux_notify/x: " + tc.exporter})
			path := regexp.MustCompile(`exporters::flux_notify/x(::|: )` + tc.path)
			for _, arguments := range [][]string{{"validate", "--config", c.config}, {"--config", c.config}} {
				printed, code := c.Run(arguments...)
				assert.NotZero(t, code, "%s: %s", arguments[0], printed)
				if tc.path != "" {
					assert.Regexp(t, path, printed, arguments[0])
				}
				for _, words := range tc.says {
					assert.Contains(t, printed, words, arguments[0])
				}
				assert.NotContains(t, printed, "panic")
			}
		})
	}
}

// What is offered to copy from is right as it is.
func TestReadyConfigurations(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../config/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			printed, code := newCollector(t).Run("validate", "--config", file)
			assert.Zero(t, code, printed)
		})
	}
}

// The check says nothing where nothing is wrong.
func TestValidConfiguration(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	key := c.Secret("key", "valid-key-0123456789")
	c.write(spec{exporters: `
flux_notify/x:
  type: generic-hmac
  address: http://127.0.0.1:1/hook
  token: ` + key + `
  alerts: [{name: a, event_severity: error, event_sources: [{kind: '*', match_labels: {team: a}}], exclusion_list: ['waiting.*socket']}]
`})
	printed, code := c.Run("validate", "--config", c.config)
	assert.Zero(t, code, printed)
	assert.Empty(t, strings.TrimSpace(printed))
}

// What people copy from is right.
func TestShippedConfigurations(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("..", "..", "config", "*.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		printed, code := newCollector(t).Run("validate", "--config", file)
		assert.Zero(t, code, "%s: %s", file, printed)
		assert.NotContains(t, printed, "deprecated", file)
	}
}

func TestConnectorConfigurationErrors(t *testing.T) {
	t.Parallel()
	for settings, says := range map[string]string{
		"{memory: {interval: 0s}}":      "connectors::flux_trace::memory: interval: must be positive, for example 1h",
		"{memory: {max_entries: -1}}":   "connectors::flux_trace::memory: max_entries: must be positive, for example 10000",
		"{memory: {interval: a while}}": "interval",
		"{idenity: prod}":               "idenity",
	} {
		c := newCollector(t)
		c.write(spec{exporters: "debug:", connector: settings, traces: "debug/traces:"})
		printed, code := c.Run("validate", "--config", c.config)
		assert.NotZero(t, code, settings)
		assert.Contains(t, printed, says)
	}
}

// What the exporter's README says of labels works: a processor puts them there.
func TestLabelsFromAProcessor(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../exporter/fluxnotifyexporter/README.md")
	require.NoError(t, err)
	_, block, _ := strings.Cut(string(readme), "<!-- tried by TestLabelsFromAProcessor -->\n\n```yaml\n")
	block, _, found := strings.Cut(block, "```")
	require.True(t, found)
	s, c := newSink(t, nil), newCollector(t)
	require.NoError(t, os.WriteFile(c.config, []byte(block+`
receivers: {flux_event: {endpoint: "`+c.events+`"}}
exporters:
  flux_notify:
    type: generic
    address: `+s.URL+`
    alerts: [{name: all, event_sources: [{kind: '*', namespace: '*', match_labels: {team: web}}]}]
service:
  telemetry: {metrics: {level: none}}
  pipelines: {logs: {receivers: [flux_event], processors: [transform], exporters: [flux_notify]}}
`), 0o600))
	c.Again()
	theirs, others := newEvent("webapp", "of the shop"), newEvent("webapp", "of others")
	theirs.InvolvedObject.Namespace = "shop"
	c.Accept(others, theirs)
	c.Stop()
	assert.Equal(t, map[string]int{"of the shop": 1}, messages(t, s.Accepted()))
}
