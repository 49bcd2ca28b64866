package providertest

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers"
)

// answer is what the server of the matrix says next.
type answer struct {
	status int
	header map[string]string
}

// Statuses proves that a type takes every status code for what it means, at each
// of the requests of a delivery. A status below 200 is no final answer, so none
// is sent.
func Statuses(t *testing.T, row providers.Row) {
	t.Helper()
	for request, content := range requests(t, row) {
		statuses(t, row, request, content)
	}
}

// requests are those that a delivery makes of a content endpoint: the status that
// each is answered with.
func requests(t *testing.T, row providers.Row) []int {
	t.Helper()
	var mu sync.Mutex
	var all []int
	server := Server(t, func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		ok(row)(answer, r)
		mu.Lock()
		all = append(all, answer.Code)
		mu.Unlock()
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	})
	p := On(t, row, row.Sample, server.URL)
	require.NoError(t, p.Deliver(t.Context(), Payload(t, p)))
	mu.Lock()
	defer mu.Unlock()
	if row.OK == nil {
		require.Len(t, all, 1, "a delivery of several requests needs its row's OK")
	}
	return all
}

// statuses answers one of a delivery's requests with every status, and the
// others as a content endpoint does. What that itself answers to the request is no
// failure, even if it says that nothing is there.
func statuses(t *testing.T, row providers.Row, request, content int) {
	t.Helper()
	var say atomic.Pointer[answer]
	var n atomic.Int32
	server := Server(t, func(w http.ResponseWriter, r *http.Request) {
		if int(n.Add(1))-1 != request {
			ok(row)(w, r)
			return
		}
		a := say.Load()
		for name, value := range a.header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(a.status)
		if a.status < 300 && a.status != http.StatusNoContent {
			_, _ = w.Write([]byte(row.OKBody))
		}
	})
	p := On(t, row, row.Sample, server.URL)
	payload := Payload(t, p)
	deliver := func(a answer) error {
		if row.OK != nil {
			p = On(t, row, row.Sample, server.URL) // one that knows nothing from the requests before
		}
		say.Store(&a)
		n.Store(0)
		return p.Deliver(t.Context(), payload)
	}

	for status := 200; status < 600; status++ {
		want := class(status)
		if row.OK != nil && (want == 0 || status == content) {
			continue // what such a type makes of a success is in the body
		}
		err := deliver(answer{status: status})
		if want == 0 {
			require.NoError(t, err, status)
			continue
		}
		var e *notify.Error
		if assert.ErrorAs(t, err, &e, status) {
			assert.Equal(t, want, e.Class, status)
			assert.Equal(t, strconv.Itoa(status), e.Type)
			assert.Contains(t, e.Error(), strconv.Itoa(status))
			assert.Zero(t, e.Delay, status)
		}
	}

	inAMoment := time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat)
	for _, c := range []struct {
		name     string
		answer   answer
		class    notify.Class
		least    time.Duration
		greatest time.Duration
	}{
		{"429 with seconds", answer{429, map[string]string{"Retry-After": "7"}}, notify.Throttled, 7 * time.Second, 7 * time.Second},
		{"429 with a date", answer{429, map[string]string{"Retry-After": inAMoment}}, notify.Throttled, 30 * time.Second, 90 * time.Second},
		{"429 for a day", answer{429, map[string]string{"Retry-After": "86400"}}, notify.Throttled, time.Hour, time.Hour},
		{"429 with nonsense", answer{429, map[string]string{"Retry-After": "soon"}}, notify.Throttled, 0, 0},
		{"503 with seconds", answer{503, map[string]string{"Retry-After": "7"}}, notify.Throttled, 7 * time.Second, 7 * time.Second},
		{"500 with seconds", answer{500, map[string]string{"Retry-After": "7"}}, notify.Retryable, 0, 0},
		{"401 for its rate", answer{401, map[string]string{"Retry-After": "7"}}, notify.Throttled, 7 * time.Second, 7 * time.Second},
		{"403 for its rate", answer{403, map[string]string{"Retry-After": "7"}}, notify.Throttled, 7 * time.Second, 7 * time.Second},
		{"403 for its quota", answer{403, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9"}}, notify.Throttled, 9 * time.Second, 9 * time.Second},
		{"403 with quota left", answer{403, map[string]string{"X-RateLimit-Remaining": "41"}}, notify.Permanent, 0, 0},
	} {
		var e *notify.Error
		require.ErrorAs(t, deliver(c.answer), &e, c.name)
		assert.Equal(t, c.class, e.Class, c.name)
		assert.GreaterOrEqual(t, e.Delay, c.least, c.name)
		assert.LessOrEqual(t, e.Delay, c.greatest, c.name)
	}
}

// class is the meaning of a status code without any header; 0 is success.
func class(status int) notify.Class {
	switch status {
	case 429:
		return notify.Throttled
	case 408, 425:
		return notify.Retryable
	case 501:
		return notify.Permanent
	}
	switch status / 100 {
	case 2:
		return 0
	case 5:
		return notify.Retryable
	default:
		return notify.Permanent
	}
}
