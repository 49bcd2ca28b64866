package fluxeventreceiver

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/plog"
)

var errFull = errors.New("sending queue is full: s3cr3t")

// postAway posts without waiting for the answer.
func (s *service) postAway(t *testing.T, body string) <-chan reply {
	t.Helper()
	answered := make(chan reply, 1)
	go func() {
		got, err := s.try(context.Background(), http.MethodPost, "/", body)
		assert.NoError(t, err)
		answered <- got
	}()
	return answered
}

func assertNothing[T any](t *testing.T, c <-chan T) {
	t.Helper()
	require.Never(t, func() bool { return len(c) > 0 }, silence, tick)
}

func TestAcceptedOnlyAfterThePipeline(t *testing.T) {
	t.Parallel()
	next := newGate()
	s := start(t, next)
	answered := s.postAway(t, body(1))
	<-next.entered
	assertNothing(t, answered)
	next.answers <- nil
	assert.Equal(t, http.StatusAccepted, (<-answered).status)
	assert.Equal(t, 1, next.LogRecordCount())
}

func TestPipelineRefuses(t *testing.T) {
	t.Parallel()
	next := newGate()
	s := start(t, next)
	next.answers <- errFull
	got := s.post(t, body(1))
	assertLine(t, http.StatusServiceUnavailable, "the pipeline cannot take the event now, come again", got)
	assert.Equal(t, "5", got.header.Get("Retry-After"))
	next.answers <- nil
	assert.Equal(t, http.StatusAccepted, s.post(t, body(1)).status, "the sender's next try is no duplicate")
	assert.Equal(t, http.StatusTooManyRequests, s.post(t, body(1)).status)
}

// Flux's client repeats a 5xx, which would be no use here.
func TestPipelineRefusesForGood(t *testing.T) {
	t.Parallel()
	next := newGate()
	s := start(t, next)
	next.answers <- consumererror.NewPermanent(errFull)
	got := s.post(t, body(1))
	assertLine(t, http.StatusBadRequest, "the pipeline refuses this event for good", got)
	assert.Empty(t, got.header.Get("Retry-After"))
	next.answers <- nil
	assert.Equal(t, http.StatusAccepted, s.post(t, body(1)).status, "a refused event is not remembered")
}

// Two of the same at once: the second waits for what becomes of the first.
func TestTwins(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answers       []error
		first, second int
	}{
		"the first is taken":   {[]error{nil}, http.StatusAccepted, http.StatusTooManyRequests},
		"the first is refused": {[]error{errFull, nil}, http.StatusServiceUnavailable, http.StatusAccepted},
		"both are refused":     {[]error{errFull, errFull}, http.StatusServiceUnavailable, http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			next := newGate()
			s := start(t, next)
			first := s.postAway(t, body(1))
			<-next.entered
			second := s.postAway(t, body(1))
			assertNothing(t, second)
			assert.Empty(t, next.entered, "the second is kept out")
			for _, answer := range test.answers {
				next.answers <- answer
			}
			assert.Equal(t, test.first, (<-first).status)
			assert.Equal(t, test.second, (<-second).status)
		})
	}
}

// A sender that leaves while its twin is decided on must not be told 200, nor
// keep a later one waiting.
func TestSenderLeaves(t *testing.T) {
	t.Parallel()
	next := newGate()
	s := start(t, next)
	first := s.postAway(t, body(1))
	<-next.entered

	ctx, leave := context.WithCancel(t.Context())
	leave()
	recorder := httptest.NewRecorder()
	s.serve(recorder, httptest.NewRequestWithContext(ctx, http.MethodPost, "/", strings.NewReader(body(1))))
	assert.Equal(t, http.StatusServiceUnavailable, recorder.Code)

	next.answers <- nil
	assert.Equal(t, http.StatusAccepted, (<-first).status)
	assert.Equal(t, http.StatusTooManyRequests, s.post(t, body(1)).status)
}

// net/http survives a panic of the pipeline; so must the deduplication.
func TestPipelinePanics(t *testing.T) {
	t.Parallel()
	var panicked atomic.Bool
	s := start(t, pipeline(t, func(context.Context, plog.Logs) error {
		if !panicked.Swap(true) {
			panic("a broken processor")
		}
		return nil
	}))
	_, err := s.try(t.Context(), http.MethodPost, "/", body(1))
	require.Error(t, err, "the connection is cut")
	assert.Equal(t, http.StatusAccepted, s.post(t, body(1)).status)
}

func TestShutdownAwaitsRequests(t *testing.T) {
	t.Parallel()
	next := newGate()
	s := start(t, next)
	answered := s.postAway(t, body(1))
	<-next.entered
	stopped := make(chan error, 1)
	go func() { stopped <- s.Shutdown(context.Background()) }()
	require.Eventually(t, func() bool {
		_, err := (&service{url: s.url, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}).
			try(t.Context(), http.MethodGet, "/healthz", "")
		return err != nil
	}, patience, tick, "nobody new is let in")
	assertNothing(t, stopped)
	next.answers <- nil
	assert.Equal(t, http.StatusAccepted, (<-answered).status)
	require.NoError(t, <-stopped)
	assert.Equal(t, 1, next.LogRecordCount())
	require.NoError(t, s.Shutdown(context.Background()), "twice does no harm")
}

// A request that does not end keeps nobody for ever: the collector's own limit
// cuts it off.
func TestShutdownGivesUp(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{})
	s := start(t, pipeline(t, func(ctx context.Context, _ plog.Logs) error {
		close(entered)
		<-ctx.Done()
		return ctx.Err()
	}))
	failed := make(chan error, 1)
	go func() {
		_, err := s.try(context.Background(), http.MethodPost, "/", body(1))
		failed <- err
	}()
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.Shutdown(ctx), context.Canceled)
	require.Error(t, <-failed)
}

func TestShutdownBeforeStart(t *testing.T) {
	t.Parallel()
	s := start(t, consumertest.NewNop())
	require.NoError(t, s.Shutdown(t.Context()))
	r, err := newReceiver(s.set, s.config, consumertest.NewNop())
	require.NoError(t, err)
	require.NoError(t, r.Shutdown(t.Context()))
}
