package cluster

import (
	"net"
	"net/url"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Close leaves neither processes nor files, whether the API server runs or not.
func TestClose(t *testing.T) {
	t.Parallel()
	c, err := New(t.Context(), Options{NoCRDs: true})
	skip(t, err)
	require.NoError(t, err)
	etcd, api := c.etcd.PID(), c.api.PID()
	require.DirExists(t, c.folder)
	require.NoError(t, c.stopAPIServer())
	require.Error(t, c.stopAPIServer(), "it is stopped already")
	require.NoError(t, c.startAPIServer(t.Context()))
	require.Error(t, c.startAPIServer(t.Context()), "it runs already")
	again := c.api.PID()

	require.NoError(t, c.Close())
	for _, pid := range []int{etcd, api, again} {
		require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH)
	}
	_, err = os.Stat(c.folder)
	require.ErrorIs(t, err, os.ErrNotExist)
	server, err := url.Parse(c.server)
	require.NoError(t, err)
	_, err = net.Dial("tcp", server.Host)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	assert.NoError(t, c.Close())
}

// A wrong flag fails at once, with what the API server printed.
func TestStartFails(t *testing.T) {
	t.Parallel()
	c, err := New(t.Context(), Options{Flags: []string{"--no-such-flag"}})
	skip(t, err)
	require.ErrorContains(t, err, "kube-apiserver ended: exit status 1")
	require.ErrorContains(t, err, "unknown flag: --no-such-flag")
	assert.Nil(t, c)
}

func TestParse(t *testing.T) {
	t.Parallel()
	objects, err := parse("")
	require.NoError(t, err)
	assert.Empty(t, objects)
	_, err = parse("{apiVersion: v1, kind: Secret}")
	require.ErrorContains(t, err, "metadata.name is missing")
	_, err = parse("{apiVersion: v1, kind: Secret")
	require.Error(t, err)
}
