package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"
)

// secret removes the key with which notifications are signed and puts another
// one in its place; then the whole folder.
func secret(ctx context.Context, s *stage) error {
	folder := filepath.Join(s.dir, "secret")
	put := func(key string) error {
		return errors.Join(os.MkdirAll(folder, 0o700), os.WriteFile(filepath.Join(folder, "token"), []byte(key), 0o600))
	}
	names := []string{"first-key", "second-key", "third-key"}
	if err := put(names[0]); err != nil {
		return err
	}
	var latest atomic.Int64
	s.sink.feel(signed(names, &latest))
	c, err := s.start(ctx, settings{exporter: yamlMap{"type": "generic-hmac", "secret_dir": folder}})
	if err != nil {
		return err
	}
	gone := s.pick(8*time.Second, time.Second)
	return s.flow(ctx, c.address, func() error {
		for i, remove := range []func(string) error{os.Remove, os.RemoveAll} {
			path := []string{filepath.Join(folder, "token"), folder}[i]
			if err := remove(path); err != nil {
				return err
			}
			pause(ctx, gone)
			if err := put(names[i+1]); err != nil {
				return err
			}
			if !s.await(ctx, func() bool { return latest.Load() == int64(i+1) }) {
				return fmt.Errorf("the key that was put back is not used: %s", names[i+1])
			}
		}
		return nil
	})
}

// signed takes what any of the keys has signed, and notes the latest of them.
func signed(names []string, latest *atomic.Int64) mood {
	return func(w http.ResponseWriter, r *http.Request, _ int64) bool {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return false
		}
		used := slices.IndexFunc(names, func(key string) bool {
			mac := hmac.New(sha256.New, []byte(key))
			mac.Write(body)
			return r.Header.Get("X-Signature") == "sha256="+hex.EncodeToString(mac.Sum(nil))
		})
		if used < 0 {
			w.WriteHeader(http.StatusUnauthorized)
			return false
		}
		latest.Store(max(latest.Load(), int64(used)))
		return true
	}
}

// certificate lets the endpoint's certificate expire, and replaces it.
func certificate(ctx context.Context, s *stage) error {
	file := filepath.Join(s.dir, "ca.pem")
	ca, err := newAuthority(file)
	if err != nil {
		return err
	}
	good, errGood := ca.leaf(time.Hour)
	expired, errExpired := ca.leaf(-time.Hour)
	if err := errors.Join(errGood, errExpired); err != nil {
		return err
	}
	var shown atomic.Pointer[tls.Certificate]
	var handshakes atomic.Int64
	shown.Store(good)
	if err := s.endpoint(&tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		if shown.Load() == expired {
			handshakes.Add(1)
		}
		return shown.Load(), nil
	}}); err != nil {
		return err
	}
	c, err := s.start(ctx, settings{exporter: yamlMap{"tls": yamlMap{"ca_file": file}}})
	if err != nil {
		return err
	}
	return s.flow(ctx, c.address, func() error {
		shown.Store(expired)
		s.sink.down() // the connections that there are would go on
		if err := s.sink.up(); err != nil {
			return err
		}
		pause(ctx, s.pick(20*time.Second, 3*time.Second))
		shown.Store(good)
		return bit(handshakes.Load() > 0, "nobody saw the certificate that has expired")
	})
}
