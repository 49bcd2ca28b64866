package httpsend_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

var now = time.Date(2026, time.March, 9, 12, 0, 0, 0, time.UTC)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	date := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	unix := func(d time.Duration) string { return strconv.FormatInt(now.Add(d).Unix(), 10) }
	for _, c := range []struct {
		after, reset string
		want         time.Duration
		asked        bool
	}{
		{"", "", 0, false},
		{"0", "", 0, true},
		{"7", "", 7 * time.Second, true},
		{"0.25", "", 250 * time.Millisecond, true}, // Discord's
		{"3600", "", time.Hour, true},
		{"3601", "", time.Hour, true},
		{"1e300", "", time.Hour, true},
		{"Inf", "", time.Hour, true},
		{"NaN", "", 0, false},
		{"-7", "", 0, false},
		{"soon", "", 0, false},
		{date(90 * time.Second), "", 90 * time.Second, true},
		{date(-time.Minute), "", 0, true},
		{date(48 * time.Hour), "", time.Hour, true},
		{"", "9", 9 * time.Second, true},
		{"", "-9", 0, true},
		{"", unix(time.Minute), time.Minute, true},
		{"", unix(-time.Minute), 0, true},
		{"", unix(48 * time.Hour), time.Hour, true},
		{"", "soon", 0, false},
		{"7", "9", 7 * time.Second, true},
		{"soon", "9", 9 * time.Second, true},
	} {
		h := http.Header{}
		if c.after != "" {
			h.Set("Retry-After", c.after)
		}
		if c.reset != "" {
			h.Set("X-RateLimit-Reset", c.reset)
		}
		delay, asked := httpsend.RetryAfter(h, now)
		assert.Equal(t, c.want, delay, "%+v", c)
		assert.Equal(t, c.asked, asked, "%+v", c)
	}
}

func TestClockOfDates(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", now.Add(40*time.Second).Format(http.TimeFormat))
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	p := target(t, notify.Settings{Address: url}, httpsend.Options{Now: func() time.Time { return now }})
	e := failure(t, p.Deliver(t.Context(), post))
	assert.Equal(t, notify.Throttled, e.Class)
	assert.Equal(t, 40*time.Second, e.Delay)
}

func TestRedirectIsAnAnswer(t *testing.T) {
	t.Parallel()
	for location, want := range map[string]string{
		"https://elsewhere.example.com/secret?k=secret": "points to elsewhere.example.com,",
		"https://u:secret@elsewhere.example.com/":       "points to elsewhere.example.com,",
		"/another":                          "points to another path of the same host, which is not followed: what address names may have been renamed or moved",
		"":                                  "points to nowhere,",
		"https://secret-token.example.com/": "points to [REDACTED].example.com,",
		"//" + strings.Repeat("a", 1000) + ".com/": "… (truncated),",
	} {
		url := serve(t, func(w http.ResponseWriter, r *http.Request) {
			assert.Equal(t, http.MethodPost, r.Method, "303 was followed")
			w.Header().Set("Location", location)
			w.WriteHeader(http.StatusSeeOther)
		})
		e := failure(t, target(t, notify.Settings{Address: url, Token: "secret-token"}, httpsend.Options{}).Deliver(t.Context(), post))
		assert.Equal(t, notify.Permanent, e.Class)
		assert.Equal(t, "303", e.Type)
		assert.Contains(t, e.Error(), want)
		assert.NotContains(t, e.Error(), "secret")
		assert.Less(t, len(e.Error()), 800)
	}
}

func TestRefusedConnection(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	p := target(t, notify.Settings{Address: "http://" + listener.Addr().String() + "/secret-path?secret=query"}, httpsend.Options{})
	e := failure(t, p.Deliver(t.Context(), post))
	assert.Equal(t, notify.Retryable, e.Class)
	assert.Equal(t, "connection", e.Type)
	assert.Contains(t, e.Error(), "connection refused")
	assert.Contains(t, e.Error(), listener.Addr().String())
	assert.NotContains(t, e.Error(), "secret")
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	e := failure(t, target(t, notify.Settings{Address: server.URL}, httpsend.Options{}).Deliver(ctx, post))
	assert.Equal(t, notify.Retryable, e.Class)
	assert.Equal(t, "timeout", e.Type)
	assert.ErrorIs(t, e, context.DeadlineExceeded)
}

func TestCutConnection(t *testing.T) {
	t.Parallel()
	url := serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	e := failure(t, target(t, notify.Settings{Address: url}, httpsend.Options{}).Deliver(t.Context(), post))
	assert.Equal(t, notify.Retryable, e.Class)
	assert.ErrorIs(t, e, io.EOF)
}

func TestPlainAnswerToTLS(t *testing.T) {
	t.Parallel()
	url := serve(t, func(http.ResponseWriter, *http.Request) {})
	p := target(t, notify.Settings{Address: strings.Replace(url, "http:", "https:", 1)}, httpsend.Options{})
	e := failure(t, p.Deliver(t.Context(), post))
	assert.Equal(t, notify.Retryable, e.Class)
	assert.Contains(t, e.Error(), "does not look like a TLS handshake")
}
