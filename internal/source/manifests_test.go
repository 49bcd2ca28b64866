package source

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configopaque"

	"github.com/fluxnotify/otelcol-flux/internal/alert"
	"github.com/fluxnotify/otelcol-flux/internal/providers"
)

const (
	patience = 10 * time.Second
	tick     = 2 * time.Millisecond
	// silence is long enough for a change that must not be reported.
	silence = 400 * time.Millisecond
	// canary stands for a secret; no fault holds it.
	canary = "canary-5ecr3t"
)

const healthy = `
---
apiVersion: notification.toolkit.fluxcd.io/v1beta3
kind: Provider
metadata: {name: healthy, namespace: apps}
spec:
  type: generic
  address: https://example.com/` + canary + `
---
apiVersion: notification.toolkit.fluxcd.io/v1beta3
kind: Alert
metadata: {name: all, namespace: apps}
spec:
  providerRef: {name: healthy}
  eventSources: [{kind: Kustomization, name: '*'}]
`

// object is one in the namespace tenant.
func object(kind, name, spec string) string {
	return fmt.Sprintf("---\napiVersion: notification.toolkit.fluxcd.io/v1beta3\nkind: %s\nmetadata: {name: %s, namespace: tenant}\nspec: {%s}\n", kind, name, spec)
}

func providerOf(spec string) string { return object("Provider", "bad", spec) }

func hookOf(spec string) string {
	return providerOf("type: generic, address: 'https://example.com/" + canary + "', " + spec)
}

func alertOf(spec string) string {
	return object("Alert", "bad", "providerRef: {name: bad}, eventSources: [{kind: Kustomization, name: '*'}], "+spec)
}

func secret(name, data string) string {
	return "---\napiVersion: v1\nkind: Secret\nmetadata: {name: " + name + ", namespace: tenant}\nstringData: {" + data + "}\n"
}

var (
	hook   = hookOf("")
	events = alertOf("")
)

func write(t *testing.T, path, text string) {
	t.Helper()
	next := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	require.NoError(t, os.WriteFile(next, []byte(text), 0o600))
	require.NoError(t, os.Rename(next, path))
}

// folder writes files, by their paths in it.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		write(t, path, text)
	}
	return dir
}

func (s Set) find(id string) *Target {
	for i := range s.Targets {
		if s.Targets[i].ID() == id {
			return &s.Targets[i]
		}
	}
	return nil
}

// faults are all faults of a set, without the folder.
func (s Set) faults(dir string) string {
	var b strings.Builder
	all := s.Faults
	for _, t := range s.Targets {
		all = append(all[:len(all):len(all)], t.Faults...)
	}
	for _, f := range all {
		b.WriteString(strings.ReplaceAll(f.String(), dir+string(filepath.Separator), "") + "\n")
	}
	return b.String()
}

func (s Set) assertHealthy(t *testing.T) {
	t.Helper()
	h := s.find("apps/healthy")
	require.NotNil(t, h)
	assert.True(t, h.Ready, "%v", h.Faults)
	assert.Empty(t, h.Faults)
	assert.Len(t, h.Config.Alerts, 1)
	require.NoError(t, h.Config.Check())
}

