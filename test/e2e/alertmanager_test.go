package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	eventv1 "github.com/fluxcd/pkg/apis/event/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// startAlertmanager starts a real one, which keeps alerts and tells nobody.
func startAlertmanager(t *testing.T) (url string) {
	t.Helper()
	path, err := exec.LookPath("prometheus-alertmanager")
	if err != nil {
		t.Skip("Alertmanager is not installed: apt-get install prometheus-alertmanager")
	}
	config := filepath.Join(t.TempDir(), "alertmanager.yml")
	require.NoError(t, os.WriteFile(config, []byte("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"), 0o600))
	address := loopback(freePort(t))
	printed := &output{}
	process := exec.Command(path, "--config.file="+config, "--storage.path="+t.TempDir(),
		"--web.listen-address="+address, "--cluster.listen-address=")
	process.Stdout, process.Stderr = printed, printed
	require.NoError(t, process.Start())
	t.Cleanup(func() {
		_ = process.Process.Kill()
		_ = process.Wait()
		if t.Failed() {
			t.Logf("Alertmanager printed:\n%s", printed.String())
		}
	})
	require.Eventually(t, func() bool {
		status, _ := get(t, "http://"+address+"/-/ready")
		return status == http.StatusOK
	}, patience, tick)
	return "http://" + address
}

// get reads a page; the status is 0 where nobody listens.
func get(t *testing.T, url string) (int, []byte) {
	t.Helper()
	res, err := client.Get(url)
	if err != nil {
		return 0, nil
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, nil
	}
	return res.StatusCode, body
}

type alertmanagerAlert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    string            `json:"startsAt"`
}

func TestRealAlertmanager(t *testing.T) {
	t.Parallel()
	url := startAlertmanager(t)
	c := newCollector(t)
	c.Start(spec{exporters: `
flux_notify:
  type: alertmanager
  address: ` + url + `/api/v2/alerts
  alerts: [{name: all, event_metadata: {"cluster name": prod}}]
`})
	failed := newEvent("apps", "apply failed: <line 1>\nline 2")
	failed.Severity, failed.Reason = eventv1.EventSeverityError, "ReconciliationFailed"
	failed.Metadata = map[string]string{
		"kustomize.toolkit.fluxcd.io/revision":    revision,
		"event.toolkit.fluxcd.io/summary":         summary,
		"event.toolkit.fluxcd.io/team.name":       "a",
		"event.toolkit.fluxcd.io/9lives":          "cat",
		"event.toolkit.fluxcd.io/größe":           "xl",
		"event.toolkit.fluxcd.io/example.com/url": "https://example.com/?a=b",
	}
	c.Accept(failed, newEvent("infra", "all is well"))

	alerts := map[string]alertmanagerAlert{}
	require.Eventually(t, func() bool {
		status, body := get(t, url+"/api/v2/alerts")
		var list []alertmanagerAlert
		if status != http.StatusOK || json.Unmarshal(body, &list) != nil {
			return false
		}
		for _, a := range list {
			alerts[a.Labels["name"]] = a
		}
		return len(list) == 2
	}, patience, tick)
	assert.Equal(t, map[string]string{
		"alertname": "FluxKustomizationReconciliationfailed", "severity": "error", "reason": "ReconciliationFailed",
		"kind": "Kustomization", "name": "apps", "namespace": "flux-system", "reportingcontroller": "kustomize-controller",
		"revision": revision, "team_name": "a", "_9lives": "cat", "gr__e": "xl", "example_com_url": "https://example.com/?a=b",
		"cluster_name": "prod",
	}, alerts["apps"].Labels)
	assert.Equal(t, map[string]string{"message": "apply failed: <line 1>\nline 2", "summary": summary}, alerts["apps"].Annotations)
	assert.Equal(t, "2026-03-09T12:12:48.000Z", alerts["apps"].StartsAt)
	assert.Equal(t, "info", alerts["infra"].Labels["severity"])
	assert.Equal(t, 2, c.Notifications("sent"))
	assert.Zero(t, c.Notifications("failed"))
}
