package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// endpointName is a name that only the hosts file of the room knows.
const endpointName = "endpoint.chaos.example"

// nameLost takes the endpoint's name out of the only place that knows it, and
// puts it back. Go's resolver reads hosts files again after five seconds.
func nameLost(ctx context.Context, s *stage) error {
	hosts := filepath.Join(s.dir, "hosts")
	known := []byte("127.0.0.1 localhost\n127.0.0.1 " + endpointName + "\n")
	unknown := []byte("127.0.0.1 localhost\n")
	if err := os.WriteFile(hosts, known, 0o644); err != nil {
		return err
	}
	r, err := newRoom(s.namesFrom(hosts))
	if err != nil {
		return err
	}
	s.closeAtEnd(r.close)
	// Each delivery needs a new connection, and so the name.
	s.sink.feel(func(w http.ResponseWriter, _ *http.Request, _ int64) bool {
		w.Header().Set("Connection", "close")
		return true
	})
	_, port, err := net.SplitHostPort(s.sink.address)
	if err != nil {
		return err
	}
	c, err := s.start(ctx, settings{
		inside: r, env: []string{"GODEBUG=netdns=go"},
		exporter: yamlMap{"address": "http://" + net.JoinHostPort(endpointName, port) + "/hook"},
	})
	if err != nil {
		return err
	}
	return s.flow(ctx, c.address, func() error {
		if err := os.WriteFile(hosts, unknown, 0o644); err != nil { // the file itself, since it is what was mounted
			return err
		}
		lost := s.await(ctx, func() bool { return s.ledger.missing() > s.rate })
		pause(ctx, s.pick(15*time.Second, time.Second))
		if err := os.WriteFile(hosts, known, 0o644); err != nil {
			return err
		}
		return bit(lost, "the name was still found")
	})
}

// namesFrom is the script of a room in which names come from a file alone.
func (s *stage) namesFrom(hosts string) string {
	resolv, order := filepath.Join(s.dir, "resolv.conf"), filepath.Join(s.dir, "nsswitch.conf")
	return fmt.Sprintf(`
echo "nameserver 127.0.0.1" >%[2]q
echo "hosts: files" >%[3]q
mount --bind %[1]q /etc/hosts
mount --bind %[2]q /etc/resolv.conf
if [ -e /etc/nsswitch.conf ]; then mount --bind %[3]q /etc/nsswitch.conf; fi`, hosts, resolv, order)
}
