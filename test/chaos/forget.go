package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// forgetCommand makes this program what the collector is compared with: it
// listens at the first argument and posts to the second.
const forgetCommand = "forget"

// forget answers 202 and posts from a goroutine, with a client made for the
// event, once. What goes wrong then nobody learns.
func forget(arguments []string) error {
	if len(arguments) != 2 {
		return errors.New("usage: forget LISTEN TARGET")
	}
	target := arguments[1]
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, "body", http.StatusBadRequest)
			return
		}
		go post(target, body)
		w.WriteHeader(http.StatusAccepted)
	})
	server := &http.Server{Addr: arguments[0], Handler: handler, ReadHeaderTimeout: time.Minute}
	return server.ListenAndServe()
}

func post(target string, body []byte) {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
}
