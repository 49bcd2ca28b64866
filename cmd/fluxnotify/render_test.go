package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const collectorYAML = "testdata/collector.yaml"

func TestRender(t *testing.T) {
	t.Parallel()
	failed, installed := eventFile("kustomization-failed"), eventFile("helmrelease-installed")
	for name, args := range map[string][]string{
		"render":      {failed, installed},
		"render-one":  {"--exporter", "flux_notify/slack", eventFile("kustomization-commit-status"), installed},
		"render-json": {"-o", "json", "-e", "flux_notify/bus", "-e", "flux_notify/pagerduty", failed},
	} {
		out, errOut, code := command(t, "", append([]string{"render", "--config", collectorYAML}, args...)...)
		assert.Equal(t, exitDone, code, errOut)
		assert.Empty(t, errOut)
		golden(t, name, out)
	}
}

// The last of several configurations wins, as in the collector.
func TestRenderMergesConfigurations(t *testing.T) {
	t.Parallel()
	out, errOut, code := command(t, "", "render", "-c", collectorYAML, "-c", "yaml:exporters::flux_notify/status::suspend: true",
		"-e", "flux_notify/status", eventFile("kustomization-failed"))
	assert.Equal(t, exitDone, code, errOut)
	assert.Contains(t, out, "flux_notify/status (mastodon): filtered by suspend: the exporter is suspended")
}

// The Providers of manifests are shown like exporters.
func TestRenderOfManifests(t *testing.T) {
	t.Parallel()
	render := []string{"render", "-c", "flux:testdata/manifests", eventFile("helmrelease-upgrade-failed")}
	out, errOut, code := command(t, "", render...)
	assert.Equal(t, exitDone, code, errOut)
	assert.Contains(t, out, "flux_notify apps/hook (generic)\n    alert apps/hooked: would send\n      POST https://example.com/[REDACTED]?cost=[REDACTED]\n")
	assert.Contains(t, out, "flux_notify apps/slack (slack)\n    alert apps/all: filtered by event_sources")
	assert.Contains(t, errOut, "warn: testdata/manifests/flux.yaml:23: Alert apps/all: spec.summary: is deprecated")

	one, _, code := command(t, "", append(render, "-e", "apps/hook")...)
	assert.Equal(t, exitDone, code)
	assert.Contains(t, one, "apps/hook")
	assert.NotContains(t, one, "apps/slack")
	_, errOut, code = command(t, "", append(render, "-e", "apps/none")...)
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errOut, `"apps/none" is not one of the configuration's: apps/hook, apps/slack, flux_notify`)
}

const manifestsWithFaults = `
apiVersion: notification.toolkit.fluxcd.io/v1
kind: Provider
metadata: {name: broken, namespace: apps}
spec: {type: generic, address: "ftp://` + canary + `"}
---
apiVersion: notification.toolkit.fluxcd.io/v1
kind: Provider
metadata: {name: idle, namespace: apps}
spec: {type: generic, address: "https://example.com"}
---
apiVersion: notification.toolkit.fluxcd.io/v1
kind: Provider
metadata: {name: suspended, namespace: apps}
spec: {type: generic, address: "https://example.com", suspend: true}
---
apiVersion: notification.toolkit.fluxcd.io/v1
kind: Alert
metadata: {name: a, namespace: apps}
spec: {providerRef: {name: broken}, eventSources: [{kind: Kustomization, name: '*'}]}
---
apiVersion: notification.toolkit.fluxcd.io/v1
kind: Alert
metadata: {name: b, namespace: apps}
spec: {providerRef: {name: suspended}, eventSources: [{kind: Kustomization, name: '*'}]}
---
apiVersion: notification.toolkit.fluxcd.io/v1
kind: Alert
metadata: {name: lost, namespace: apps}
spec: {providerRef: {name: gone}, eventSources: [{kind: Kustomization, name: '*'}]}
`

func TestRenderOfProvidersThatSendNothing(t *testing.T) {
	t.Parallel()
	file := write(t, "flux.yaml", manifestsWithFaults)
	out, errOut, code := command(t, "", "render", "-c", "flux:"+file, eventFile("kustomization-failed"))
	assert.Equal(t, exitFailed, code)
	broken := file + ":5: Provider apps/broken: spec.address: must be a URL that begins with https:// or http://\n"
	assert.Contains(t, out, "flux_notify apps/broken (generic): fails: "+broken)
	assert.Contains(t, out, "flux_notify apps/idle (generic): filtered by alerts: no Alert that can be used refers to it\n")
	assert.Contains(t, out, "flux_notify apps/suspended (generic): filtered by suspend: notifications wait until the Provider is resumed\n")
	assert.Contains(t, errOut, "fault: "+broken)
	assert.Contains(t, errOut, "fault: "+file+":30: Alert apps/lost: spec.providerRef: there is no Provider apps/gone\n")
	assert.Contains(t, errOut, "warn: "+file+":7: Provider apps/idle: no Alert refers to it: nothing is sent\n")
}

