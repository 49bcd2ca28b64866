package e2e

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	eventv1 "github.com/fluxcd/pkg/apis/event/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sink is an endpoint that remembers what it was sent. What it answers is
// scripted.
type sink struct {
	*httptest.Server
	t      *testing.T
	script script

	mu          sync.Mutex
	requests    []request
	accepted    []request
	inFlight    int
	maxInFlight int
	connections int
}

// request is one that a sink got, the n-th from 1 on.
type request struct {
	n      int
	at     time.Time
	method string
	path   string
	header http.Header
	body   string
}

type answer struct {
	status int // 200 if 0
	header map[string]string
	body   string
	after  time.Duration
}

// script decides an answer. It is called from many goroutines.
type script func(request) answer

type sinkOption func(*httptest.Server)

// onPort lets a sink appear where an address already leads.
func onPort(t *testing.T, port int) sinkOption {
	t.Helper()
	return func(s *httptest.Server) {
		require.NoError(t, s.Listener.Close())
		listener, err := net.Listen("tcp", loopback(port))
		require.NoError(t, err)
		s.Listener = listener
	}
}

func withTLS(config *tls.Config) sinkOption {
	return func(s *httptest.Server) { s.TLS = config }
}

func newSink(t *testing.T, script script, options ...sinkOption) *sink {
	t.Helper()
	s := &sink{t: t, script: script}
	server := httptest.NewUnstartedServer(s)
	s.Server = server
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.mu.Lock()
			s.connections++
			s.mu.Unlock()
		}
	}
	// Handshakes that fail are part of some tests.
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	for _, option := range options {
		option(server)
	}
	if server.TLS != nil {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return s
}

// ServeHTTP implements http.Handler.
func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the sender was killed
	}
	s.mu.Lock()
	got := request{n: len(s.requests) + 1, at: time.Now(), method: r.Method, path: r.URL.RequestURI(), header: r.Header.Clone(), body: string(body)}
	s.requests = append(s.requests, got)
	s.inFlight++
	s.maxInFlight = max(s.maxInFlight, s.inFlight)
	s.mu.Unlock()

	a := answer{}
	if s.script != nil {
		a = s.script(got)
	}
	if a.status == 0 {
		a.status = http.StatusOK
	}
	gone := false
	if a.after > 0 {
		timer := time.NewTimer(a.after)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			gone = true
		}
	}
	s.mu.Lock()
	s.inFlight--
	if !gone && a.status < http.StatusMultipleChoices {
		s.accepted = append(s.accepted, got)
	}
	s.mu.Unlock()
	for name, value := range a.header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body)
}

// Requests are all so far, in the order of their arrival.
func (s *sink) Requests() []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Accepted are those that had a 2xx, in the order of the answers.
func (s *sink) Accepted() []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.accepted)
}

// Wait returns when so many requests were accepted.
func (s *sink) Wait(n int) []request {
	s.t.Helper()
	s.WaitUntil(func() bool { return len(s.Accepted()) >= n })
	return s.Accepted()
}

// WaitUntil returns when a condition holds.
func (s *sink) WaitUntil(condition func() bool) {
	s.t.Helper()
	require.Eventually(s.t, condition, patience, tick)
}

// Path are the accepted requests to one path.
func (s *sink) Path(path string) []request {
	return slices.DeleteFunc(s.Accepted(), func(r request) bool { return r.path != path })
}

// event reads a request that holds an event's JSON.
func (r request) event(t *testing.T) eventv1.Event {
	t.Helper()
	var e eventv1.Event
	assert.NoError(t, json.Unmarshal([]byte(r.body), &e), r.body)
	return e
}

// messages counts the messages of events.
func messages(t *testing.T, requests []request) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for _, r := range requests {
		counts[r.event(t).Message]++
	}
	return counts
}

// host is the authority of the sink's address.
func (s *sink) host() string { return s.Listener.Addr().String() }

// script of an endpoint that refuses what holds a word.
func refusing(word string, status int) script {
	return func(r request) answer {
		if strings.Contains(r.body, word) {
			return answer{status: status}
		}
		return answer{}
	}
}
