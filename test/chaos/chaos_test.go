package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// TestMain lets this binary play the processes, as the command does.
func TestMain(m *testing.M) {
	if played, err := role(os.Args); played {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

func shortForm(t *testing.T) options {
	t.Helper()
	o := options{
		collector: "../../_build/otelcol-flux", configs: "../../config",
		seed: uint64(time.Now().UnixNano()), keep: t.TempDir(),
	}
	if path := os.Getenv("OTELCOL_FLUX"); path != "" {
		o.collector = path
	}
	require.NoError(t, o.absolute())
	t.Logf("seed %d", o.seed)
	return o
}

// Every row of the table, in seconds.
func TestNothingAcceptedIsLost(t *testing.T) {
	t.Parallel()
	o := shortForm(t)
	results := perform(context.Background(), o, scenarios, 4, false)
	var table bytes.Buffer
	printTable(&table, results)
	t.Log("\n" + table.String())
	require.NoError(t, failures(results))
	for _, r := range results {
		if r.err == nil {
			assert.Positive(t, r.count.accepted, "%s shows nothing", r.name)
		}
	}
}

// A ledger that saw no loss where there is one would prove nothing, nor would one
// that saw no disorder and no repetition.
func TestTheTableSeesLosses(t *testing.T) {
	t.Parallel()
	o := shortForm(t)
	rows := chosen(regexp.MustCompile("answers 500"))
	require.Len(t, rows, 1)
	for _, r := range perform(context.Background(), o, rows, 1, true) {
		require.NoError(t, r.err)
		assert.Positive(t, r.count.lost)
		require.ErrorContains(t, r.count.judge(kafka), "accepted and lost")
	}
	for name, c := range map[string]struct {
		order   []int
		verdict string
		allowed allowance
	}{
		"in order": {[]int{0, 1, 2}, "", nothing},
		"twice":    {[]int{0, 1, 1, 2}, "1 events arrived twice, and nothing was killed", repeat},
		"passed":   {[]int{1, 0, 2}, "1 events were overtaken by a later one of their object", kafka},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := newStage(o, name)
			require.NoError(t, err)
			defer s.close()
			for range 3 {
				s.ledger.answer(s.ledger.next(), http.StatusAccepted, "")
			}
			for _, n := range c.order {
				res, err := http.Post(s.sink.url(), "application/json", strings.NewReader(newBody(n, 7)))
				require.NoError(t, err)
				require.NoError(t, res.Body.Close())
			}
			s.may = c.allowed
			require.NoError(t, s.verdict())
			if s.may = nothing; c.verdict != "" {
				require.EqualError(t, s.verdict(), c.verdict)
			}
		})
	}
}

// Only rows that kill something or break connections may deliver twice, and none
// but those with Kafka may change the order.
func TestWhatRowsMay(t *testing.T) {
	t.Parallel()
	strict := 0
	for _, row := range scenarios {
		assert.Equal(t, strings.Contains(row.name, "Kafka"), row.may.overtake, row.name)
		if row.may == nothing {
			strict++
		}
	}
	assert.GreaterOrEqual(t, strict, 7)
}

// The watch over a load runs, and loses nothing. Some seconds say nothing about
// what grows.
func TestSoak(t *testing.T) {
	t.Parallel()
	_, err := soak(context.Background(), shortForm(t), watch{length: 3 * time.Second, every: time.Second, rate: 100, burst: 3000})
	require.NoError(t, err)
}

// The collector's own metrics count what waits in the queues of all exporters.
func TestVitalsCountWhatWaits(t *testing.T) {
	t.Parallel()
	s, err := newStage(shortForm(t), "vitals")
	require.NoError(t, err)
	defer s.close()
	s.sink.down()
	metrics, err := freePort()
	require.NoError(t, err)
	ctx := context.Background()
	c, err := s.start(ctx, settings{metrics: metrics, exporters: map[string]yamlMap{"flux_notify/a": s.webhook(nil), "flux_notify/b": s.webhook(nil)}})
	require.NoError(t, err)
	d := newDriver(c.address, s.rate, s.ledger)
	defer d.client.CloseIdleConnections()
	d.each(ctx, 20)
	v, err := vitalsOf(c.pid(), metrics)
	require.NoError(t, err)
	assert.Equal(t, 40, v.waiting)
	assert.Positive(t, v.rss)
	assert.Positive(t, v.sockets)
}

func TestLedger(t *testing.T) {
	t.Parallel()
	l := newLedger()
	first, second, third := l.next(), l.next(), l.next()
	assert.False(t, l.answer(first, noAnswer, ""))
	assert.False(t, l.answer(first, 503, "5"))
	assert.True(t, l.answer(first, 202, ""))
	assert.True(t, l.answer(second, 429, ""), "known: it was accepted before")
	assert.Equal(t, 2, l.missing())
	l.arrival(second, 1)
	l.arrival(first, 1)
	l.arrival(first, 1)
	l.arrival(99, 1)
	assert.False(t, l.answer(third, 503, ""))
	c := l.count()
	c.delay = 0
	assert.Equal(t, count{
		sent: 3, accepted: 1, known: 1, refused: 2, unanswered: 1, arrived: 2, twice: 1, passed: 1, never: 1, rude: 1,
	}, c)
}
