package httpsend_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// sdk is a transport to a handler, and a clock that stands still.
func sdk(t *testing.T, o httpsend.Options, handler http.HandlerFunc) (*httpsend.Transport, string) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	inner := &http.Transport{}
	t.Cleanup(inner.CloseIdleConnections)
	transport, err := httpsend.NewTransport(notify.Settings{
		Address: server.URL + "/owner/repository", Token: "sample-token-1", HTTP: &http.Client{Transport: inner},
	}, o)
	require.NoError(t, err)
	return transport, server.URL
}

// get does what an SDK does, wrapping included.
func get(t *testing.T, transport *httpsend.Transport, url string) (string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	res, err := transport.Client().Do(req)
	if err != nil {
		return "", transport.Failure(t.Context(), fmt.Errorf("sdk: %w", err))
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return string(body), nil
}

func TestTransportSucceeds(t *testing.T) {
	t.Parallel()
	transport, url := sdk(t, httpsend.Options{
		Header: http.Header{"X-Api": {"1"}},
		Sign:   func(r *http.Request, body []byte) { r.Header.Set("X-Signed", string(body)) },
	}, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "%s %s %s %s", r.Method, body, r.Header.Get("X-Signed"), r.Header.Get("X-Api"))
	})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("text"))
	require.NoError(t, err)
	res, err := transport.Client().Do(req)
	require.NoError(t, err)
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	assert.Equal(t, "POST text text 1", string(body))
	assert.Empty(t, req.Header, "the caller's request stays as it was")
}

func TestTransportJudges(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, time.March, 9, 12, 0, 0, 0, time.UTC)
	in90s := fmt.Sprint(now.Add(90 * time.Second).Unix())
	for name, c := range map[string]struct {
		status int
		header map[string]string
		class  notify.Class
		delay  time.Duration
	}{
		"refused":                       {404, nil, notify.Permanent, 0},
		"out of order":                  {502, nil, notify.Retryable, 0},
		"redirected":                    {302, map[string]string{"Location": "/elsewhere"}, notify.Permanent, 0},
		"GitHub's primary limit":        {403, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": in90s}, notify.Throttled, 90 * time.Second},
		"GitHub's primary limit as 429": {429, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": in90s}, notify.Throttled, 90 * time.Second},
		"GitHub's secondary limit":      {403, map[string]string{"Retry-After": "60", "X-RateLimit-Remaining": "4000", "X-RateLimit-Reset": in90s}, notify.Throttled, time.Minute},
		"a secondary limit of no time":  {429, map[string]string{"X-RateLimit-Remaining": "4000", "X-RateLimit-Reset": in90s}, notify.Throttled, 0},
		"GitLab's and Bitbucket's":      {429, map[string]string{"RateLimit-Remaining": "0", "RateLimit-Reset": in90s}, notify.Throttled, 90 * time.Second},
		"Azure's 503":                   {503, map[string]string{"Retry-After": "5"}, notify.Throttled, 5 * time.Second},
		"rights":                        {403, map[string]string{"X-RateLimit-Remaining": "4000", "X-RateLimit-Reset": in90s}, notify.Permanent, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			transport, url := sdk(t, httpsend.Options{Now: func() time.Time { return now }}, func(w http.ResponseWriter, _ *http.Request) {
				for k, v := range c.header {
					w.Header().Set(k, v)
				}
				w.WriteHeader(c.status)
			})
			_, err := get(t, transport, url)
			var e *notify.Error
			require.ErrorAs(t, err, &e)
			assert.Equal(t, c.class, e.Class)
			assert.Equal(t, c.delay, e.Delay)
			assert.Equal(t, fmt.Sprint(c.status), e.Type)
			assert.NotContains(t, err.Error(), "sdk", "the SDK's words may quote addresses")
		})
	}
}

func TestTransportHeedsWhatASuccessAsks(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]map[string]string{
		"Azure DevOps": {"Retry-After": "30", "X-RateLimit-Delay": "1.5"},
		"GitHub":       {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "30"},
		"GitLab":       {"RateLimit-Remaining": "0", "RateLimit-Reset": "30"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now, requests := time.Now(), 0
			transport, url := sdk(t, httpsend.Options{Now: func() time.Time { return now }}, func(w http.ResponseWriter, _ *http.Request) {
				if requests++; requests == 1 {
					for k, v := range header {
						w.Header().Set(k, v)
					}
				}
			})
			_, err := get(t, transport, url)
			require.NoError(t, err, "it was heard")
			now = now.Add(10 * time.Second)
			_, err = get(t, transport, url)
			var e *notify.Error
			require.ErrorAs(t, err, &e)
			assert.Equal(t, notify.Throttled, e.Class)
			assert.Equal(t, 20*time.Second, e.Delay)
			assert.Equal(t, 1, requests, "nothing is sent meanwhile")
			now = now.Add(20 * time.Second)
			_, err = get(t, transport, url)
			require.NoError(t, err)
			_, err = get(t, transport, url)
			require.NoError(t, err)
		})
	}
}