// Each faulty object disables itself only: another Provider is ready all the same.
func TestAFaultyObjectDisablesItselfOnly(t *testing.T) {
	t.Parallel()
	many := func(n int, item string) string { return "[" + strings.Repeat(item+", ", n) + "]" }
	for name, tc := range map[string]struct {
		text string
		// fault is a part of the faults. Empty: there is none.
		fault string
		// ready and alerts are those of the target tenant/bad. alerts -1: there is no
		// such target.
		ready  bool
		alerts int
	}{
		"a healthy one":               {hook + events, "", true, 1},
		"no type":                     {providerOf("address: x") + events, "bad.yaml:5: Provider tenant/bad: spec.type: must be set to one of", false, 1},
		"unknown type":                {providerOf("type: slak") + events, `Provider tenant/bad: spec.type: "slak" is not one of slack`, false, 1},
		"a very long type":            {providerOf("type: "+strings.Repeat("s", 500_000)) + events, `…" is not one of`, false, 1},
		"address of no host":          {providerOf("type: generic, address: 'https://'") + events, "Provider tenant/bad: spec.address: ", false, 1},
		"address of another kind":     {providerOf("type: generic, address: 'ftp://example.com'") + events, "Provider tenant/bad: spec.address: must be a URL", false, 1},
		"address absent":              {providerOf("type: generic") + events, "Provider tenant/bad: spec.address: must be set for the type generic", false, 1},
		"address too long":            {providerOf("type: generic, address: 'https://a/"+strings.Repeat("a", 3000)+"'") + events, "spec.address: is 3010 characters long, the most is 2048", false, 1},
		"channel absent":              {providerOf("type: matrix, address: 'https://a'") + events, "Provider tenant/bad: ", false, 1},
		"a number for a string":       {hookOf("channel: 5") + events, "spec.channel: must be a string: put it in quotes", false, 1},
		"timeout 0s":                  {hookOf("timeout: 0s") + events, `Provider tenant/bad: spec.timeout: "0s" is not a duration`, false, 1},
		"timeout too short":           {hookOf("timeout: 1ms") + events, "Provider tenant/bad: spec.timeout: 1ms is too short", false, 1},
		"CEL that does not parse":     {providerOf("type: github, address: 'https://github.com/o/r', commitStatusExpr: '(', secretRef: {name: token}") + secret("token", "token: x") + events, "Provider tenant/bad: spec.commitStatusExpr: ", false, 1},
		"CEL for another type":        {hookOf("commitStatusExpr: '('") + events, "", true, 1},
		"an address without a path":   {providerOf("type: github, address: 'https://github.com', secretRef: {name: token}") + secret("token", "token: x") + events, "Provider tenant/bad: spec.address: ", false, 1},
		"a proxy that is not a URL":   {hookOf("proxy: '://"+canary+"'") + events, "Provider tenant/bad: spec.proxy: must be a URL", false, 1},
		"service account":             {hookOf("serviceAccountName: tenant") + events, "Provider tenant/bad: spec.serviceAccountName: is not supported here", false, 1},
		"Secret absent":               {hookOf("secretRef: {name: token}") + events, "Provider tenant/bad: spec.secretRef: there is no Secret tenant/token\n", false, 1},
		"certificates absent":         {hookOf("certSecretRef: {name: ca}") + events, "Provider tenant/bad: spec.certSecretRef: there is no Secret tenant/ca\n", false, 1},
		"proxy's Secret absent":       {hookOf("proxySecretRef: {name: p}") + events, "Provider tenant/bad: spec.proxySecretRef: there is no Secret tenant/p\n", false, 1},
		"Secret elsewhere":            {hookOf("secretRef: {name: token}") + strings.Replace(secret("token", "token: x"), "tenant", "apps", 1) + events, "there is no Secret tenant/token", false, 1},
		"Secret not base64":           {hookOf("secretRef: {name: token}") + strings.Replace(secret("token", "token: '%"+canary+"'"), "stringData", "data", 1) + events, "Secret tenant/token: data.token: is not base64", false, 1},
		"Secret encrypted":            {hookOf("secretRef: {name: token}") + secret("token", "token: x") + "sops: {}\n" + events, "Secret tenant/token: sops: the Secret is encrypted", false, 1},
		"Secret without its key":      {providerOf("type: generic-hmac, address: 'https://a', secretRef: {name: token}") + secret("token", "tokn: x") + events, "Provider tenant/bad: spec.secretRef: token: must be set for the type generic-hmac\n", false, 1},
		"a token that is expected":    {providerOf("type: datadog, address: 'https://a'") + events, "Provider tenant/bad: spec.secretRef: token: must be set for the type datadog\n", false, 1},
		"headers not YAML":            {hookOf("secretRef: {name: token}") + secret("token", "headers: '["+canary+"'") + events, "Provider tenant/bad: spec.secretRef: headers: is not a YAML map", false, 1},
		"ca.crt without certificate":  {hookOf("certSecretRef: {name: ca}") + secret("ca", "ca.crt: "+canary) + events, "Provider tenant/bad: spec.certSecretRef: ca.crt: holds no certificate", false, 1},
		"tls.crt without its key":     {hookOf("certSecretRef: {name: ca}") + secret("ca", "tls.crt: "+canary) + events, "Provider tenant/bad: spec.certSecretRef: tls.crt, tls.key: one is missing", false, 1},
		"proxy without its address":   {hookOf("proxySecretRef: {name: p}") + secret("p", "username: "+canary) + events, "Provider tenant/bad: spec.proxySecretRef: address: must be set to the URL of the proxy", false, 1},
		"unknown field":               {hookOf("colour: red") + events, "", true, 1},
		"spec twice":                  {hook + "spec: {type: slack}\n" + events, "Provider tenant/bad: has the key spec twice", false, 1},
		"spec absent":                 {strings.Split(hook, "spec:")[0] + events, "Provider tenant/bad: spec.type: must be set", false, 1},
		"spec a list":                 {strings.Split(hook, "spec:")[0] + "spec: []\n" + events, "Provider tenant/bad: spec: must be a map", false, 1},
		"unknown version":             {strings.Replace(hook, "v1beta3", "v9", 1) + events, "Provider tenant/bad: apiVersion: ", false, 1},
		"no name":                     {strings.Replace(hook, "name: bad,", "", 1), "Provider: metadata.name: must be set", false, -1},
		"an impossible namespace":     {strings.Replace(hook, "namespace: tenant", "namespace: ../apps", 1), "Provider: metadata.namespace: must be a name", false, -1},
		"not YAML from some line on":  {hook + events + "---\n{\n", "is not YAML", true, 1},
		"suspended":                   {hookOf("suspend: true") + events, "", true, 1},
		"the same name twice":         {hook + events + strings.Replace(healthy, "example.com", "evil.example.com", 1), "Provider apps/healthy: is defined twice, first in a.yaml:3: this one is not used", true, 1},
		"no Provider":                 {events, "Alert tenant/bad: spec.providerRef: there is no Provider tenant/bad", false, -1},
		"a Provider elsewhere":        {strings.Replace(events, "{name: bad}, ", "{name: healthy}, ", 1), "Alert tenant/bad: spec.providerRef: there is no Provider tenant/healthy", false, -1},
		"no Alert":                    {hook, "", true, 0},
		"no event sources":            {hook + object("Alert", "bad", "providerRef: {name: bad}, eventSources: []"), "", true, 0},
		"event sources absent":        {hook + object("Alert", "bad", "providerRef: {name: bad}"), "Alert tenant/bad: spec.eventSources: must list objects", true, 0},
		"providerRef absent":          {hook + object("Alert", "bad", "eventSources: []"), "Alert tenant/bad: spec.providerRef: must be set", true, 0},
		"a source without a name":     {hook + object("Alert", "bad", "providerRef: {name: bad}, eventSources: [{kind: A}]"), "spec.eventSources[0].name: must be set", true, 0},
		"a source's pattern":          {hook + object("Alert", "bad", "providerRef: {name: bad}, eventSources: [{kind: A, name: '[a'}]"), "spec.eventSources[0].name: ", true, 0},
		"severity":                    {hook + alertOf("eventSeverity: warning"), `Alert tenant/bad: spec.eventSeverity: "warning" is not one of info, error`, true, 0},
		"an expression":               {hook + alertOf("inclusionList: ['(unclosed']"), "Alert tenant/bad: spec.inclusionList[0]: error parsing regexp: missing closing )", true, 0},
		"101 expressions":             {hook + alertOf("exclusionList: "+many(101, "a")), "Alert tenant/bad: spec.exclusionList: lists 101 expressions, the most is 100", true, 0},
		"an expression of 5 KiB":      {hook + alertOf("exclusionList: ["+strings.Repeat("a", 5<<10)+"]"), "Alert tenant/bad: spec.exclusionList[0]: is 5120 bytes long, the most is 4096", true, 0},
		"expressions of 96 KiB":       {hook + alertOf("exclusionList: "+many(32, strings.Repeat("a", 3<<10))), "Alert tenant/bad: spec: has inclusionList and exclusionList of 98304 bytes together, the most is 65536", true, 0},
		"an expression that repeats":  {hook + alertOf("exclusionList: ['"+strings.Repeat("x{1000}", 100)+"']"), "Alert tenant/bad: spec.exclusionList[0]: needs too much memory", true, 0},
		"expressions that repeat":     {hook + alertOf("exclusionList: "+many(100, "'x{1000}'")), "Alert tenant/bad: spec: has regular expressions in inclusionList and exclusionList that need too much memory", true, 0},
		"classes of characters":       {hook + alertOf("inclusionList: "+many(100, `'\pL\pL\pL\pL'`)), "need too much memory", true, 0},
		"labels that are not strings": {hook + object("Alert", "bad", "providerRef: {name: bad}, eventSources: [{kind: A, name: b, matchLabels: {a: 1}}]"), "spec.eventSources[0].matchLabels.a: must be a string", true, 0},
		"metadata not strings":        {hook + alertOf("eventMetadata: {a: [b]}"), "spec.eventMetadata.a: must be a string", true, 0},
		"summary too long":            {hook + alertOf("summary: "+strings.Repeat("é", 256)), "spec.summary: is 256 characters long, the most is 255", true, 0},
		"aliases of aliases":          {bomb(), "is too large with its aliases resolved", false, -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := folder(t, map[string]string{"a.yaml": healthy, "bad.yaml": tc.text, "c.yaml": strings.ReplaceAll(healthy, "apps", "last")})
			set, err := ReadManifests(ManifestsOptions{Paths: []string{dir}})
			require.NoError(t, err)
			set.assertHealthy(t)
			assert.True(t, set.find("last/healthy").Ready)
			faults := set.faults(dir)
			assert.Contains(t, faults, tc.fault)
			assert.Equal(t, tc.fault == "", faults == "", faults)
			assert.NotContains(t, faults, canary)
			assert.Less(t, len(faults), 10_000, "faults are bounded")
			bad := set.find("tenant/bad")
			if tc.alerts < 0 {
				assert.Nil(t, bad)
				return
			}
			require.NotNil(t, bad)
			assert.Equal(t, tc.ready, bad.Ready, faults)
			assert.Len(t, bad.Config.Alerts, tc.alerts)
			if !strings.Contains(name, "type") && !strings.Contains(name, "spec") {
				assert.NotEmpty(t, bad.Config.Type)
			}
		})
	}
}

