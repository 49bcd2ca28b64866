package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// sink is an endpoint. It takes events well or badly, as its mood is, and can
// be away.
type sink struct {
	address string
	ledger  atomic.Pointer[ledger]
	tls     *tls.Config
	mood    atomic.Pointer[mood]
	count   atomic.Int64
	bad     atomic.Int64 // requests that were not taken
	server  *http.Server
}

// mood answers the n-th request, and says whether the event was taken.
type mood func(w http.ResponseWriter, r *http.Request, n int64) (taken bool)

func newSink(l *ledger, config *tls.Config) (*sink, error) {
	s := &sink{tls: config}
	s.use(l)
	s.feel(fine)
	return s, s.open("127.0.0.1:0")
}

func (s *sink) url() string {
	if s.tls != nil {
		return "https://" + s.address + "/hook"
	}
	return "http://" + s.address + "/hook"
}

// use writes into another ledger from now on.
func (s *sink) use(l *ledger) { s.ledger.Store(l) }

func (s *sink) feel(m mood) { s.mood.Store(&m) }

func (s *sink) open(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	s.address = listener.Addr().String()
	if s.tls != nil {
		listener = tls.NewListener(listener, s.tls)
	}
	// Handshakes and requests that fail are part of the play.
	server := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)}
	s.server = server
	go func() { _ = server.Serve(listener) }()
	return nil
}

// down refuses connections and breaks those that there are.
func (s *sink) down() { _ = s.server.Close() }

// up is there again, where it was.
func (s *sink) up() error {
	var err error
	for range 100 {
		if err = s.open(s.address); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return errors.Join(errors.New("the endpoint cannot come back to its port"), err)
}

// ServeHTTP implements http.Handler.
func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return // the sender was killed
	}
	n, okN := numberAfter(text, marker)
	object, okObject := numberAfter(text, " of object ")
	if !okN || !okObject {
		http.Error(w, "no number in it", http.StatusBadRequest)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(text))
	if !(*s.mood.Load())(w, r, s.count.Add(1)) {
		s.bad.Add(1)
		return
	}
	s.ledger.Load().arrival(n, object)
}

// numberAfter reads the digits after some words.
func numberAfter(text []byte, words string) (int, bool) {
	_, rest, found := bytes.Cut(text, []byte(words))
	if !found {
		return 0, false
	}
	end := 0
	for end < len(rest) && rest[end] >= '0' && rest[end] <= '9' {
		end++
	}
	n, err := strconv.Atoi(string(rest[:end]))
	return n, err == nil
}
