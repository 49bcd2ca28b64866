package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"go.opentelemetry.io/collector/config/configtls"

	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/text"
)

// What becomes of an event that is sent.
const (
	accepts   = "accepted"
	duplicate = "duplicate"
	refused   = "refused"
	unsent    = "failed" // there was no answer
)

// maxAnswer is how much of an answer is shown, in bytes.
const maxAnswer = 1024

// result is the output of send, as JSON.
type result struct {
	Event  string `json:"event"`
	Result string `json:"result"`
	Status int    `json:"status,omitempty"`
	Answer string `json:"answer,omitempty"`
}

func (r *result) line(p painter) string {
	colour := map[string]string{accepts: green, duplicate: yellow}[r.Result]
	if colour == "" {
		colour = red
	}
	line := r.Event + ": " + p.paint(colour, r.Result)
	if r.Status != 0 {
		line += fmt.Sprintf(" (%d %s)", r.Status, http.StatusText(r.Status))
	}
	if r.Answer != "" {
		line += ": " + r.Answer
	}
	return line
}

// sender posts events to one receiver.
type sender struct {
	endpoint string
	key      []byte
	client   *http.Client
}

func (f *sendFlags) sender() (*sender, error) {
	endpoint, err := httpsend.ParseAddress(f.endpoint)
	if err != nil {
		return nil, errors.New(strings.Replace(err.Error(), "address:", "endpoint:", 1))
	}
	key, err := f.hmacKey()
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if f.caFile != "" {
		config := configtls.ClientConfig{Config: configtls.Config{CAFile: f.caFile}}
		if transport.TLSClientConfig, err = config.LoadTLSConfig(context.Background()); err != nil {
			return nil, fmt.Errorf("ca-file: %w", err)
		}
	}
	client := &http.Client{Transport: transport, Timeout: f.timeout, CheckRedirect: httpsend.NoRedirects}
	return &sender{endpoint: endpoint.String(), key: key, client: client}, nil
}

// send posts one event.
func (s *sender) send(ctx context.Context, p posting) result {
	r := result{Event: p.name, Result: unsent}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.endpoint, bytes.NewReader(p.body))
	if err != nil {
		r.Answer = "the request cannot be made"
		return r
	}
	req.Header.Set("Content-Type", "application/json")
	if len(s.key) > 0 {
		mac := hmac.New(sha256.New, s.key)
		mac.Write(p.body)
		req.Header.Set("X-Signature", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	}
	res, err := s.client.Do(req)
	if err != nil {
		r.Answer = cause(err)
		return r
	}
	defer func() { _ = res.Body.Close() }()
	answer, _ := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	r.Status, r.Answer = res.StatusCode, text.Printable(strings.TrimSpace(string(answer)))
	s.judge(&r, res.Header)
	return r
}

// judge says what an answer of the receiver means.
func (s *sender) judge(r *result, header http.Header) {
	switch {
	case r.Status >= 200 && r.Status < 300:
		r.Result = accepts
	case r.Status == http.StatusTooManyRequests && header.Get("X-Flux-Event") == "duplicate":
		r.Result, r.Answer = duplicate, "the receiver knows this event, --unique makes it another one"
	case r.Status == http.StatusTooManyRequests:
		r.Result = duplicate
		r.Answer = strings.TrimSpace("known already, or too many requests " + r.Answer)
	default:
		r.Result = refused
	}
	if r.Status == http.StatusUnauthorized && bytes.HasSuffix(s.key, []byte("\n")) {
		r.Answer += " (the key ends in a line break, which is part of it)"
	}
}

// cause is why there is no answer, without the URL around it, which may hold a
// password.
func cause(err error) string {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return err.Error()
}
