package e2e

import (
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// A port that is chosen here is bound later, by another process. Those from
// which the kernel takes the ports of outgoing connections could be gone by
// then, so ports below them are used, none twice.
const (
	firstPort = 10000
	lastPort  = 32000
)

var ports = struct {
	sync.Mutex
	given map[int]bool
}{given: map[int]bool{}}

func freePort(t *testing.T) int {
	t.Helper()
	ports.Lock()
	defer ports.Unlock()
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		if ports.given[port] {
			continue
		}
		listener, err := net.Listen("tcp", loopback(port))
		if err != nil {
			continue
		}
		require.NoError(t, listener.Close())
		ports.given[port] = true
		return port
	}
	require.Fail(t, "no free port on the loopback interface")
	return 0
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
