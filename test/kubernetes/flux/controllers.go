// Package flux runs source-controller and kustomize-controller against a cluster
// of package cluster, and serves Git repositories to them.
package flux

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/test/kubernetes/cluster"
	"github.com/fluxnotify/otelcol-flux/test/kubernetes/process"
)

// folderVariable names the folder of the controllers. make test-flux sets it.
const folderVariable = "FLUX_CONTROLLERS"

const (
	startTimeout = time.Minute
	stopTimeout  = 10 * time.Second
	tick         = 50 * time.Millisecond
)

// Start starts the controllers for one test, and stops them when the test ends.
// They send their events to a URL. They act on all namespaces with the
// administrator's rights, so the cluster must not be shared. The test is skipped
// if make test-flux does not run it.
func Start(t *testing.T, c *cluster.Cluster, events string) {
	t.Helper()
	controllers := Folder(t)
	kubeconfig := c.Kubeconfig(t, c.Admin())
	storage := address(t)
	start(t, filepath.Join(controllers, "source-controller"), kubeconfig, events,
		"--storage-path="+t.TempDir(), "--storage-addr="+storage, "--storage-adv-addr="+storage)
	start(t, filepath.Join(controllers, "kustomize-controller"), kubeconfig, events)
}

// Folder is the folder of the controllers. The test is skipped if make test-flux
// does not run it. Tests call it before they start a cluster.
func Folder(t *testing.T) string {
	t.Helper()
	folder := os.Getenv(folderVariable)
	if folder == "" {
		t.Skip("run make test-flux to test with Flux controllers")
	}
	return folder
}

func start(t *testing.T, path, kubeconfig, events string, arguments ...string) {
	t.Helper()
	health := address(t)
	controller, err := process.Start(process.Spec{
		Path: path,
		Dir:  t.TempDir(),
		Env:  []string{"KUBECONFIG=" + kubeconfig, "RUNTIME_NAMESPACE=flux-system"},
		Args: append([]string{
			"--events-addr=" + events,
			"--health-addr=" + health,
			"--metrics-addr=" + address(t),
			"--watch-all-namespaces",
			"--enable-leader-election=false",
			"--requeue-dependency=1s",
		}, arguments...),
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		controller.Stop(stopTimeout)
		if t.Failed() {
			t.Logf("%s:\n%s", filepath.Base(path), controller.Tail())
		}
	})
	require.Eventually(t, func() bool { return controller.Failure() != nil || healthy("http://"+health+"/healthz") }, startTimeout, tick)
	require.NoError(t, controller.Failure())
}

func address(t *testing.T) string {
	t.Helper()
	port, err := process.FreePort()
	require.NoError(t, err)
	return process.Loopback(port)
}

// client keeps no connections, so that none outlives a test.
var client = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func healthy(url string) bool {
	response, err := client.Get(url)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}