// bomb is an Alert that would list more event sources than fit into memory.
func bomb() string {
	return "---\na: &a {" + strings.Repeat("k: v, ", 1) + strings.Join(labels(20_000), ", ") + "}\n" +
		"apiVersion: notification.toolkit.fluxcd.io/v1beta3\nkind: Alert\nmetadata: {name: bad, namespace: tenant}\n" +
		"spec: {providerRef: {name: bad}, eventSources: [&s {kind: A, name: b, matchLabels: *a}" + strings.Repeat(", *s", 100_000) + "]}\n"
}

func labels(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("k%d: v", i)
	}
	return all
}

func TestATarget(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"a.yaml": `
apiVersion: notification.toolkit.fluxcd.io/v1beta3
kind: Provider
metadata: {name: chat, namespace: apps, uid: 6f0a8c1e-0001-4000-8000-000000000001}
spec:
  type: slack
  address: https://slack.com/api/chat.postMessage
  channel: general
  username: flux
  timeout: 1m30s
  secretRef: {name: token}
  proxySecretRef: {name: proxy}
---
apiVersion: v1
kind: Secret
metadata: {name: token, namespace: apps}
data: {token: ` + base64.StdEncoding.EncodeToString([]byte(canary+"$\xff\n")) + `, "caFile.old": ""}
---
apiVersion: v1
kind: Secret
metadata: {name: proxy, namespace: apps}
stringData: {address: "http://proxy:3128"}
---
apiVersion: notification.toolkit.fluxcd.io/v1beta3
kind: Alert
metadata: {name: b, namespace: apps, uid: 6f0a8c1e-0002-4000-8000-000000000002}
spec:
  providerRef: {name: chat}
  eventSeverity: error
  eventSources: [{kind: HelmRelease, name: 'web-*', namespace: infra, matchLabels: {team: a}}]
  inclusionList: ['.*failed$']
  exclusionList: ['^waiting']
  eventMetadata: {'a::b': '${x}'}
  suspend: true
---
apiVersion: notification.toolkit.fluxcd.io/v1beta3
kind: Alert
metadata: {name: a, namespace: apps}
spec: {providerRef: {name: chat}, eventSources: [{kind: Kustomization, name: '*', namespace: '*'}]}
`})
	set, err := ReadManifests(ManifestsOptions{Paths: []string{dir}})
	require.NoError(t, err)
	require.Len(t, set.Targets, 1)
	got := set.Targets[0]
	assert.Empty(t, set.faults(dir))
	assert.True(t, got.Ready)
	assert.Equal(t, "apps/chat", got.ID())
	c := got.Config
	assert.Equal(t, "slack", c.Type)
	assert.Equal(t, "general", c.Channel)
	assert.Equal(t, "flux", c.Username)
	assert.Equal(t, "chat", c.Name)
	assert.Equal(t, "apps", c.Namespace)
	assert.Equal(t, 90*time.Second, c.ClientConfig.Timeout)
	assert.Equal(t, "6f0a8c1e-0001-4000-8000-000000000001", *c.UID)
	assert.Equal(t, configopaque.String(canary+"$\xff\n"), c.Secret["token"])
	assert.Equal(t, configopaque.String("http://proxy:3128"), c.ProxySecret["address"])
	assert.Nil(t, c.CertSecret)
	assert.Equal(t, []alert.Config{
		{Name: "a", Namespace: "apps", EventSources: []alert.SourceConfig{{Kind: "Kustomization", Name: "*", Namespace: "*"}}},
		{
			Name: "b", Namespace: "apps", UID: "6f0a8c1e-0002-4000-8000-000000000002", EventSeverity: "error",
			EventSources:  []alert.SourceConfig{{Kind: "HelmRelease", Name: "web-*", Namespace: "infra", MatchLabels: map[string]string{"team": "a"}}},
			InclusionList: []string{".*failed$"}, ExclusionList: []string{"^waiting"}, EventMetadata: map[string]string{"a::b": "${x}"}, Suspend: true,
		},
	}, c.Alerts)
	require.Len(t, set.Warnings, 2)
	assert.Contains(t, set.Warnings[0].String(), "a.yaml:30: Alert apps/b: spec.eventSources[0].matchLabels: ")
	assert.Contains(t, set.Warnings[1].String(), "a.yaml:39: Alert apps/a: spec.eventSources[0].namespace: means every namespace here")
}

