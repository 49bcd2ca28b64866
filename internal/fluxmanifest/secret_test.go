package fluxmanifest

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

const secretHead = `---
apiVersion: v1
kind: Secret
metadata: {name: token, namespace: apps}
type: Opaque
`

var withSecret = provider + "  secretRef: {name: token}\n" + alert

func TestSecretsInline(t *testing.T) {
	t.Parallel()
	raw := canary + "\xff\x00$\n"
	got := translate(t, withSecret+secretHead+
		"data: {token: "+base64.StdEncoding.EncodeToString([]byte(raw))+", username: Zmx1eA==, empty: ''}\n"+
		"stringData:\n  username: '${"+canary+"}'\n  ca.crt: |\n    first\n    second\n", Collector{})
	assert.Equal(t, map[string]any{
		"token": canary + "\xff\x00$$\n", "username": "$${" + canary + "}", "ca.crt": "first\nsecond\n", "empty": "",
	}, got.exporter(t, "apps.hook")["secret"])
	assert.Empty(t, got.warnings)
}

func TestAllThreeSecretsInline(t *testing.T) {
	t.Parallel()
	named := func(name string) string { return strings.Replace(secretHead, "token", name, 1) }
	got := translate(t, provider+"  secretRef: {name: a}\n  certSecretRef: {name: b}\n  proxySecretRef: {name: c}\n"+alert+
		named("a")+"stringData: {token: x}\n"+named("b")+"stringData: {ca.crt: y}\n"+named("c")+"stringData: {address: z}\n", Collector{})
	settings := got.exporter(t, "apps.hook")
	assert.Equal(t, map[string]any{"token": "x"}, settings["secret"])
	assert.Equal(t, map[string]any{"ca.crt": "y"}, settings["cert_secret"])
	assert.Equal(t, map[string]any{"address": "z"}, settings["proxy_secret"])
}

func TestSecretFaults(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ secret, want string }{
		"not there":       {"", "flux.yaml:8: Provider apps/hook: spec.secretRef: there is no Secret apps/token"},
		"other namespace": {strings.Replace(secretHead, "namespace: apps", "namespace: infra", 1), "flux.yaml:8: Provider apps/hook: spec.secretRef: there is no Secret apps/token"},
		"base64":          {secretHead + "data:\n  token: " + canary + "%\n", "flux.yaml:22: Secret apps/token: data.token: is not base64"},
		"number":          {secretHead + "stringData:\n  token: 12345\n", "flux.yaml:22: Secret apps/token: stringData.token: must be a string: put it in quotes"},
		"map":             {secretHead + "stringData:\n  token: {a: " + canary + "}\n", "flux.yaml:22: Secret apps/token: stringData.token: must be a string"},
		"key":             {secretHead + "stringData:\n  a::b: " + canary + "\n", "flux.yaml:17: Secret apps/token: has a key that is not of letters"},
		"no map":          {secretHead + "stringData: " + canary + "\n", "flux.yaml:21: Secret apps/token: stringData: must be a map"},
		"encrypted":       {secretHead + "stringData: {token: ENC}\nsops:\n  mac: ENC\n", "flux.yaml:22: Secret apps/token: sops: the Secret is encrypted: decrypt the file, or mount"},
		"data twice":      {secretHead + "data: {a: YQ==}\ndata: {}\n", "flux.yaml:17: Secret apps/token: has the key data twice"},
		"twice":           {secretHead + secretHead, "flux.yaml:22: Secret apps/token: is defined twice, first in "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := translate(t, withSecret+tc.secret, Collector{})
			if assert.Len(t, got.faults, 1, "%q", got.faults) {
				assert.True(t, strings.HasPrefix(got.faults[0], tc.want), "%q is not %q", got.faults[0], tc.want)
			}
		})
	}
}

func TestSecretsFromTheEnvironment(t *testing.T) {
	t.Parallel()
	options := Collector{Options: Options{Secrets: SecretsFromEnvironment}}
	got := translate(t, withSecret+secretHead+"stringData: {token: "+canary+", address: "+canary+"}\n", options)
	assert.Equal(t, map[string]any{"token": "${env:FLUX_APPS_TOKEN_TOKEN}", "address": "${env:FLUX_APPS_TOKEN_ADDRESS}"}, got.exporter(t, "apps.hook")["secret"])
	assert.Empty(t, got.warnings)

	for secret, warning := range map[string]string{
		"data: {token: 'ENC[x]'}\nstringData:\n  address: ENC[x]\nsops: {mac: ENC}\n": "flux.yaml:24: Secret apps/token: sops: the Secret is encrypted: set the variables",
		"data:\n  token: " + canary + "%\nstringData: {address: x}\n":                 "flux.yaml:22: Secret apps/token: data.token: is not base64",
	} {
		got := translate(t, withSecret+secretHead+secret, options)
		assert.Equal(t, map[string]any{"token": "${env:FLUX_APPS_TOKEN_TOKEN}", "address": "${env:FLUX_APPS_TOKEN_ADDRESS}"}, got.exporter(t, "apps.hook")["secret"])
		if assert.Len(t, got.warnings, 1) {
			assert.True(t, strings.HasPrefix(got.warnings[0], warning), got.warnings[0])
		}
	}

	absent := func(typ, address, field string) string {
		text := strings.Replace(provider, "type: generic", "type: "+typ, 1)
		return strings.Replace(text, "  address: https://example.com/hook\n", address, 1) + "  " + field + ": {name: creds-1}\n" + alert
	}
	for name, tc := range map[string]struct {
		text, key string
		want      map[string]any
	}{
		"token":       {absent("slack", "  address: https://example.com\n", "secretRef"), "secret", map[string]any{"token": "${env:FLUX_APPS_CREDS_1_TOKEN}"}},
		"address":     {absent("msteams", "", "secretRef"), "secret", map[string]any{"address": "${env:FLUX_APPS_CREDS_1_ADDRESS}"}},
		"password":    {absent("zulip", "  address: https://example.com\n  channel: a/b\n", "secretRef"), "secret", map[string]any{"username": "${env:FLUX_APPS_CREDS_1_USERNAME}", "password": "${env:FLUX_APPS_CREDS_1_PASSWORD}"}},
		"certificate": {absent("slack", "  address: https://example.com\n", "certSecretRef"), "cert_secret", map[string]any{"ca.crt": "${env:FLUX_APPS_CREDS_1_CA_CRT}"}},
		"proxy":       {absent("slack", "  address: https://example.com\n", "proxySecretRef"), "proxy_secret", map[string]any{"address": "${env:FLUX_APPS_CREDS_1_ADDRESS}"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := translate(t, tc.text, options)
			assert.Equal(t, tc.want, got.exporter(t, "apps.hook")[tc.key])
			if assert.Len(t, got.warnings, 1) {
				assert.Contains(t, got.warnings[0], "the Secret apps/creds-1 is not among the manifests, its keys are assumed to be ")
			}
		})
	}
}

func TestOneVariableForTwoKeys(t *testing.T) {
	t.Parallel()
	got := translate(t, withSecret+secretHead+"stringData: {ca.crt: a, ca-crt: b}\n", Collector{Options: Options{Secrets: SecretsFromEnvironment}})
	assert.Equal(t, []string{"flux.yaml:8: Provider apps/hook: spec.secretRef: the variable FLUX_APPS_TOKEN_CA_CRT would stand for the Secret keys apps/token ca-crt and apps/token ca.crt"}, got.faults)
}
