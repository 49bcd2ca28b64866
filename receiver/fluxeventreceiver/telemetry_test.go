package fluxeventreceiver

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configauth"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"

	"github.com/fluxnotify/otelcol-flux/receiver/fluxeventreceiver/internal/metadatatest"
)

// ignored is what differs from run to run.
var ignored = []metricdatatest.Option{metricdatatest.IgnoreTimestamp(), metricdatatest.IgnoreExemplars()}

func count(value int64, attributes ...attribute.KeyValue) []metricdata.DataPoint[int64] {
	return []metricdata.DataPoint[int64]{{Value: value, Attributes: attribute.NewSet(attributes...)}}
}

func refused(reasons map[string]int64) []metricdata.DataPoint[int64] {
	var points []metricdata.DataPoint[int64]
	for reason, value := range reasons {
		points = append(points, count(value, attribute.String("reason", reason))...)
	}
	return points
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	next := newGate()
	s := start(t, next, keys("key"), maxBody(1000))
	signed := func(body string) []string { return []string{"X-Signature", sign("sha256", "key", body)} }
	for _, answer := range []error{nil, nil, errFull, consumererror.NewPermanent(errFull)} {
		next.answers <- answer
	}
	for _, post := range []struct {
		body    string
		headers []string
		status  int
	}{
		{body(1), signed(body(1)), http.StatusAccepted},
		{body(2), signed(body(2)), http.StatusAccepted},
		{body(2), signed(body(2)), http.StatusTooManyRequests},
		{body(3), signed(body(3)), http.StatusServiceUnavailable},
		{body(3), signed(body(3)), http.StatusBadRequest},
		{body(4), nil, http.StatusUnauthorized},
		{body(4), signed(body(5)), http.StatusUnauthorized},
		{"{}", signed("{}"), http.StatusBadRequest},
		{strings.Repeat("x", 1001), nil, http.StatusRequestEntityTooLarge},
		{"x", []string{"Content-Encoding", "br"}, http.StatusBadRequest},
		{gzipped(t, body(1))[:30], []string{"Content-Encoding", "gzip"}, http.StatusBadRequest},
	} {
		assert.Equal(t, post.status, s.post(t, post.body, post.headers...).status, post.body)
	}
	metadatatest.AssertEqualReceiverFluxEventAccepted(t, s.telemetry, count(2), ignored...)
	metadatatest.AssertEqualReceiverFluxEventDuplicates(t, s.telemetry, count(1), ignored...)
	metadatatest.AssertEqualReceiverFluxEventRefused(t, s.telemetry, refused(map[string]int64{
		"pipeline": 2, "signature": 2, "not_an_event": 1, "too_large": 1, "encoding": 1, "unreadable": 1,
	}), ignored...)

	// The collector's own counters know of what was handed to the pipeline.
	of := []attribute.KeyValue{attribute.String("receiver", "flux_event"), attribute.String("transport", "http")}
	assertCounter(t, s, "otelcol_receiver_accepted_log_records", count(2, of...))
	assertCounter(t, s, "otelcol_receiver_refused_log_records", count(2, of...))
}

func assertCounter(t *testing.T, s *service, name string, want []metricdata.DataPoint[int64]) {
	t.Helper()
	got, err := s.telemetry.GetMetric(name)
	require.NoError(t, err)
	sum, ok := got.Data.(metricdata.Sum[int64])
	require.True(t, ok)
	metricdatatest.AssertEqual(t, metricdata.Sum[int64]{Temporality: sum.Temporality, IsMonotonic: true, DataPoints: want},
		sum, ignored...)
}

// doorkeeper is an authentication extension.
type doorkeeper struct{ component.Component }

func (doorkeeper) Authenticate(ctx context.Context, sources map[string][]string) (context.Context, error) {
	if len(sources["Authorization"]) == 0 {
		return ctx, errors.New("no credentials")
	}
	return ctx, nil
}

func TestAuthentication(t *testing.T) {
	t.Parallel()
	id := component.MustNewID("doorkeeper")
	s := startIn(t, host{id: doorkeeper{}}, consumertest.NewNop(), func(c *Config) {
		c.ServerConfig.Auth = configoptional.Some(confighttp.AuthConfig{Config: configauth.Config{AuthenticatorID: id}})
	})
	assertLine(t, http.StatusUnauthorized, "no credentials", s.post(t, body(1)))
	metadatatest.AssertEqualReceiverFluxEventRefused(t, s.telemetry, refused(map[string]int64{"authentication": 1}), ignored...)
	assert.Equal(t, http.StatusAccepted, s.post(t, body(1), "Authorization", "x").status)
}

// Every reason that the code counts is one that the documentation names.
func TestReasonsAreDocumented(t *testing.T) {
	t.Parallel()
	documented := documentedReasons(t)
	for _, reason := range []string{
		reasonNotAnEvent, reasonAuthentication, reasonSignature, reasonTooLarge, reasonEncoding, reasonUnreadable, reasonPipeline,
	} {
		assert.Contains(t, documented, reason)
	}
	assert.Len(t, documented, 7)
}

func documentedReasons(t *testing.T) []any {
	t.Helper()
	metadata, err := confmaptest.LoadConf("metadata.yaml")
	require.NoError(t, err)
	reasons, ok := metadata.Get("attributes::reason::enum").([]any)
	require.True(t, ok)
	return reasons
}