func TestTheIdentityIsDerivedFromTheName(t *testing.T) {
	t.Parallel()
	set, err := ReadManifests(ManifestsOptions{Paths: []string{folder(t, map[string]string{"a.yaml": healthy})}})
	require.NoError(t, err)
	assert.Equal(t, alert.DeriveUID("provider", "apps", "healthy"), *set.Targets[0].Config.UID)
}

func TestNoCrossNamespaceRefs(t *testing.T) {
	t.Parallel()
	alerts := healthy + "---" +
		strings.NewReplacer("name: all", "name: both", "[{", "[{kind: HelmRelease, name: '*', namespace: infra}, {namespace: apps, ").Replace(strings.SplitN(healthy, "---", 3)[2]) +
		"---" + strings.NewReplacer("name: all", "name: every", "[{", "[{namespace: '*', ").Replace(strings.SplitN(healthy, "---", 3)[2])
	dir := folder(t, map[string]string{"a.yaml": alerts})
	set, err := ReadManifests(ManifestsOptions{Paths: []string{dir}, NoCrossNamespaceRefs: true})
	require.NoError(t, err)
	got := set.find("apps/healthy")
	assert.True(t, got.Ready)
	require.Len(t, got.Config.Alerts, 2)
	assert.Equal(t, "all", got.Config.Alerts[0].Name)
	assert.Equal(t, "both", got.Config.Alerts[1].Name)
	assert.Equal(t, []alert.SourceConfig{{Kind: "Kustomization", Name: "*", Namespace: "apps"}}, got.Config.Alerts[1].EventSources)
	assert.Contains(t, set.faults(dir), "Alert apps/both: spec.eventSources[0].namespace: is not the Alert's own namespace apps, and references across namespaces are off")
	assert.Contains(t, set.faults(dir), "Alert apps/every: spec.eventSources[0].namespace: ")
}

