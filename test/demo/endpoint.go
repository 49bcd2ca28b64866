package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"sort"
	"strings"
	"time"
)

// endpoint plays everybody who is notified, and shows what they were sent.
type endpoint struct {
	address string
	arrived chan []string
}

func listen() (*endpoint, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	e := &endpoint{address: listener.Addr().String(), arrived: make(chan []string, 100)}
	server := &http.Server{Handler: http.HandlerFunc(e.take), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	return e, nil
}

func (e *endpoint) take(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	lines := []string{r.Method + " " + r.URL.Path}
	for _, name := range []string{"Gotk-Component", "X-Signature"} {
		if value := r.Header.Get(name); value != "" {
			lines = append(lines, name+": "+value)
		}
	}
	var pretty bytes.Buffer
	if json.Indent(&pretty, body, "", "  ") != nil {
		pretty.Reset()
		pretty.Write(body)
	}
	e.arrived <- append(lines, strings.Split(pretty.String(), "\n")...)
	w.WriteHeader(http.StatusOK)
}

// collect gives the notifications that come, until none comes for a while.
func (e *endpoint) collect(quiet, most time.Duration) [][]string {
	var all [][]string
	deadline := time.After(most)
	for {
		select {
		case n := <-e.arrived:
			all = append(all, n)
			continue
		case <-time.After(quiet):
		case <-deadline:
		}
		sort.Slice(all, func(i, j int) bool { return all[i][0] < all[j][0] })
		return all
	}
}
