package fluxmanifest

import (
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Each fault has its line and its path, and says what would be right.
func TestFaults(t *testing.T) {
	t.Parallel()
	const (
		of = "flux.yaml:"
		// lost follows from a Provider without a usable name.
		lost = "13: Alert apps/all: spec.providerRef: there is no Provider apps/hook"
	)
	for name, tc := range map[string]struct {
		text string
		want []string // each the beginning of a line
	}{
		"no type":            {strings.Replace(provider, "  type: generic\n", "", 1) + alert, []string{"5: Provider apps/hook: spec.type: must be set to one of alertmanager, "}},
		"null type":          {strings.Replace(provider, "type: generic", "type: ~", 1) + alert, []string{"6: Provider apps/hook: spec.type: must be set to one of "}},
		"unknown type":       {strings.Replace(provider, "generic", "genericHMAC", 1) + alert, []string{`6: Provider apps/hook: spec.type: "genericHMAC" is not one of generic-hmac, `}},
		"empty type":         {strings.Replace(provider, "generic", "''", 1) + alert, []string{`6: Provider apps/hook: spec.type: "" is not one of `}},
		"number for a text":  {provider + "  channel: 12345\n" + alert, []string{"8: Provider apps/hook: spec.channel: must be a string: put it in quotes"}},
		"list for a text":    {provider + "  channel: [" + canary + "]\n" + alert, []string{"8: Provider apps/hook: spec.channel: must be a string"}},
		"text for a flag":    {provider + "  suspend: 'true'\n" + alert, []string{"8: Provider apps/hook: spec.suspend: must be true or false"}},
		"text for a map":     {provider + "  secretRef: " + canary + "\n" + alert, []string{"8: Provider apps/hook: spec.secretRef: must be a map"}},
		"reference upwards":  {provider + "  secretRef: {name: ../../etc}\n" + alert, []string{"8: Provider apps/hook: spec.secretRef.name: must be set to a name of lower-case letters"}},
		"timeout":            {provider + "  timeout: soon\n" + alert, []string{`8: Provider apps/hook: spec.timeout: "soon" is not a duration such as 30s`}},
		"no timeout":         {provider + "  timeout: 0s\n" + alert, []string{`8: Provider apps/hook: spec.timeout: "0s" is not a duration`}},
		"service account":    {provider + "  serviceAccountName: tenant\n" + alert, []string{`8: Provider apps/hook: spec.serviceAccountName: is not supported here, because the collector has one identity, its own: grant the permissions of tenant to`}},
		"no Provider":        {provider + alert + strings.NewReplacer("name: all", "name: lost", "name: hook", "name: gone").Replace(alert), []string{"20: Alert apps/lost: spec.providerRef: there is no Provider apps/gone"}},
		"Provider elsewhere": {provider + alert + strings.Replace(alert, "namespace: apps", "namespace: infra", 1), []string{"20: Alert infra/all: spec.providerRef: there is no Provider infra/hook"}},
		"field twice":        {provider + "  type: slack\n" + alert, []string{"5: Provider apps/hook: spec: has the key type twice"}},
		"spec twice":         {provider + "spec: {type: " + canary + "}\n" + alert, []string{"2: Provider apps/hook: has the key spec twice"}},
		"metadata twice":     {provider + strings.TrimSpace(alert) + "\nmetadata: {name: b}\n", []string{"9: Alert apps/all: has the key metadata twice"}},
		"twice in a list":    {"apiVersion: v1\nkind: List\nkind: List\nitems:\n- {apiVersion: " + group + "v1, kind: Alert, kind: Alert}", []string{"5: Alert: has the key kind twice", "5: Alert: metadata.name: must be set"}},
		"severity":           {provider + alert + "  eventSeverity: warning\n", []string{`15: Alert apps/all: spec.eventSeverity: "warning" is not one of info, error`}},
		"no reference":       {provider + strings.Replace(alert, "  providerRef: {name: hook}\n", "", 1), []string{"12: Alert apps/all: spec.providerRef: must be set to a Provider of the same namespace"}},
		"empty reference":    {provider + strings.Replace(alert, "{name: hook}", "{}", 1), []string{"13: Alert apps/all: spec.providerRef.name: must be set to a name"}},
		"no sources":         {provider + strings.Replace(alert, "  eventSources: [{kind: Kustomization, name: '*'}]\n", "", 1), []string{"12: Alert apps/all: spec.eventSources: must list objects"}},
		"sources are a map":  {provider + strings.Replace(alert, "[{kind: Kustomization, name: '*'}]", "{kind: a}", 1), []string{"14: Alert apps/all: spec.eventSources: must be a list"}},
		"source is a text":   {provider + strings.Replace(alert, "[{kind: Kustomization, name: '*'}]", "[a]", 1), []string{"14: Alert apps/all: spec.eventSources[0]: must be a map"}},
		"source of no kind":  {provider + strings.Replace(alert, "kind: Kustomization, ", "", 1), []string{"14: Alert apps/all: spec.eventSources[0].kind: must be set, for example Kustomization"}},
		"source of no name":  {provider + strings.Replace(alert, ", name: '*'", "", 1), []string{"14: Alert apps/all: spec.eventSources[0].name: must be set to a name, or '*'"}},
		"source's pattern":   {provider + strings.Replace(alert, "'*'", "'[a'", 1), []string{`14: Alert apps/all: spec.eventSources[0].name: "[a" is not a name`}},
		"source's labels":    {provider + strings.Replace(alert, "'*'}", "'*', matchLabels: {a: 1}}", 1), []string{"14: Alert apps/all: spec.eventSources[0].matchLabels.a: must be a string: put it in quotes"}},
		"inclusion":          {provider + alert + "  inclusionList:\n  - ok\n  - (\n", []string{"17: Alert apps/all: spec.inclusionList[1]: error parsing regexp: missing closing )"}},
		"exclusion":          {provider + alert + "  exclusionList: [1, '[']\n", []string{"15: Alert apps/all: spec.exclusionList[0]: must be a string: put it in quotes", "15: Alert apps/all: spec.exclusionList[1]: error parsing regexp: missing closing ]"}},
		"metadata's value":   {provider + alert + "  eventMetadata:\n    a: b\n    c: true\n", []string{"17: Alert apps/all: spec.eventMetadata.c: must be a string: put it in quotes"}},
		"version":            {strings.Replace(provider, "v1beta3", "v2", 1) + alert, []string{`2: Provider apps/hook: apiVersion: "notification.toolkit.fluxcd.io/v2" is not one of notification.toolkit.fluxcd.io/v1beta1, v1beta2, v1beta3, v1`}},
		"no name":            {strings.Replace(provider, "name: hook, ", "", 1) + alert, []string{"4: Provider: metadata.name: must be set to a name", lost}},
		"odd name":           {strings.Replace(provider, "name: hook", "name: 'a::b'", 1) + alert, []string{"4: Provider: metadata.name: must be set to a name", lost}},
		"odd namespace":      {strings.Replace(provider, "namespace: apps", "namespace: ../x", 1) + alert, []string{"4: Provider: metadata.namespace: must be a name", lost}},
		"dotted namespace":   {strings.Replace(provider, "namespace: apps", "namespace: a.b", 1) + alert, []string{"4: Provider: metadata.namespace: must be a name such as flux-system, of lower-case letters, digits and hyphens, without a dot", lost}},
		"twice":              {provider + "---" + provider + alert, []string{"9: Provider apps/hook: is defined twice, first in flux.yaml:2: this one is not used"}},
		"nothing":            {"a: b", nil},
		"no Alert":           {provider, nil},
		"no YAML":            {provider + alert + "---\na: [\n" + canary + "\n", []string{"15: is not YAML: did not find expected ',' or ']'"}},
		"unknown anchor":     {provider + alert + "---\na: *" + canary, []string{"flux.yaml: is not YAML: unknown anchor '…' referenced"}},
		"spec is a list":     {strings.Replace(provider, "spec:\n  type: generic\n  address: https://example.com/hook\n", "spec: []\n", 1) + alert, []string{"5: Provider apps/hook: spec: must be a map"}},
		"metadata is a list": {strings.Replace(provider, "{name: hook, namespace: apps}", "[]", 1) + alert, []string{"4: Provider: metadata: must be a map", lost}},
		"keys that are maps": {strings.Replace(provider, "address: https", "[a]: https", 1) + alert, []string{"5: Provider apps/hook: spec: must be a map whose keys are strings"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := translate(t, tc.text, Collector{})
			if !assert.Len(t, got.faults, len(tc.want), "%v", got.faults) {
				return
			}
			want := make([]string, len(tc.want))
			for i, line := range tc.want {
				want[i] = line
				if !strings.HasPrefix(line, of) && line[0] >= '0' && line[0] <= '9' {
					want[i] = of + line
				}
			}
			for _, line := range want {
				assert.Condition(t, func() bool {
					for _, fault := range got.faults {
						if strings.HasPrefix(fault, line) {
							return true
						}
					}
					return false
				}, "%q is not in %q", line, got.faults)
			}
		})
	}
}

func TestAllFaultsAtOnceSorted(t *testing.T) {
	t.Parallel()
	got := translateAll(t, map[string]string{
		"b.yaml": strings.Replace(provider, "generic", "slak", 1),
		"a.yaml": strings.Repeat("#\n", 90) + strings.Replace(alert, "kind: Kustomization, ", "", 1),
		"c.yaml": "{",
		"a.yml":  strings.NewReplacer("name: all", "name: some", "'*'}]", "'*'}]\n  eventSeverity: warning\n  inclusionList: ['(']").Replace(alert),
	}, Collector{})
	assert.Len(t, got.faults, 5)
	assert.True(t, sort.SliceIsSorted(got.faults, func(i, j int) bool { return got.faults[i][:2] < got.faults[j][:2] }), "%v", got.faults)
	assert.Contains(t, got.faults[0], "a.yaml:97: Alert apps/all: spec.eventSources[0].kind: ")
	assert.Contains(t, got.faults[1], `a.yml:8: Alert apps/some: spec.eventSeverity: "warning" is not one of info, error`)
	assert.Contains(t, got.faults[2], "a.yml:9: Alert apps/some: spec.inclusionList[0]: ")
}

// Warnings are about what works, but perhaps not as its author expects.
func TestWarnings(t *testing.T) {
	t.Parallel()
	other := strings.NewReplacer("name: hook", "name: other").Replace
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"unknown field of a Provider": {provider + "  colour: x\n" + alert, []string{"flux.yaml:8: Provider apps/hook: spec.colour: is not a field of this kind, and is ignored"}},
		"unknown field of an Alert":   {provider + alert + "  eventSeverty:\n    a: " + canary + "\n", []string{"flux.yaml:15: Alert apps/all: spec.eventSeverty: is not a field"}},
		"unknown field of a source":   {provider + strings.Replace(alert, "name: '*'", "name: '*', label: a", 1), []string{"flux.yaml:14: Alert apps/all: spec.eventSources[0].label: is not a field"}},
		"unknown field of a ref":      {provider + strings.Replace(alert, "{name: hook}", "{name: hook, namespace: x}", 1), []string{"flux.yaml:13: Alert apps/all: spec.providerRef.namespace: is not a field"}},
		"unknown field of the object": {"sepc: {}\n" + strings.TrimSpace(provider) + "\n" + alert, []string{"flux.yaml:1: Provider apps/hook: sepc: is not a field"}},
		"unused channel":              {provider + "  channel: " + canary + "\n" + alert, []string{"flux.yaml:8: Provider apps/hook: spec.channel: the type generic does not use it"}},
		"unused expression":           {provider + "  commitStatusExpr: event.x\n" + alert, []string{"flux.yaml:8: Provider apps/hook: spec.commitStatusExpr: the type generic does not use it"}},
		"proxy of a bus": {strings.Replace(provider, "generic", "nats", 1) + "  channel: a\n  proxy: http://" + canary + "\n  proxySecretRef: {name: x}\n" + alert, []string{
			"flux.yaml:10: Provider apps/hook: spec.proxySecretRef: the type nats does not use it",
			"flux.yaml:9: Provider apps/hook: spec.proxy: is deprecated",
			"flux.yaml:9: Provider apps/hook: spec.proxy: the type nats does not use it",
		}},
		"Provider without Alert": {provider + alert + "---" + other(provider), []string{"flux.yaml:16: Provider apps/other: no Alert refers to it: nothing is sent"}},
		"Alert of nothing": {provider + alert + "---" + other(provider) + strings.NewReplacer("name: all", "name: none", "name: hook", "name: other", "[{kind: Kustomization, name: '*'}]", "[]").Replace(alert), []string{
			"flux.yaml:16: Provider apps/other: no Alert that refers to it can match anything",
			"flux.yaml:28: Alert apps/none: spec.eventSources: is empty: the Alert matches nothing",
		}},
		"no namespace": {strings.Replace(provider, ", namespace: apps", "", 1) + strings.Replace(alert, ", namespace: apps", "", 1), []string{
			"flux.yaml:11: Alert default/all: metadata.namespace: is not set, which means the namespace default",
			"flux.yaml:4: Provider default/hook: metadata.namespace: is not set",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := translate(t, tc.text, Collector{})
			assert.Empty(t, got.faults)
			sort.Strings(got.warnings)
			if assert.Len(t, got.warnings, len(tc.want), "%q", got.warnings) {
				for i, want := range tc.want {
					assert.True(t, strings.HasPrefix(got.warnings[i], want), "%q is not %q", got.warnings[i], want)
				}
			}
			for id, exporter := range got.config["exporters"].(map[string]any) {
				assert.NotEmpty(t, exporter.(map[string]any)["alerts"], "%s would be sent everything", id)
			}
		})
	}
}