// running is a source that has been started.
type running struct {
	*Manifests
	t   *testing.T
	dir string

	mu    sync.Mutex
	set   Set
	calls int
}

func start(t *testing.T, dir string, options ManifestsOptions) *running {
	t.Helper()
	return startPolling(t, dir, options, slowPoll)
}

func startPolling(t *testing.T, dir string, options ManifestsOptions, poll time.Duration) *running {
	t.Helper()
	if options.Paths == nil {
		options.Paths = []string{dir}
	}
	r := &running{Manifests: NewManifests(options), t: t, dir: dir}
	r.slowPoll = poll
	require.NoError(t, r.Start(context.Background(), func(set Set) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.set, r.calls = set, r.calls+1
	}))
	t.Cleanup(func() {
		require.NoError(t, r.Shutdown(context.Background()))
		require.NoError(t, r.Shutdown(context.Background()))
	})
	return r
}

func (r *running) last() (Set, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.set, r.calls
}

// awaits waits until the set is as wanted.
func (r *running) awaits(what string, wanted func(Set) bool) Set {
	r.t.Helper()
	require.Eventually(r.t, func() bool {
		set, _ := r.last()
		return wanted(set)
	}, patience, tick, what)
	set, _ := r.last()
	return set
}

func (r *running) awaitsFault(part string) Set {
	r.t.Helper()
	return r.awaits(part, func(s Set) bool { return strings.Contains(s.faults(r.dir), part) })
}

// unchanged waits, and there is no change.
func (r *running) unchanged() {
	r.t.Helper()
	_, before := r.last()
	time.Sleep(silence)
	_, after := r.last()
	require.Equal(r.t, before, after, "a change is reported")
}

func severity(want string) func(Set) bool {
	return func(s Set) bool {
		t := s.find("apps/healthy")
		return t != nil && len(t.Config.Alerts) == 1 && t.Config.Alerts[0].EventSeverity == want
	}
}

var errorsOnly = strings.Replace(healthy, "spec:\n  providerRef", "spec:\n  eventSeverity: error\n  providerRef", 1)

