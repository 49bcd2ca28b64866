package fluxnotifyexporter

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.uber.org/zap"

	"github.com/fluxnotify/otelcol-flux/internal/alert"
)

// batch is one request with a record for every name.
func batch(names ...string) plog.Logs {
	logs := plog.NewLogs()
	for _, name := range names {
		event(name, "message of "+name).ResourceLogs().MoveAndAppendTo(logs.ResourceLogs())
	}
	return logs
}

func message(t *testing.T, body string) string {
	t.Helper()
	var e struct{ Message string }
	require.NoError(t, json.Unmarshal([]byte(body), &e))
	return e.Message
}

func TestOutOfOrderEndpointIsTriedAgainAndToldOnce(t *testing.T) {
	t.Parallel()
	sink := newEndpoint(t, func(_ string, nth int) (int, http.Header) {
		if nth < 2 {
			return http.StatusServiceUnavailable, nil
		}
		return http.StatusOK, nil
	})
	e := start(t, webhook(sink.URL))
	require.NoError(t, e.ConsumeLogs(context.Background(), event("webapp", "failed")))
	sink.waitFor(t, 3)
	e.stop(t)
	assert.Len(t, sink.seen(), 3)
	assert.Equal(t, map[string]int64{"sent": 1}, e.counts(t))
	assert.EqualValues(t, 1, e.sumOf(t, "otelcol_exporter_sent_log_records"))
	assert.EqualValues(t, 0, e.sumOf(t, "otelcol_exporter_send_failed_log_records"))
	assert.Equal(t, 1, e.logs.FilterLevelExact(zap.WarnLevel).Len(), "the log says once that the endpoint is in trouble")
	assert.Equal(t, 1, e.logs.FilterMessage("notifications are delivered again").Len())
}

func TestThrottledEndpointIsLeftAloneByEveryRecord(t *testing.T) {
	t.Parallel()
	const delay = time.Second
	sink := newEndpoint(t, func(_ string, nth int) (int, http.Header) {
		if nth == 0 {
			return http.StatusTooManyRequests, http.Header{"Retry-After": {"1"}}
		}
		return http.StatusOK, nil
	})
	e := start(t, webhook(sink.URL))
	require.NoError(t, e.ConsumeLogs(context.Background(), event("first", "failed")))
	first := sink.waitFor(t, 1)[0].at
	require.Eventually(t, func() bool {
		return e.logs.FilterLevelExact(zap.WarnLevel).Len() == 1 // the answer has been understood
	}, patience, time.Millisecond)
	for i := range 5 {
		require.NoError(t, e.ConsumeLogs(context.Background(), event(fmt.Sprint("other", i), "failed")))
	}
	for _, a := range sink.waitFor(t, 7)[1:] {
		assert.GreaterOrEqual(t, a.at.Sub(first), delay)
	}
	e.stop(t)
	assert.Equal(t, map[string]int64{"sent": 6}, e.counts(t))
}

func TestOneRefusedRecordOfABatchFailsAlone(t *testing.T) {
	t.Parallel()
	sink := newEndpoint(t, func(body string, _ int) (int, http.Header) {
		if strings.Contains(body, `"name":"bad"`) {
			return http.StatusBadRequest, nil
		}
		return http.StatusOK, nil
	})
	e := start(t, webhook(sink.URL))
	names := []string{"bad"}
	for i := range 99 {
		names = append(names, fmt.Sprint("good", i))
	}
	require.NoError(t, e.ConsumeLogs(context.Background(), batch(names...)))
	sink.waitFor(t, 100)
	e.stop(t)

	arrived := map[string]int{}
	for _, a := range sink.seen() {
		arrived[message(t, a.body)]++
	}
	assert.Len(t, arrived, 100)
	for name, n := range arrived {
		assert.Equal(t, 1, n, name)
	}
	assert.Equal(t, map[string]int64{"sent": 99, "failed 400": 1}, e.counts(t))
	assert.EqualValues(t, 100, e.sumOf(t, "otelcol_exporter_sent_log_records"), "the records that the outbox has accepted")
	failures := e.logs.FilterLevelExact(zap.ErrorLevel).All()
	require.Len(t, failures, 1)
	fields := failures[0].ContextMap()
	assert.Equal(t, "Kustomization/apps/bad", fields["object"])
	assert.Equal(t, "generic", fields["provider_type"])
	assert.Contains(t, fields["error"], "400 Bad Request")
}

