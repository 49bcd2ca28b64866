package httpsend_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/version"
)

// A middleware that changes the headers of a request, map and values alike, does not
// change the next request.
func TestHeadersAreNotShared(t *testing.T) {
	t.Parallel()
	var seen []string
	vandal := roundTrip(func(r *http.Request) (*http.Response, error) {
		seen = append(seen, fmt.Sprint(r.Header))
		for name, values := range r.Header {
			for i := range values {
				values[i] = "changed"
			}
			r.Header[name] = append(values, "another")
		}
		r.Header.Set("X-Added", "added")
		return nil, errors.New("not sent")
	})
	o := httpsend.Options{Header: http.Header{"X-Option": {"a", "b"}}}
	payload := notify.Payload{Method: http.MethodPost, Body: []byte("{}"), Header: http.Header{"X-Payload": {"a", "b"}}}
	s := notify.Settings{Address: "https://" + hook, HTTP: &http.Client{Transport: vandal}}
	p := over(t, s.Address, vandal, o)
	transport, err := httpsend.NewTransport(s, o)
	require.NoError(t, err)
	for range 2 {
		require.Error(t, p.Deliver(t.Context(), payload))
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.Address, nil)
	require.NoError(t, err)
	for range 2 {
		_, err := transport.RoundTrip(req) //nolint:bodyclose // there is none
		require.Error(t, err)
	}
	require.Len(t, seen, 4)
	assert.Contains(t, seen[0], "Content-Type:[application/json]")
	assert.Contains(t, seen[0], "X-Payload:[a b]")
	for _, i := range []int{0, 2} {
		assert.Equal(t, seen[i], seen[i+1])
		assert.Contains(t, seen[i], "X-Option:[a b]")
	}
	assert.Equal(t, http.Header{"X-Option": {"a", "b"}}, o.Header)
	assert.Equal(t, http.Header{"X-Payload": {"a", "b"}}, payload.Header)
	assert.Empty(t, req.Header)
}

func TestUserAgent(t *testing.T) {
	t.Parallel()
	ours := "otelcol-flux/" + version.String()
	for want, header := range map[string]http.Header{
		ours:       nil,
		"mine/1.0": httpsend.OperatorHeader([]notify.Header{{Name: "user-agent", Value: "mine/1.0"}}),
	} {
		var seen []string
		o := httpsend.Options{Header: header}
		handler := func(_ http.ResponseWriter, r *http.Request) { seen = append(seen, r.UserAgent()) }
		transport, url := sdk(t, o, handler)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		require.NoError(t, err)
		req.Header.Set("User-Agent", "an-sdk/1")
		res, err := transport.RoundTrip(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.NoError(t, target(t, notify.Settings{Address: serve(t, handler)}, o).Deliver(t.Context(), post))
		assert.Equal(t, []string{want, want}, seen)
		assert.Equal(t, "an-sdk/1", req.Header.Get("User-Agent"), "the caller's request stays as it was")
	}
}

// A middleware that removes a credential does not make it less of a secret.
func TestChangedAuthorizationStaysSecret(t *testing.T) {
	t.Parallel()
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "unknown: fetched-on-the-way", http.StatusUnauthorized)
	})
	inner := &http.Transport{}
	t.Cleanup(inner.CloseIdleConnections)
	middleware := roundTrip(func(r *http.Request) (*http.Response, error) {
		r.Header.Del("Authorization")
		return inner.RoundTrip(r)
	})
	o := httpsend.Options{Sign: httpsend.Bearer("fetched-on-the-way")}
	e := failure(t, over(t, server, middleware, o).Deliver(t.Context(), post))
	assert.True(t, strings.HasSuffix(e.Error(), "answered 401 Unauthorized: unknown: [REDACTED]"), e.Error())
}
