package otel

import (
	"mime"

	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// judge finds the rejection in a success: an endpoint answers 200 to what it
// took in part, and the part that it did not take is all that there was. It must
// not be repeated (https://opentelemetry.io/docs/specs/otlp/#partial-success-1).
func judge(a httpsend.Answer) (verdict *notify.Error, ok bool) {
	if a.Status < 200 || a.Status >= 300 || len(a.Body) == 0 {
		return nil, false
	}
	response := ptraceotlp.NewExportResponse()
	read := response.UnmarshalProto
	if mediaType(a) == "application/json" {
		read = response.UnmarshalJSON
	}
	if err := read(a.Body); err != nil || response.PartialSuccess().RejectedSpans() <= 0 {
		return nil, false
	}
	reason := response.PartialSuccess().ErrorMessage()
	if reason == "" {
		reason = "no reason given"
	}
	return notify.Permanentf("partial_success", "rejected the span: %s", reason), true
}

// words are the message in the protobuf with which an endpoint refuses
// (https://opentelemetry.io/docs/specs/otlp/#failures-1).
func words(a httpsend.Answer) []byte {
	if mediaType(a) != asProtobuf[0] {
		return a.Body
	}
	var refusal status.Status
	if err := proto.Unmarshal(a.Body, &refusal); err != nil {
		return a.Body
	}
	return []byte(refusal.GetMessage())
}

func mediaType(a httpsend.Answer) string {
	media, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type"))
	return media
}

// Show writes a body of this type as OTLP's JSON.
func Show(body []byte) ([]byte, error) {
	request := ptraceotlp.NewExportRequest()
	if err := request.UnmarshalProto(body); err != nil {
		return nil, err
	}
	return request.MarshalJSON()
}
