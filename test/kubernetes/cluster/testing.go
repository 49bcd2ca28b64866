package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/test/kubernetes/programs"
)

// Start starts a cluster for one test, and stops it when the test ends. The test
// is skipped if the programs are not built.
func Start(t *testing.T, options Options) *Cluster {
	t.Helper()
	c, err := New(t.Context(), options)
	skip(t, err)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	c.logFailure(t)
	return c
}

var shared struct {
	sync.Mutex
	cluster *Cluster
	err     error
}

// Shared returns the cluster of all tests of a package, with the CRDs of Flux. The
// first call starts it. A package that uses it calls Main in TestMain. Tests that
// use it create their objects in a namespace of their own, see Namespace.
func Shared(t *testing.T) *Cluster {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.cluster == nil && shared.err == nil {
		// It outlives the test.
		shared.cluster, shared.err = New(context.Background(), Options{})
		if shared.err == nil {
			shared.cluster.shared = true
		}
	}
	skip(t, shared.err)
	require.NoError(t, shared.err)
	shared.cluster.logFailure(t)
	return shared.cluster
}

// Main runs the tests of a package and stops the shared cluster. If the tests are
// interrupted, it stops all clusters.
//
//	func TestMain(m *testing.M) { os.Exit(cluster.Main(m)) }
func Main(m *testing.M) (exitCode int) {
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-interrupted
		closeAll()
		os.Exit(1)
	}()
	exitCode = m.Run()
	shared.Lock()
	defer shared.Unlock()
	if shared.cluster == nil {
		return exitCode
	}
	if err := shared.cluster.Close(); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return exitCode
}

func skip(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, programs.ErrNotBuilt) || errors.Is(err, programs.ErrNoEtcd) {
		t.Skip(err)
	}
}

func (c *Cluster) logFailure(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(c.tail())
		}
	})
}

// StopAPIServer stops the API server. Objects stay in etcd. Only a test that
// started the cluster may stop it.
func (c *Cluster) StopAPIServer(t *testing.T) {
	t.Helper()
	require.False(t, c.shared, "other tests use this cluster, call Start for one of your own")
	require.NoError(t, c.stopAPIServer())
}

// StartAPIServer starts the API server again, on the same port.
func (c *Cluster) StartAPIServer(t *testing.T) {
	t.Helper()
	require.NoError(t, c.startAPIServer(t.Context()))
}