func TestChangesAreReportedSoon(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"a.yaml": healthy})
	file := filepath.Join(dir, "a.yaml")
	r := start(t, dir, ManifestsOptions{})
	_, calls := r.last()
	require.Equal(t, 1, calls, "the first set is there when Start returns")

	began := time.Now()
	write(t, file, errorsOnly)
	r.awaits("a change", severity("error"))
	assert.Less(t, time.Since(began), 2*time.Second)

	for _, same := range []string{"# a comment\n" + errorsOnly, errorsOnly + "\n---\nkind: Other\n"} {
		write(t, file, same)
		r.unchanged()
	}
	write(t, filepath.Join(dir, "b.yaml"), hook+events)
	set := r.awaits("a new file", func(s Set) bool { return s.find("tenant/bad") != nil })
	set.assertHealthy(t)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "below"), 0o700))
	require.NoError(t, os.Rename(filepath.Join(dir, "b.yaml"), filepath.Join(dir, "below", "b.yml")))
	write(t, filepath.Join(dir, "below", "b.yml"), hookOf("suspend: true")+events)
	r.awaits("a file in another folder", func(s Set) bool { b := s.find("tenant/bad"); return b != nil && b.Config.Suspend })
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "below")))
	r.awaits("a file removed", func(s Set) bool { return s.find("tenant/bad") == nil })
	require.NoError(t, os.Remove(file))
	r.awaits("the last file removed", func(s Set) bool { return len(s.Targets) == 0 && len(s.Faults) == 0 })
}

// The lines of faults and warnings are not a change.
func TestLinesAreNotAChange(t *testing.T) {
	t.Parallel()
	text := healthy + hookOf("colour: red, timeout: 0s") + events
	dir := folder(t, map[string]string{"a.yaml": text})
	r := start(t, dir, ManifestsOptions{})
	write(t, filepath.Join(dir, "a.yaml"), "# a comment\n"+text)
	r.unchanged()
}

// A link further up in the path is not watched. Once it is found, the new folder is.
func TestALinkFurtherUp(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"v1/m/a.yaml": healthy, "v2/m/a.yaml": errorsOnly})
	link := filepath.Join(dir, "current")
	require.NoError(t, os.Symlink("v1", link))
	r := startPolling(t, dir, ManifestsOptions{Paths: []string{filepath.Join(link, "m")}}, 100*time.Millisecond)
	require.NoError(t, os.Symlink("v2", link+".new"))
	require.NoError(t, os.Rename(link+".new", link))
	r.awaits("the other folder", severity("error"))
	require.NoError(t, r.Shutdown(context.Background()))
	info, err := os.Stat(filepath.Join(dir, "v2", "m"))
	require.NoError(t, err)
	assert.True(t, os.SameFile(info, r.watches[0].info))
}

// What cannot be read deletes nothing: the last good objects stay.
func TestABrokenFileKeepsItsObjects(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"a.yaml": healthy, "b.yaml": hook + events})
	file := filepath.Join(dir, "a.yaml")
	r := start(t, dir, ManifestsOptions{})
	const stays = ": the objects that were read from it before stay in use"
	kept := func(part string) {
		t.Helper()
		set := r.awaitsFault(part)
		assert.Contains(t, set.faults(dir), stays)
		set.assertHealthy(t)
		assert.NotNil(t, set.find("tenant/bad"))
	}
	write(t, file, strings.Replace(healthy, "healthy", "other", 1)+"---\n{")
	kept("a.yaml:17: is not YAML: ")
	write(t, file, "a: b: c")
	kept("is not YAML: mapping values are not allowed in this context")
	write(t, file, strings.Repeat("#", 5<<20))
	kept("a.yaml: is larger than 1 MiB")
	replace := func(make func()) {
		require.NoError(t, os.Remove(file))
		make()
	}
	replace(func() { require.NoError(t, os.Mkdir(file, 0o700)) })
	kept("a.yaml: is a folder with the name of a file")
	replace(func() { require.NoError(t, os.Symlink("gone", file)) })
	kept("a.yaml: cannot be read: no such file or directory")
	replace(func() { require.NoError(t, os.Symlink("/dev/zero", file)) })
	kept("a.yaml: is a device: only regular files are read")
	replace(func() { write(t, file, errorsOnly) })
	set := r.awaits("mended", severity("error"))
	assert.Empty(t, set.faults(dir))
}

