package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestConvert(t *testing.T) {
	t.Parallel()
	const manifests = "testdata/manifests"
	out, errOut, code := command(t, "", "convert", manifests)
	assert.Equal(t, exitDone, code, errOut)
	assert.Contains(t, errOut, "warn: testdata/manifests/flux.yaml:23: Alert apps/all: spec.summary: is deprecated")
	golden(t, "convert", out)

	out, _, code = command(t, "", "convert", "--secrets", "/etc/secrets", "--storage", "/var/lib/flux", "--endpoint", "0.0.0.0:8787", manifests)
	assert.Equal(t, exitDone, code)
	golden(t, "convert-mounted", out)
}

// What was converted is a configuration, and sends what the manifests send.
func TestConvertedIsTheSame(t *testing.T) {
	t.Setenv("FLUX_APPS_SLACK_TOKEN_TOKEN", canary)
	out, _, code := command(t, "", "convert", "testdata/manifests")
	assert.Equal(t, exitDone, code)
	render := []string{"render", "-o", "json", eventFile("kustomization-failed"), eventFile("helmrelease-upgrade-failed"), "-c"}
	converted, errOut, code := command(t, "", append(render, write(t, "collector.yaml", out))...)
	assert.Equal(t, exitDone, code, errOut)
	converted = strings.NewReplacer("flux_notify/apps.hook", "flux_notify\",\n\"provider\": \"apps/hook", "flux_notify/apps.slack", "flux_notify\",\n\"provider\": \"apps/slack").Replace(converted)
	direct, errOut, code := command(t, "", append(render, "flux:testdata/manifests")...)
	assert.Equal(t, exitDone, code, errOut)
	assert.JSONEq(t, direct, converted)

	_, errOut, code = command(t, "", "check", "-c", write(t, "collector.yaml", out))
	assert.Equal(t, exitDone, code, errOut)
}

// A faulty object is left out, and makes another exit code.
func TestConvertLeavesOutFaultyObjects(t *testing.T) {
	t.Parallel()
	faulty := write(t, "a.yaml", "apiVersion: notification.toolkit.fluxcd.io/v1\nkind: Provider\nmetadata: {name: a, namespace: b}\nspec: {type: slak, address: "+canary+"}\n")
	out, errOut, code := command(t, "", "convert", "testdata/manifests", faulty)
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, out, "flux_notify/apps.slack:")
	assert.NotContains(t, out, "b.a")
	assert.Contains(t, errOut, "fault: "+faulty+`:4: Provider b/a: spec.type: "slak" is not one of slack`)
}

func TestConvertRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		err  string
	}{
		"nothing":         {nil, "requires at least 1 arg(s)"},
		"no such folder":  {[]string{"none"}, "none: no such file"},
		"no manifests":    {[]string{t.TempDir()}, "is ready and has an Alert: nothing would be sent"},
		"wrong manifests": {[]string{write(t, "a.yaml", "apiVersion: notification.toolkit.fluxcd.io/v1\nkind: Provider\nmetadata: {name: a, namespace: b}\nspec: {type: slak, address: "+canary+"}\n")}, `Provider b/a: spec.type: "slak" is not one of slack`},
	} {
		out, errOut, code := command(t, "", append([]string{"convert"}, c.args...)...)
		assert.Equal(t, exitUsage, code, name)
		assert.Empty(t, out, name)
		assert.Contains(t, errOut, c.err, name)
	}
}