func TestRetryRepeatsOnlyTheNotificationsStillOwed(t *testing.T) {
	t.Parallel()
	var failedOnce atomic.Bool
	sink := newEndpoint(t, func(body string, _ int) (int, http.Header) {
		switch {
		case strings.Contains(body, `"who":"b"`) && failedOnce.CompareAndSwap(false, true):
			return http.StatusBadGateway, nil
		case strings.Contains(body, `"who":"c"`):
			return http.StatusBadRequest, nil
		}
		return http.StatusOK, nil
	})
	config := webhook(sink.URL)
	for _, who := range []string{"a", "b", "c"} {
		config.Target.Alerts = append(config.Target.Alerts, alert.Config{Name: who, EventMetadata: map[string]string{"who": who}})
	}
	e := start(t, config)
	require.NoError(t, e.ConsumeLogs(context.Background(), event("webapp", "failed")))
	sink.waitFor(t, 4)
	e.stop(t)
	told := map[string]int{}
	for _, a := range sink.seen() {
		for _, who := range []string{"a", "b", "c"} {
			if strings.Contains(a.body, `"who":"`+who+`"`) {
				told[who]++
			}
		}
	}
	assert.Equal(t, map[string]int{"a": 1, "b": 2, "c": 1}, told)
	assert.Equal(t, map[string]int64{"sent": 2, "failed 400": 1}, e.counts(t))
}

func TestGivingUpIsCountedAndLogged(t *testing.T) {
	t.Parallel()
	sink := newEndpoint(t, func(string, int) (int, http.Header) { return http.StatusInternalServerError, nil })
	config := webhook(sink.URL)
	config.RetryConfig.MaxElapsedTime = time.Second // many times the interval, on a slow machine too
	e := start(t, config)
	require.NoError(t, e.ConsumeLogs(context.Background(), event("webapp", "failed")))
	require.Eventually(t, func() bool { return e.counts(t)["failed 500"] == 1 }, patience, 5*time.Millisecond)
	failures := e.logs.FilterLevelExact(zap.ErrorLevel).All()
	require.Len(t, failures, 1)
	assert.Contains(t, failures[0].ContextMap()["error"], "gave up after retry_on_failure::max_elapsed_time")
	assert.Greater(t, len(sink.seen()), 1)
}

func TestWithoutAQueueTheCallerLearnsWhichRecordsFailed(t *testing.T) {
	t.Parallel()
	sink := newEndpoint(t, func(body string, _ int) (int, http.Header) {
		if strings.Contains(body, `"name":"bad"`) {
			return http.StatusInternalServerError, nil
		}
		return http.StatusOK, nil
	})
	config := webhook(sink.URL)
	config.QueueConfig.Enabled = false
	config.RetryConfig.Enabled = false
	e := start(t, config)
	err := e.ConsumeLogs(context.Background(), batch("good", "bad", "fine"))
	var failed consumererror.Logs
	require.ErrorAs(t, err, &failed)
	require.Equal(t, 1, failed.Data().LogRecordCount())
	assert.Equal(t, "message of bad", failed.Data().ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0).Body().Str())
	assert.False(t, consumererror.IsPermanent(err))
	assert.Equal(t, map[string]int64{"sent": 2}, e.counts(t), "what the sender still has has not failed")
	assert.Empty(t, e.logs.FilterLevelExact(zap.ErrorLevel).All())
	assert.Len(t, e.logs.FilterMessage("delivery failed, the record is returned to the sender").All(), 1)
}

func TestWithoutAQueueAStopLosesNothing(t *testing.T) {
	t.Parallel()
	sink := newEndpoint(t, func(string, int) (int, http.Header) { return http.StatusInternalServerError, nil })
	config := webhook(sink.URL)
	config.QueueConfig.Enabled = false
	config.RetryConfig.InitialInterval = patience
	e := start(t, config)
	answer := make(chan error)
	go func() { answer <- e.ConsumeLogs(context.Background(), event("webapp", "failed")) }()
	sink.waitFor(t, 1)
	e.stop(t)
	err := <-answer
	require.Error(t, err)
	assert.False(t, consumererror.IsPermanent(err))
	assert.Empty(t, e.counts(t))
	assert.Empty(t, e.logs.FilterMessageSnippet("notification not sent").All())
}

func TestWithoutAQueueARefusalIsFinal(t *testing.T) {
	t.Parallel()
	sink := newEndpoint(t, func(string, int) (int, http.Header) { return http.StatusBadRequest, nil })
	config := webhook(sink.URL)
	config.QueueConfig.Enabled = false
	e := start(t, config)
	err := e.ConsumeLogs(context.Background(), event("webapp", "failed"))
	assert.True(t, consumererror.IsPermanent(err))
	assert.Equal(t, map[string]int64{"failed 400": 1}, e.counts(t))
	assert.Len(t, e.logs.FilterMessageSnippet("notification not sent").All(), 1)
}

func TestEveryNotificationIsBounded(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	sink := newEndpoint(t, func(string, int) (int, http.Header) { <-hang; return http.StatusOK, nil })
	t.Cleanup(func() { close(hang) })
	config := webhook(sink.URL)
	config.Target.ClientConfig.Timeout = 100 * time.Millisecond
	config.RetryConfig.Enabled = false
	e := start(t, config)
	require.NoError(t, e.ConsumeLogs(context.Background(), event("webapp", "failed")))
	require.Eventually(t, func() bool { return e.counts(t)["failed timeout"] == 1 }, patience, 5*time.Millisecond)
}