func TestAFolderThatIsAwayKeepsItsObjects(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(folder(t, map[string]string{"m/a.yaml": healthy, "m/below/b.yaml": hook + events}), "m")
	away := dir + ".away"
	r := start(t, dir, ManifestsOptions{})
	kept := func(part string) {
		t.Helper()
		set := r.awaits(part, func(s Set) bool { return len(s.Faults) == 1 && strings.Contains(s.Faults[0].String(), part) })
		set.assertHealthy(t)
		assert.NotNil(t, set.find("tenant/bad"))
	}
	require.NoError(t, os.Rename(dir, away))
	kept(dir + ": cannot be read: no such file or directory: the objects that were read from it before stay in use")
	require.NoError(t, os.Mkdir(dir, 0o700)) // what is below a mount
	kept(dir + ": is empty, and not the folder that it was: is it still mounted?: the objects")
	require.NoError(t, os.Remove(dir))
	require.NoError(t, os.Rename(away, dir))
	set := r.awaits("mounted again", func(s Set) bool { return len(s.Faults) == 0 })
	set.assertHealthy(t)
	write(t, filepath.Join(dir, "a.yaml"), errorsOnly)
	r.awaits("watched again", severity("error"))
}

func TestOnlyRegularFilesAreRead(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"a.yaml": healthy, "real": strings.ReplaceAll(healthy, "apps", "linked"), "z.yaml": strings.Repeat("#", 1<<20+1)})
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "fifo.yaml"), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "folder.yaml"), 0o700))
	write(t, filepath.Join(dir, "folder.yaml", "x.yaml"), hook)
	for name, to := range map[string]string{"zero.yaml": "/dev/zero", "link.yaml": "real", "tty.yml": "/dev/tty", "loop.yaml": "loop.yaml", "to-folder.yaml": ".", "kmsg.yaml": "/proc/kmsg"} {
		require.NoError(t, os.Symlink(to, filepath.Join(dir, name)))
	}
	listener, err := net.Listen("unix", filepath.Join(dir, "s.yaml"))
	if err == nil {
		t.Cleanup(func() { _ = listener.Close() })
	}
	began := time.Now()
	set, err := ReadManifests(ManifestsOptions{Paths: []string{dir, filepath.Join(dir, "fifo.yaml")}})
	require.NoError(t, err)
	assert.Less(t, time.Since(began), 5*time.Second, "nothing blocks")
	set.assertHealthy(t)
	assert.True(t, set.find("linked/healthy").Ready)
	assert.Nil(t, set.find("tenant/bad"))
	faults := set.faults(dir)
	for _, want := range []string{
		"fifo.yaml: is a FIFO: only regular files are read", "folder.yaml: is a folder with", "zero.yaml: is a device", "tty.yml: ", "loop.yaml: cannot be read: too many levels",
		"to-folder.yaml: is a folder: only", "z.yaml: is larger than 1 MiB",
	} {
		assert.Contains(t, faults, want)
	}
}

func TestConfigMapSwap(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	swap := func(version, text string) {
		t.Helper()
		require.NoError(t, os.Mkdir(filepath.Join(dir, version), 0o700))
		write(t, filepath.Join(dir, version, "flux.yaml"), text)
		require.NoError(t, os.Symlink(version, filepath.Join(dir, "..data_tmp")))
		require.NoError(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	}
	swap("..1", healthy)
	require.NoError(t, os.Symlink(filepath.Join("..data", "flux.yaml"), filepath.Join(dir, "flux.yaml")))
	byFolder := start(t, dir, ManifestsOptions{})
	byFile := start(t, dir, ManifestsOptions{Paths: []string{filepath.Join(dir, "flux.yaml")}})
	for i, want := range []string{"error", "", "error"} {
		text := healthy
		if want != "" {
			text = errorsOnly
		}
		swap(fmt.Sprintf("..%d", i+2), text)
		byFolder.awaits("a swap", severity(want))
		byFile.awaits("a swap", severity(want))
	}
}

func TestMountedSecrets(t *testing.T) {
	t.Parallel()
	text := hookOf("secretRef: {name: token}") + events + secret("token", "token: not-used") + healthy
	dir := folder(t, map[string]string{"m/a.yaml": text, "s/tenant/other/token": canary})
	secrets := filepath.Join(dir, "s")
	r := start(t, filepath.Join(dir, "m"), ManifestsOptions{Secrets: secrets})
	set := r.awaitsFault("Provider tenant/bad: spec.secretRef: there is no Secret tenant/token: mount it as " + filepath.Join(secrets, "tenant", "token"))
	set.assertHealthy(t)
	assert.False(t, set.find("tenant/bad").Ready)

	token := filepath.Join(secrets, "tenant", "token")
	require.NoError(t, os.Mkdir(token, 0o700))
	write(t, filepath.Join(token, "headers"), "Authorization: "+canary)
	has := func(value string) func(Set) bool {
		return func(s Set) bool {
			b := s.find("tenant/bad")
			return b.Ready && b.Config.Secret["headers"] == configopaque.String("Authorization: "+value)
		}
	}
	r.awaits("mounted", has(canary))
	write(t, filepath.Join(token, "headers"), "Authorization: next")
	r.awaits("rotated", has("next"))

	require.NoError(t, os.Rename(secrets, secrets+".away"))
	set = r.awaits("unmounted", func(s Set) bool { return len(s.Faults) == 1 })
	assert.Contains(t, set.Faults[0].String(), secrets+": cannot be read: no such file or directory: the values that were read from it before stay in use")
	assert.True(t, has("next")(set))
	require.NoError(t, os.Rename(secrets+".away", secrets))
	r.awaits("mounted again", func(s Set) bool { return len(s.Faults) == 0 })
	require.NoError(t, os.RemoveAll(token))
	r.awaits("deleted", func(s Set) bool { return !s.find("tenant/bad").Ready })
}

func TestPathsMustExist(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"a.yaml": healthy})
	absent := filepath.Join(dir, "absent")
	for name, tc := range map[string]struct {
		options ManifestsOptions
		want    string
	}{
		"no path":    {ManifestsOptions{}, "path: must be set"},
		"path":       {ManifestsOptions{Paths: []string{dir, absent}}, "path: stat " + absent},
		"secrets":    {ManifestsOptions{Paths: []string{dir}, Secrets: absent}, "secrets: open " + absent},
		"not a root": {ManifestsOptions{Paths: []string{dir}, Secrets: filepath.Join(dir, "a.yaml")}, "secrets: "},
	} {
		m := NewManifests(tc.options)
		err := m.Start(context.Background(), func(Set) { assert.Fail(t, name) })
		require.ErrorContains(t, err, tc.want, name)
		require.NoError(t, m.Shutdown(context.Background()))
	}
}

