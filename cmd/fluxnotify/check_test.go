package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCheckOfSettings(t *testing.T) {
	t.Parallel()
	out, errOut, code := command(t, "", "check", "-c", collectorYAML)
	assert.Equal(t, exitDone, code, errOut)
	golden(t, "check", out)

	wrong := write(t, "wrong.yaml", `
receivers:
  flux_event: {path: events}
exporters:
  otlp: {endpoint: [`+canary+`]}
  flux_notify/a:
    type: slack
    address: https://example.com
    alerts: [{name: a}, {event_severity: warning, inclusion_list: ['(']}]
  flux_notify/b: {type: slack, token: [`+canary+`]}
  flux_notify/c: {type: generic, address: 'https://example.com', colour: `+canary+`}
`)
	out, _, code = command(t, "", "check", "-c", wrong, "--connect", "-o", "json")
	assert.Equal(t, exitFailed, code)
	var checks []checked
	require.NoError(t, json.Unmarshal([]byte(out), &checks))
	require.Len(t, checks, 4)
	assert.Equal(t, checked{
		Component: "receivers::flux_event", Errors: []string{`receivers::flux_event: path: "events" is not a path such as /events`},
	}, checks[0])
	assert.Equal(t, []string{
		`exporters::flux_notify/a: alerts::1::event_severity: "warning" is not one of info (every event), error`,
		"alerts::1::inclusion_list::0: error parsing regexp: missing closing ): `(` (the syntax is that of https://pkg.go.dev/regexp/syntax)",
	}, checks[1].Errors)
	assert.Contains(t, strings.Join(checks[2].Errors, "\n"), "exporters::flux_notify/b: ")
	assert.Contains(t, strings.Join(checks[3].Errors, "\n"), "colour")

	out, _, code = command(t, "", "check", "-c", wrong)
	assert.Equal(t, exitFailed, code)
	assert.Equal(t, 4, strings.Count(out, "\ninvalid  "))
}

func TestCheckOfManifests(t *testing.T) {
	t.Parallel()
	out, errOut, code := command(t, "", "check", "-c", "flux:testdata/manifests")
	assert.Equal(t, exitDone, code, errOut)
	golden(t, "check-manifests", out)
	assert.Contains(t, errOut, "warn: testdata/manifests/flux.yaml:23: Alert apps/all: spec.summary: is deprecated")

	file := write(t, "flux.yaml", manifestsWithFaults)
	out, errOut, code = command(t, "", "check", "-c", "flux:"+file)
	assert.Equal(t, exitFailed, code)
	golden(t, "check-manifests-faults", strings.ReplaceAll(out, file, "flux.yaml"))
	assert.Contains(t, errOut, "warn: "+file+":7: Provider apps/idle: no Alert refers to it")

	out, _, code = command(t, "", "check", "-c", "flux:"+filepath.Join(t.TempDir(), "none"))
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, out, "invalid  exporters::flux_notify")
	assert.Contains(t, out, "exporters::flux_notify: manifests::path: stat ")
}

// A context that does not exist is reported at once.
func TestCheckOfAClusterThatIsNotKnown(t *testing.T) {
	t.Setenv("KUBECONFIG", write(t, "kubeconfig", "apiVersion: v1\nkind: Config\n"))
	out, _, code := command(t, "", "check", "-c", "flux:kubernetes?context=nowhere")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, out, "invalid  exporters::flux_notify")
	assert.Contains(t, out, `context "nowhere" does not exist`)
}

func TestCheckConnects(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/v1/validate":
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte("bad key " + r.Header.Get("Dd-Api-Key")))
		case "/api/v2/status":
		default:
			assert.Fail(t, "unexpected request", r.URL.Path)
		}
	}))
	t.Cleanup(server.Close)
	config := write(t, "collector.yaml", strings.ReplaceAll(`
receivers:
  flux_event:
exporters:
  flux_notify/asked: {type: alertmanager, address: URL/api/v2/alerts}
  flux_notify/authenticated: {type: alertmanager, address: URL/api/v2/alerts, auth: {authenticator: oauth2client}}
  flux_notify/connected: {type: generic, address: URL/hook}
  flux_notify/refused: {type: datadog, address: URL, token: `+canary+`}
`, "URL", server.URL))
	out, errOut, code := command(t, "", "check", "-c", config, "--connect")
	assert.Equal(t, exitFailed, code, errOut)
	golden(t, "check-connect", strings.ReplaceAll(out, strings.TrimPrefix(server.URL, "http://"), "HOST"))

	out, _, code = command(t, "", "check", "-c", config, "--connect", "-o", "json")
	assert.Equal(t, exitFailed, code)
	golden(t, "check-connect-json", strings.ReplaceAll(out, strings.TrimPrefix(server.URL, "http://"), "HOST"))
}

func TestCheckRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		err  string
	}{
		"no configuration": {nil, `required flag(s) "config" not set`},
		"nothing to check": {[]string{"-c", "yaml:exporters::debug: "}, "there is no flux_notify exporter and no flux_event receiver"},
		"an argument":      {[]string{"-c", collectorYAML, "x"}, `unknown command "x"`},
		"an unknown file":  {[]string{"-c", collectorYAML, "-c", "yaml:a: ${file:none}"}, "none"},
	} {
		_, errOut, code := command(t, "", append([]string{"check"}, c.args...)...)
		assert.Equal(t, exitUsage, code, name)
		assert.Contains(t, errOut, c.err, name)
	}
}
