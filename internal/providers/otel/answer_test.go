package otel_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	collectorpb "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	rpc "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/otel"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

const asProtobuf, asJSON = "application/x-protobuf", "application/json; charset=utf-8"

func inProtobuf(t *testing.T, m proto.Message) []byte {
	t.Helper()
	body, err := proto.Marshal(m)
	require.NoError(t, err)
	return body
}

func inJSON(t *testing.T, m proto.Message) []byte {
	t.Helper()
	body, err := protojson.Marshal(m)
	require.NoError(t, err)
	return body
}

func partial(rejected int64, words string) *collectorpb.ExportTraceServiceResponse {
	return &collectorpb.ExportTraceServiceResponse{
		PartialSuccess: &collectorpb.ExportTracePartialSuccess{RejectedSpans: rejected, ErrorMessage: words},
	}
}

func TestSuccesses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		contentType string
		body        []byte
	}{
		"nothing":             {asProtobuf, nil},
		"an empty message":    {asProtobuf, inProtobuf(t, &collectorpb.ExportTraceServiceResponse{})},
		"an empty object":     {asJSON, []byte("{}")},
		"a warning":           {asProtobuf, inProtobuf(t, partial(0, "use the other region"))},
		"a warning as JSON":   {asJSON, inJSON(t, partial(0, "use the other region"))},
		"words":               {"text/plain", []byte("ok, thank you")},
		"broken JSON":         {asJSON, []byte(`{"partialSuccess":{"rejectedSpans":`)},
		"JSON as the default": {"", []byte(`{"partialSuccess":{}}`)},
	} {
		p := provider(t, notify.Settings{Address: answering(t, 200, c.contentType, c.body)})
		assert.NoError(t, p.Deliver(t.Context(), providertest.Payload(t, p)), name)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	refusal := &rpc.Status{Code: 3, Message: "the tenant is over its limit of attributes"}
	for name, c := range map[string]struct {
		status      int
		contentType string
		body        []byte
		class       notify.Class
		errorType   string
		says        string
	}{
		"rejected":            {200, asProtobuf, inProtobuf(t, partial(1, "the span is too old")), notify.Permanent, "partial_success", "rejected the span: the span is too old"},
		"rejected, in JSON":   {200, asJSON, inJSON(t, partial(1, "the span is too old")), notify.Permanent, "partial_success", "rejected the span: the span is too old"},
		"rejected, no reason": {202, asProtobuf, inProtobuf(t, partial(1, "")), notify.Permanent, "partial_success", "rejected the span: no reason given"},
		"bad request":         {400, asProtobuf, inProtobuf(t, refusal), notify.Permanent, "400", "answered 400 Bad Request: " + refusal.Message},
		"bad request, JSON":   {400, asJSON, inJSON(t, refusal), notify.Permanent, "400", refusal.Message},
		"bad request, text":   {400, "text/plain", []byte("no such tenant"), notify.Permanent, "400", "answered 400 Bad Request: no such tenant"},
		"bad request, broken": {400, asProtobuf, []byte("no protobuf"), notify.Permanent, "400", "answered 400 Bad Request: no protobuf"},
		"too many":            {429, asProtobuf, inProtobuf(t, refusal), notify.Throttled, "429", refusal.Message},
		"bad gateway":         {502, "text/html", []byte("<h1>bad gateway</h1>"), notify.Retryable, "502", "bad gateway"},
		"unavailable":         {503, asProtobuf, inProtobuf(t, refusal), notify.Retryable, "503", refusal.Message},
		"gateway timeout":     {504, asProtobuf, nil, notify.Retryable, "504", "answered 504 Gateway Timeout"},
	} {
		p := provider(t, notify.Settings{Address: answering(t, c.status, c.contentType, c.body)})
		var e *notify.Error
		require.ErrorAs(t, p.Deliver(t.Context(), providertest.Payload(t, p)), &e, name)
		assert.Equal(t, c.class, e.Class, name)
		assert.Equal(t, c.errorType, e.Type, name)
		assert.Contains(t, e.Error(), c.says, name)
	}
}

func TestWordsHoldNoSecret(t *testing.T) {
	t.Parallel()
	const token = "s3cr3t-token-0123456789"
	for name, body := range map[string][]byte{
		"rejection": inProtobuf(t, partial(1, "token "+token+" is not yours")),
		"refusal":   inProtobuf(t, &rpc.Status{Message: "token " + token + " is not yours"}),
	} {
		status := 200
		if name == "refusal" {
			status = 401
		}
		p := provider(t, notify.Settings{Address: answering(t, status, asProtobuf, body), Token: token})
		err := p.Deliver(t.Context(), providertest.Payload(t, p))
		require.ErrorContains(t, err, "token [REDACTED] is not yours", name)
		assert.NotContains(t, err.Error(), token)
	}
}

func TestShow(t *testing.T) {
	t.Parallel()
	shown, err := otel.Show(nil)
	require.NoError(t, err)
	assert.True(t, json.Valid(shown))
	_, err = otel.Show([]byte("no protobuf"))
	require.Error(t, err)
}