// Many changes in a short time are few sets.
func TestABurstOfChanges(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"a.yaml": healthy})
	file := filepath.Join(dir, "a.yaml")
	r := start(t, dir, ManifestsOptions{})
	began := time.Now()
	for i := range 1000 {
		write(t, file, strings.Replace(errorsOnly, "example.com", fmt.Sprintf("%d.example.com", i), 1))
	}
	r.awaits("the last change", func(s Set) bool {
		return strings.Contains(string(s.find("apps/healthy").Config.Address), "//999.example.com")
	})
	_, calls := r.last()
	assert.Less(t, calls, 10+int(10*time.Since(began).Seconds()))
}

func TestManyFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("10,000 files")
	}
	dir := t.TempDir()
	for i := range 10_000 {
		text := fmt.Sprintf(strings.NewReplacer("healthy", "p%[1]d", "all", "a%[1]d", "---\n", "").Replace(strings.SplitN(healthy, "---\n", 3)[1+i%2]), i/2)
		require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.yaml", i)), []byte(text), 0o600))
	}
	began := time.Now()
	m := NewManifests(ManifestsOptions{Paths: []string{dir}})
	set := m.read()
	t.Logf("first reading: %s", time.Since(began))
	assert.Len(t, set.Targets, 5000)
	assert.Empty(t, set.Warnings)
	for _, target := range set.Targets {
		require.True(t, target.Ready, "%v", target.Faults)
	}
	began = time.Now()
	assert.True(t, equalSets(set, m.read()))
	t.Logf("next reading: %s", time.Since(began))
}

func TestALargeSecretIsReadInNoTime(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString(hookOf("secretRef: {name: token}") + events + "---\napiVersion: v1\nkind: Secret\nmetadata: {name: token, namespace: tenant}\nstringData:\n")
	for i := range 40_000 {
		fmt.Fprintf(&b, "  key-%d: value\n", i)
	}
	began := time.Now()
	set, err := ReadManifests(ManifestsOptions{Paths: []string{folder(t, map[string]string{"a.yaml": b.String()})}})
	require.NoError(t, err)
	assert.Less(t, time.Since(began), 5*time.Second)
	assert.Len(t, set.Targets[0].Config.Secret, 40_000)
}

func TestShutdownBeforeStart(t *testing.T) {
	t.Parallel()
	require.NoError(t, NewManifests(ManifestsOptions{}).Shutdown(context.Background()))
}

// There is a manifest of every type, which is ready and without warnings.
func TestEveryType(t *testing.T) {
	t.Parallel()
	set, err := ReadManifests(ManifestsOptions{Paths: []string{filepath.Join("testdata", "types")}})
	require.NoError(t, err)
	assert.Empty(t, set.Faults)
	assert.Empty(t, set.Warnings)
	require.Len(t, set.Targets, len(providers.Table))
	for i, target := range set.Targets {
		assert.Equal(t, providers.Table[i].Type, target.Config.Type)
		assert.True(t, target.Ready)
		assert.Empty(t, target.Faults)
	}
}
