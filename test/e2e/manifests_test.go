package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	eventv1 "github.com/fluxcd/pkg/apis/event/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// folder is one of manifests, and what a collector is started with.
type folder struct {
	*collector
	dir string
}

// newFolder makes a collector that is started on manifests, and on a file for
// what they do not say: its own log and metrics.
func newFolder(t *testing.T, options string, files map[string]string) *folder {
	t.Helper()
	f := &folder{collector: newCollector(t), dir: t.TempDir()}
	for name, text := range files {
		f.put(name, text)
	}
	_, port, _ := strings.Cut(f.metrics, ":")
	require.NoError(t, os.WriteFile(f.config, []byte(`
service:
  telemetry:
    logs: {level: debug, sampling: {enabled: false}}
    metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: `+port+`}}}}]}
`), 0o600))
	f.sources = []string{"flux:" + f.dir + "?endpoint=" + f.events + options, f.config}
	return f
}

// put writes a file as editors do, in one step.
func (f *folder) put(name, text string) {
	f.t.Helper()
	path := filepath.Join(f.dir, name)
	require.NoError(f.t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(f.t, os.WriteFile(path+".tmp", []byte(text), 0o600))
	require.NoError(f.t, os.Rename(path+".tmp", path))
}

func (f *folder) wait(words ...string) {
	f.t.Helper()
	require.Eventually(f.t, func() bool { return len(f.Lines(words...)) > 0 }, patience, tick, "%v", words)
}

func providerOf(namespace, name, spec string) string {
	return "---\napiVersion: notification.toolkit.fluxcd.io/v1beta3\nkind: Provider\nmetadata: {name: " + name + ", namespace: " + namespace + "}\nspec: {" + spec + "}\n"
}

func alertOf(namespace, name, spec string) string {
	return "---\napiVersion: notification.toolkit.fluxcd.io/v1beta3\nkind: Alert\nmetadata: {name: " + name + ", namespace: " + namespace + "}\nspec: {" + spec + "}\n"
}

func secretOf(namespace, name, data string) string {
	return "---\napiVersion: v1\nkind: Secret\nmetadata: {name: " + name + ", namespace: " + namespace + "}\n" + data + "\n"
}

// A cluster's Providers and Alerts, of two namespaces, tell what they told
// when notification-controller had them.
func TestManifests(t *testing.T) {
	t.Parallel()
	const commit = "5394cb7f48332b2de7c17dd8b8384bbc84b7e738"
	gitHubToken := "ghp_5ecr3t"
	s := newSink(t, func(r request) answer {
		switch {
		case r.path == "/api/chat.postMessage":
			return answer{body: `{"ok":true}`}
		case strings.HasPrefix(r.path, "/api/v3/"):
			return gitHub(r, commit, gitHubToken)
		}
		return answer{}
	})
	f := newFolder(t, "", nil)
	f.Secret("GitHub token", gitHubToken)
	token, teams := f.Secret("Slack token", "xoxb-5ecr3t$1"), f.Secret("path of Teams", "/workflows/5ecr3t-$$x$")
	key, password := f.Secret("HMAC key", "5ecr3t-key\n"), f.Secret("password", "5ecr3t-password")
	encoded := base64.StdEncoding.EncodeToString
	f.put("flux-system/chat.yaml",
		providerOf("flux-system", "slack", "type: slack, channel: general, address: '"+s.URL+"/api/chat.postMessage', secretRef: {name: slack}")+
			secretOf("flux-system", "slack", "data: {token: "+encoded([]byte(token))+"}")+
			alertOf("flux-system", "on-call", "providerRef: {name: slack}, eventSeverity: error, eventSources: [{kind: Kustomization, name: '*'}, {kind: Kustomization, name: '*', namespace: apps}], eventMetadata: {cluster: 'prod-eu ${env:HOME}'}")+
			providerOf("flux-system", "teams", "type: msteams, secretRef: {name: teams}")+
			secretOf("flux-system", "teams", "stringData: {address: '"+s.URL+teams+"'}")+
			alertOf("flux-system", "everything", "providerRef: {name: teams}, eventSources: [{kind: Kustomization, name: '*'}], exclusionList: ['^waiting']"))
	f.put("flux-system/forward.yml",
		providerOf("flux-system", "forward", "type: generic-hmac, address: '"+s.URL+"/hmac', secretRef: {name: hmac}")+
			secretOf("flux-system", "hmac", "data: {token: "+encoded([]byte(key))+"}")+
			alertOf("flux-system", "forward", "providerRef: {name: forward}, eventSources: [{kind: Kustomization, name: webapp}]"))
	f.put("apps/alertmanager.yaml",
		providerOf("apps", "alertmanager", "type: alertmanager, address: '"+s.URL+"/api/v2/alerts', username: flux, secretRef: {name: am}, timeout: 20s")+
			secretOf("apps", "am", "stringData: {password: '"+password+"'}")+
			alertOf("apps", "apps", "providerRef: {name: alertmanager}, eventSeverity: error, eventSources: [{kind: Kustomization, name: '*'}]")+
			providerOf("apps", "idle", "type: generic, address: '"+s.URL+"/idle'")+
			alertOf("apps", "lost", "providerRef: {name: slack}, eventSources: [{kind: Kustomization, name: '*'}]"))
	f.put("apps/status.yaml",
		providerOf("flux-system", "status", "type: github, address: '"+s.URL+"/owner/fleet', secretRef: {name: github}, commitStatusExpr: \"provider.metadata.namespace + '/' + event.involvedObject.name\"")+
			secretOf("flux-system", "github", "stringData: {token: '"+gitHubToken+"'}")+
			alertOf("flux-system", "status", "providerRef: {name: status}, eventSources: [{kind: Kustomization, name: cluster}]"))
	f.Again()

	in := func(namespace, object, severity, message string) eventv1.Event {
		e := newEvent(object, message)
		e.InvolvedObject.Namespace, e.Severity = namespace, severity
		return e
	}
	update := in("flux-system", "cluster", eventv1.EventSeverityInfo, "no news") // for statuses alone
	update.Metadata = map[string]string{"kustomize.toolkit.fluxcd.io/revision": "main@sha1:" + commit, "kustomize.toolkit.fluxcd.io/commit_status": "update"}
	f.Accept(
		update,
		in("flux-system", "webapp", eventv1.EventSeverityInfo, "reconciled"),
		in("flux-system", "infra", eventv1.EventSeverityInfo, "waiting for a socket"),
		in("flux-system", "infra", eventv1.EventSeverityError, "not found"),
		in("apps", "shop", eventv1.EventSeverityError, "does not start"),
	)
	f.Stop()

	slack := s.Path("/api/chat.postMessage")
	require.Len(t, slack, 2, "two errors, of two namespaces")
	for _, r := range slack {
		assert.Equal(t, "Bearer "+token, r.header.Get("Authorization"))
		assert.Contains(t, r.body, `"prod-eu ${env:HOME}"`)
	}
	require.Len(t, s.Path(teams), 2, "all of its namespace but what is excluded")
	alerts := s.Path("/api/v2/alerts")
	require.Len(t, alerts, 1)
	assert.Contains(t, alerts[0].body, `"shop"`)
	assert.Equal(t, "Basic "+encoded([]byte("flux:"+password)), alerts[0].header.Get("Authorization"))
	forwarded := s.Path("/hmac")
	require.Len(t, forwarded, 1)
	assert.Equal(t, "reconciled", forwarded[0].event(t).Message)
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(forwarded[0].body))
	assert.Equal(t, "sha256="+hex.EncodeToString(mac.Sum(nil)), forwarded[0].header.Get("X-Signature"))
	status := s.Path("/api/v3/repos/owner/fleet/statuses/" + commit)
	require.Len(t, status, 1)
	assert.JSONEq(t, `{"state":"success","context":"flux-system/cluster","description":"reconciliation succeeded"}`, status[0].body)
	assert.Empty(t, s.Path("/idle"), "a Provider without an Alert is told nothing")
	f.wait("apps/alertmanager.yaml:", "Provider apps/idle: no Alert refers to it")
	f.wait("apps/alertmanager.yaml:", "Alert apps/lost: spec.providerRef: there is no Provider apps/slack")
}

