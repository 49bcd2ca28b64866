package process

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// Another process binds the port later, and again after a restart. The kernel
// uses the ports above lastPort for outgoing connections, so they could be taken
// by then.
const (
	firstPort = 10000
	lastPort  = 32000
)

var ports = struct {
	sync.Mutex
	used map[int]bool
}{used: map[int]bool{}}

// FreePort returns a port that is free on the loopback interface. It returns each
// port only once.
func FreePort() (int, error) {
	ports.Lock()
	defer ports.Unlock()
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort) //nolint:gosec // a port is no secret
		if ports.used[port] {
			continue
		}
		listener, err := net.Listen("tcp", Loopback(port))
		if err != nil {
			continue
		}
		ports.used[port] = true
		return port, listener.Close()
	}
	return 0, errors.New("no free port on the loopback interface")
}

// Loopback is the address of a port on the loopback interface.
func Loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
