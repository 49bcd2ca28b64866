package main

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// A port that is chosen here is bound later, by another process, and again
// after each of its restarts. Those from which the kernel takes the ports of
// outgoing connections could be gone by then, so ports below them are used.
const (
	firstPort = 10000
	lastPort  = 32000
)

var ports = struct {
	sync.Mutex
	given map[int]bool
}{given: map[int]bool{}}

func freePort() (int, error) {
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
		ports.given[port] = true
		return port, listener.Close()
	}
	return 0, errors.New("no free port on the loopback interface")
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