// gitHub is what an Enterprise server knows of statuses, and nothing else
// (https://docs.github.com/en/enterprise-server@latest/rest/commits/statuses).
func gitHub(r request, commit, token string) answer {
	const repository = "/api/v3/repos/owner/fleet"
	path, _, _ := strings.Cut(r.path, "?")
	switch {
	case r.header.Get("Authorization") != "Bearer "+token:
		return answer{status: http.StatusUnauthorized}
	case r.method == http.MethodGet && path == repository+"/commits/"+commit+"/statuses":
		return answer{body: "[]"}
	case r.method == http.MethodPost && path == repository+"/statuses/"+commit:
		return answer{status: http.StatusCreated, body: r.body}
	}
	return answer{status: http.StatusNotFound}
}

// Files are edited under a stream of events. What works is used, what is faulty disables
// only itself, no event is lost on the way, and the collector is not restarted.
func TestManifestsAreEdited(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]string{"memory": "", "storage": "&storage=" + t.TempDir()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSink(t, nil)
			f := newFolder(t, options, map[string]string{
				"provider.yaml": providerOf("flux-system", "hook", "type: generic, address: '"+s.URL+"/hook'"),
				"alert.yaml":    edition("one"),
				"steady.yaml": providerOf("flux-system", "steady", "type: generic, address: '"+s.URL+"/steady'") +
					alertOf("flux-system", "steady", "providerRef: {name: steady}, eventSources: [{kind: Kustomization, name: '*'}]"),
			})
			f.Again()
			stop, sent := make(chan struct{}), 0
			var sender sync.WaitGroup
			finish := sync.OnceFunc(func() {
				close(stop)
				sender.Wait()
			})
			defer finish() // also where something fails
			sender.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						sent++
						f.Accept(newEvent("apps", fmt.Sprintf("message %d", sent)))
					}
				}
			})
			arrives := func(path, edition string) {
				t.Helper()
				n := len(s.Path(path))
				s.WaitUntil(func() bool {
					accepted := s.Path(path)
					return len(accepted) > n && accepted[len(accepted)-1].event(t).Metadata["edition"] == edition
				})
			}
			arrives("/hook", "one")
			f.put("alert.yaml", edition("two"))
			arrives("/hook", "two")

			f.put("alert.yaml", strings.Replace(edition("broken"), "eventSeverity: info", "eventSeverity: warning", 1))
			f.wait(`alert.yaml:5: Alert flux-system/all: spec.eventSeverity: "warning" is not one of info`)
			arrives("/steady", "")
			f.put("alert.yaml", edition("two"))
			arrives("/hook", "two")
			require.NoError(t, os.Remove(filepath.Join(f.dir, "provider.yaml")))
			f.wait("Alert flux-system/all: spec.providerRef: there is no Provider flux-system/hook")
			arrives("/steady", "")

			f.put("alert.yaml", edition("three"))
			f.put("provider.yaml", providerOf("flux-system", "hook", "type: generic, address: '"+s.URL+"/moved'"))
			arrives("/moved", "three")
			finish()
			f.Stop()

			counts := messages(t, s.Path("/steady"))
			for i := 1; i <= sent; i++ {
				assert.Equal(t, 1, counts[fmt.Sprintf("message %d", i)], "message %d of %d", i, sent)
			}
			assert.Empty(t, f.Lines("Config updated, restart service"))
		})
	}
}

