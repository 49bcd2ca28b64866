package target

import (
	"errors"
	"io"
	"net/http"
	"sync"
)

var errNotSent = errors.New("this is a preview, nothing is sent")

// recorder takes the place of the network: it keeps the requests that were to be
// sent.
type recorder struct {
	mu       sync.Mutex
	requests []recorded
}

type recorded struct {
	*http.Request
	body []byte
}

// RoundTrip implements http.RoundTripper.
func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	kept := recorded{Request: req}
	if req.Body != nil {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		if err := req.Body.Close(); err != nil {
			return nil, err
		}
		kept.body = body
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, kept)
	return nil, errNotSent
}

// take gives what was kept since it was called last.
func (r *recorder) take() []recorded {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.requests
	r.requests = nil
	return taken
}