func TestRenderReadsEvents(t *testing.T) {
	t.Parallel()
	v1beta1, err := os.ReadFile(eventFile("kustomization-failed"))
	require.NoError(t, err)
	v1, err := os.ReadFile(eventFile("kustomization-v1"))
	require.NoError(t, err)
	for name, in := range map[string]string{
		"one after the other": string(v1beta1) + string(v1),
		"a list":              "[" + string(v1beta1) + "," + string(v1) + "]",
		"lists":               "[" + string(v1beta1) + "]\n[]\n[" + string(v1) + "]",
	} {
		out, errOut, code := command(t, in, "render", "-c", collectorYAML, "-o", "json", "-e", "flux_notify/bus", "-")
		assert.Equal(t, exitDone, code, errOut)
		var events []renderedEvent
		require.NoError(t, json.Unmarshal([]byte(out), &events))
		require.Len(t, events, 2, name)
		assert.Equal(t, "standard input#1", events[0].Event)
		assert.Contains(t, events[1].Exporters[0].Alerts[0].Requests[0].Body, `"relatedObject"`, "the v1 form")
	}
}

func TestRenderRefuses(t *testing.T) {
	t.Parallel()
	event := eventFile("kustomization-failed")
	wrong := write(t, "wrong.yaml", "exporters: {flux_notify/a: {type: slak, token: "+canary+"}, flux_notify/b: {type: slack, token: ["+canary+"]}}")
	for name, c := range map[string]struct {
		args []string
		in   string
		err  string
	}{
		"no configuration":    {[]string{event}, "", `required flag(s) "config" not set`},
		"no event":            {[]string{"-c", collectorYAML}, "", "requires at least 1 arg(s)"},
		"no such file":        {[]string{"-c", collectorYAML, "none.json"}, "", "none.json: no such file"},
		"no such config":      {[]string{"-c", "none.yaml", event}, "", "none.yaml"},
		"not JSON":            {[]string{"-c", collectorYAML, "-"}, `{"a": ` + canary, "standard input: is not JSON, from byte 7 on"},
		"cut JSON":            {[]string{"-c", collectorYAML, "-"}, `{"a": 1`, "standard input: is not JSON: it ends too early"},
		"empty":               {[]string{"-c", collectorYAML, "-"}, " ", "standard input: is empty"},
		"no event in it":      {[]string{"-c", collectorYAML, "-"}, `[{"involvedObject":{"kind":"` + canary + `"}}]`, "standard input: not an event: involvedObject.name is missing"},
		"no exporter in it":   {[]string{"-c", "yaml:exporters::debug: ", event}, "", "there is no flux_notify exporter"},
		"another exporter":    {[]string{"-c", collectorYAML, "-e", "debug", event}, "", `"debug" is not one of the configuration's: flux_notify/bus, flux_notify/pagerduty`},
		"a wrong exporter":    {[]string{"-c", wrong, "-e", "flux_notify/a", event}, "", `exporters::flux_notify/a: type: "slak" is not known, the types are slack`},
		"a wrong setting":     {[]string{"-c", wrong, "-e", "flux_notify/b", event}, "", "exporters::flux_notify/b: "},
		"an unknown form":     {[]string{"-c", collectorYAML, "-o", "yaml", event}, "", `"yaml" is not one of text, json`},
		"not even a map":      {[]string{"-c", "yaml:exporters::flux_notify: " + canary, event}, "", "exporters::flux_notify: must be a map of settings"},
		"an impossible ID":    {[]string{"-c", "yaml:exporters::flux_notify/: {}", event}, "", "exporters::flux_notify/: "},
		"an unknown argument": {[]string{"--colour"}, "", "unknown flag: --colour"},
	} {
		out, errOut, code := command(t, c.in, append([]string{"render"}, c.args...)...)
		assert.Equal(t, exitUsage, code, name)
		assert.Empty(t, out, name)
		assert.True(t, strings.HasPrefix(errOut, "fluxnotify: "), "%s: %s", name, errOut)
		assert.Contains(t, errOut, c.err, name)
	}
}

// What is known to fail makes another exit code, and is shown all the same.
func TestRenderOfWhatFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ config, out, err string }{
		"a missing token": {
			"exporters: {flux_notify: {type: datadog, address: 'https://api.datadoghq.com'}}",
			"      fails: token: must be set for the type datadog\n      POST https://api.datadoghq.com/api/v1/events\n",
			"warn: exporters::flux_notify: token: must be set for the type datadog; until then its notifications fail\n",
		},
		"an impossible channel": {
			"exporters: {flux_notify: {type: zulip, address: 'https://a.zulipchat.com', channel: a}}",
			"no alerts, so everything: fails: channel: must be a channel and a topic", "",
		},
	} {
		out, errOut, code := command(t, "", "render", "-c", "yaml:"+c.config, eventFile("kustomization-failed"))
		assert.Equal(t, exitFailed, code, name)
		assert.Contains(t, out, c.out, name)
		assert.Equal(t, c.err, errOut, name)
	}
}

// What an event says does nothing to the terminal on which it is shown.
func TestRenderIsHarmless(t *testing.T) {
	t.Parallel()
	in := `{"involvedObject":{"kind":"K","name":"n\u001b[31m"},"reason":"R\u001b]0;x\u0007","severity":"info","message":"m\u009b31m"}`
	out, _, code := command(t, in, "render", "-c", collectorYAML, "-")
	assert.Equal(t, exitDone, code)
	assert.NotContains(t, out, "\u009b")
	assert.NotContains(t, out, "\x07")
}