func edition(name string) string {
	return alertOf("flux-system", "all", "providerRef: {name: hook}, eventSeverity: info, eventSources: [{kind: Kustomization, name: '*'}], eventMetadata: {edition: "+name+"}")
}

// Faults fail the validation, all at once. A collector that starts leaves out what is
// faulty.
func TestManifestFaults(t *testing.T) {
	t.Parallel()
	s := newSink(t, nil)
	f := newFolder(t, "", nil)
	address := f.Secret("address", "ftp://127.0.0.1/hook-s3cr3t")
	f.put("provider.yaml", providerOf("apps", "hook", "type: generic, address: '"+address+"'")+
		alertOf("apps", "all", "providerRef: {name: hook}, eventSources: [{kind: Kustomization, name: '*', namespace: flux-system}]"))
	f.put("alert.yaml", strings.Replace(edition("broken"), "eventSeverity: info", "eventSeverity: warning", 1)+alertOf("flux-system", "gone", "providerRef: {name: hook}"))
	f.put("other.yaml", providerOf("apps", "slack", "type: slak"))
	f.put("healthy.yaml", providerOf("flux-system", "healthy", "type: generic, address: '"+s.URL+"'")+
		alertOf("flux-system", "healthy", "providerRef: {name: healthy}, eventSources: [{kind: Kustomization, name: '*'}]"))
	faults := []string{
		filepath.Join(f.dir, "alert.yaml") + `:5: Alert flux-system/all: spec.eventSeverity: "warning" is not one of info`,
		filepath.Join(f.dir, "alert.yaml") + `:10: Alert flux-system/gone: spec.eventSources: must list objects`,
		filepath.Join(f.dir, "other.yaml") + `:5: Provider apps/slack: spec.type: "slak" is not one of slack, `,
		filepath.Join(f.dir, "provider.yaml") + ":5: Provider apps/hook: spec.address: must be a URL that begins with https:// or http://",
	}
	printed, code := f.Run(append([]string{"validate"}, f.arguments()...)...)
	assert.NotZero(t, code)
	for _, fault := range faults {
		assert.Contains(t, printed, fault)
	}
	assert.Contains(t, printed, "warning: "+filepath.Join(f.dir, "other.yaml")+":2: Provider apps/slack: no Alert refers to it")
	assert.NotContains(t, printed, "panic")

	f.Again()
	f.Accept(newEvent("apps", "it fails"))
	s.Wait(1)
	f.Stop()
	for _, fault := range faults {
		assert.NotEmpty(t, f.Lines(fault), fault)
	}
}