// A host that asks for patience all the time still gets to the end of a delivery:
// what is refused is the beginning of another.
func TestTransportEndsADelivery(t *testing.T) {
	t.Parallel()
	now, requests := time.Now(), 0
	transport, url := sdk(t, httpsend.Options{Now: func() time.Time { return now }}, func(w http.ResponseWriter, _ *http.Request) {
		requests++
		w.Header().Set("Retry-After", "1")
	})
	deliver := func(ctx context.Context) error {
		for range 3 {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
			require.NoError(t, err)
			res, err := transport.RoundTrip(req)
			if err != nil {
				return err
			}
			require.NoError(t, res.Body.Close())
		}
		return nil
	}
	ctx := httpsend.OneDelivery(t.Context())
	require.NoError(t, deliver(ctx))
	assert.Equal(t, 3, requests)
	require.NoError(t, deliver(httpsend.OneDelivery(ctx)), "what is marked stays the delivery that it is")
	refused := httpsend.OneDelivery(t.Context())
	for range 2 {
		var e *notify.Error
		require.ErrorAs(t, deliver(refused), &e, "another, which has not begun by being refused")
		assert.Equal(t, notify.Throttled, e.Class)
		assert.Equal(t, time.Second, e.Delay)
	}
	assert.Equal(t, 6, requests)
	now = now.Add(time.Second)
	require.NoError(t, deliver(refused))
}

func TestTransportHidesSecrets(t *testing.T) {
	t.Parallel()
	transport, url := sdk(t, httpsend.Options{}, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, "bad "+r.Header.Get("Authorization")+" and sample-token-1 at /owner/repository")
	})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer fetched-on-the-way")
	_, err = transport.RoundTrip(req) //nolint:bodyclose // there is none
	require.Error(t, err)
	assert.Contains(t, err.Error(), "400 Bad Request")
	for _, secret := range []string{"fetched-on-the-way", "sample-token-1", "/owner/repository"} {
		assert.NotContains(t, err.Error(), secret)
	}
}

func TestTransportBoundsAnswers(t *testing.T) {
	t.Parallel()
	var length atomic.Int64
	transport, url := sdk(t, httpsend.Options{}, func(w http.ResponseWriter, _ *http.Request) {
		for range length.Load() >> 20 {
			_, _ = w.Write(make([]byte, 1<<20))
		}
	})
	length.Store(32 << 20)
	body, err := get(t, transport, url)
	require.NoError(t, err)
	assert.Equal(t, 32<<20, len(body)) //nolint:testifylint // not to print it

	length.Store(33 << 20)
	_, err = get(t, transport, url)
	var e *notify.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, notify.Permanent, e.Class)
	assert.Equal(t, "too_large", e.Type)
	assert.Contains(t, e.Error(), ": the answer exceeds the limit of 32 MiB")
}

func TestTransportBrokenAnswer(t *testing.T) {
	t.Parallel()
	transport, url := sdk(t, httpsend.Options{}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "part")
	})
	_, err := get(t, transport, url)
	var e *notify.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, notify.Retryable, e.Class)
}

func TestFailure(t *testing.T) {
	t.Parallel()
	transport, _ := sdk(t, httpsend.Options{}, nil)
	require.NoError(t, transport.Failure(t.Context(), nil))

	var syntax *json.SyntaxError
	err := json.Unmarshal([]byte("sample-token-1"), new(int))
	require.ErrorAs(t, err, &syntax)
	var e *notify.Error
	require.ErrorAs(t, transport.Failure(t.Context(), fmt.Errorf("reading sample-token-1: %w", err)), &e)
	assert.Equal(t, notify.Retryable, e.Class)
	assert.Equal(t, "answer", e.Type)
	assert.NotContains(t, e.Error(), "sample-token-1")

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorAs(t, transport.Failure(ended, errors.New("whatever")), &e)
	require.ErrorIs(t, e, context.Canceled)
	assert.Equal(t, "canceled", e.Type)
	assert.True(t, strings.HasSuffix(e.Error(), ": canceled"), e.Error())

	late, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	require.ErrorAs(t, transport.Failure(late, errors.New("whatever")), &e)
	require.ErrorIs(t, e, context.DeadlineExceeded)
	assert.Equal(t, "timeout", e.Type)
	assert.True(t, strings.HasSuffix(e.Error(), ": timeout"), e.Error())
}

func TestNotFound(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]bool{404: true, 200: false, 403: false, 410: false, 500: false} {
		transport, url := sdk(t, httpsend.Options{}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		_, err := get(t, transport, url)
		assert.Equal(t, want, httpsend.NotFound(err), status)
	}
	assert.False(t, httpsend.NotFound(errors.New("404")))
}
