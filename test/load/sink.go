package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"
)

// sink is an endpoint that counts events, by the number in their message.
type sink struct {
	url     string
	address string
	ca      *authority
	server  *http.Server

	seen  []atomic.Int32
	count atomic.Int64 // different events
	twice atomic.Int64
	conns atomic.Int64
	last  atomic.Int64 // when the last new one arrived, in ns
}

const marker = "event number "

func newSink(events int, ca *authority) (*sink, error) {
	s := &sink{address: "127.0.0.1:0", ca: ca, seen: make([]atomic.Int32, events)}
	if err := s.open(); err != nil {
		return nil, err
	}
	s.url = "http://" + s.address + "/hook"
	if ca != nil {
		s.url = "https://" + s.address + "/hook"
	}
	return s, nil
}

// open listens, after close on the same address as before.
func (s *sink) open() error {
	listener, err := net.Listen("tcp", s.address)
	if err != nil {
		return err
	}
	s.address = listener.Addr().String()
	if s.ca != nil {
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{s.ca.leaf}, MinVersion: tls.VersionTLS12})
	}
	server := &http.Server{
		Handler:           http.HandlerFunc(s.take),
		ReadHeaderTimeout: time.Minute,
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				s.conns.Add(1)
			}
		},
	}
	s.server = server
	go func() { _ = server.Serve(listener) }()
	return nil
}

func (s *sink) close() { _ = s.server.Close() }

// await waits until so many different events have arrived.
func (s *sink) await(ctx context.Context, events int) {
	deadline := time.Now().Add(arriving)
	for s.count.Load() < int64(events) && time.Now().Before(deadline) && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
}

func (s *sink) take(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	_, rest, found := bytes.Cut(body, []byte(marker))
	if !found || len(rest) < 7 {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	n, err := strconv.Atoi(string(rest[:7]))
	if err != nil || n >= len(s.seen) {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if s.seen[n].Add(1) > 1 {
		s.twice.Add(1)
		return
	}
	s.last.Store(time.Now().UnixNano())
	s.count.Add(1)
}

// authority is a private certificate authority with one certificate.
type authority struct {
	file string
	leaf tls.Certificate
}

func newAuthority(dir string) (*authority, error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "load"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, template, template, &caKey.PublicKey, caKey)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "127.0.0.1"},
		NotBefore: template.NotBefore, NotAfter: template.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, template, &key.PublicKey, caKey)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}), 0o600); err != nil {
		return nil, err
	}
	return &authority{file: file, leaf: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}}, nil
}