func TestConnectionsAreReusedAndBounded(t *testing.T) {
	t.Parallel()
	var connections atomic.Int64
	counted := &endpoint{}
	counted.Server = httptest.NewUnstartedServer(counted.handler(nil))
	counted.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	counted.Start()
	t.Cleanup(counted.Close)
	e := start(t, webhook(counted.URL))
	for i := range 300 {
		require.NoError(t, e.ConsumeLogs(context.Background(), event(fmt.Sprint("webapp", i), "failed")))
	}
	counted.waitFor(t, 300)
	assert.LessOrEqual(t, connections.Load(), int64(10))
}

func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	other := newEndpoint(t, nil)
	sink := newEndpoint(t, func(string, int) (int, http.Header) {
		return http.StatusFound, http.Header{"Location": {other.URL + "/login"}}
	})
	e := start(t, webhook(sink.URL))
	require.NoError(t, e.ConsumeLogs(context.Background(), event("webapp", "failed")))
	require.Eventually(t, func() bool { return e.counts(t)["failed 302"] == 1 }, patience, 5*time.Millisecond)
	assert.Empty(t, other.seen())
	assert.Contains(t, e.logs.FilterLevelExact(zap.ErrorLevel).All()[0].ContextMap()["error"], strings.TrimPrefix(other.URL, "http://"))
}

func TestRecordsThatAreTriedAgainHoldUpNobodyElse(t *testing.T) {
	t.Parallel()
	sink := newEndpoint(t, func(body string, _ int) (int, http.Header) {
		if strings.Contains(body, `"name":"bad`) {
			return http.StatusInternalServerError, nil
		}
		return http.StatusOK, nil
	})
	config := webhook(sink.URL)
	config.RetryConfig.InitialInterval, config.RetryConfig.MaxInterval = time.Hour, time.Hour
	e := start(t, config)
	for i := range 3 * config.QueueConfig.NumConsumers {
		require.NoError(t, e.ConsumeLogs(context.Background(), event(fmt.Sprint("bad", i), "failed")))
	}
	require.NoError(t, e.ConsumeLogs(context.Background(), event("good", "failed")))
	require.Eventually(t, func() bool { return e.counts(t)["sent"] == 1 }, patience, 5*time.Millisecond)
}

func TestARetryOfTheSecondRequestDoesNotRepeatTheFirst(t *testing.T) {
	t.Parallel()
	var failed atomic.Bool
	sink := newEndpoint(t, func(body string, _ int) (int, http.Header) {
		change := !strings.Contains(body, "event_action")
		if change && failed.CompareAndSwap(false, true) {
			return http.StatusInternalServerError, nil
		}
		return http.StatusAccepted, nil
	})
	config := webhook(sink.URL)
	config.Target.Type, config.Target.Channel = "pagerduty", "routing-key"
	e := start(t, config)
	require.NoError(t, e.ConsumeLogs(context.Background(), info(nil)))
	require.Eventually(t, func() bool { return e.counts(t)["sent"] == 1 }, patience, time.Millisecond)
	var resolved, changes int
	for _, a := range sink.seen() {
		if strings.Contains(a.body, `"event_action":"resolve"`) {
			resolved++
		} else {
			changes++
		}
	}
	assert.Equal(t, 1, resolved)
	assert.Equal(t, 2, changes)
}

func TestAThrottledEndpointIsNotMetByWhoWaitedForASlot(t *testing.T) {
	t.Parallel()
	answer := make(chan struct{})
	sink := newEndpoint(t, func(string, int) (int, http.Header) {
		<-answer
		return http.StatusTooManyRequests, http.Header{"Retry-After": {"3600"}}
	})
	config := webhook(sink.URL)
	config.QueueConfig.NumConsumers = 2
	e := start(t, config)
	for i := range 8 {
		require.NoError(t, e.ConsumeLogs(context.Background(), event(fmt.Sprint("webapp", i), "failed")))
	}
	sink.waitFor(t, 2)
	close(answer)
	require.Eventually(t, func() bool {
		return e.inner.targets[inlineTarget].dispatcher.Throttled() > 0 && len(sink.answered()) == 2
	}, patience, time.Millisecond)
	assert.Len(t, sink.seen(), 2)
}

func TestWithoutAQueueACallAfterTheStopFails(t *testing.T) {
	t.Parallel()
	sink := newEndpoint(t, nil)
	config := webhook(sink.URL)
	config.QueueConfig.Enabled = false
	e := start(t, config)
	e.stop(t)
	require.Error(t, e.ConsumeLogs(context.Background(), event("webapp", "failed")))
	assert.Empty(t, sink.seen())
}
