// Package otel sends every event as a span to an OTLP/HTTP endpoint. The events
// of one revision, as one alert sees them, are one trace.
//
// Nothing is escaped: an attribute is data. Nothing is cut either: OTLP has no
// limit, and a backend cuts what is too long for itself.
package otel

import (
	"net/http"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	semconv "go.opentelemetry.io/otel/semconv/v1.34.0"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/fluxtrace"
	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

const (
	// tracesPath is where an address without a path leads
	// (https://opentelemetry.io/docs/specs/otlp/#otlphttp-request).
	tracesPath = "/v1/traces"
	// scope is the instrumentation scope of Flux's spans: they are the same
	// ones, whoever sends them.
	scope = "flux:notification-controller"
	// serviceName is the service of an exporter without alerts.
	serviceName = "fluxnotify"
)

// The trace is not this process's own, though no span of it is the parent.
const flags = fluxtrace.Sampled | fluxtrace.ParentKnown | fluxtrace.ParentRemote

var asProtobuf = []string{"application/x-protobuf"}

// Provider sends to one endpoint.
type Provider struct {
	*httpsend.Target
	path string
	uid  string
}

// New makes a provider of the address of a traces endpoint; one without a path
// gets that of the protocol. Credentials are an Authorization among the headers,
// else a bearer token, else user name and password, else those in the address.
func New(s notify.Settings) (notify.Provider, error) {
	address, err := httpsend.ParseAddress(s.Address)
	if err != nil {
		return nil, err
	}
	p := &Provider{uid: s.UID}
	if address.Path == "" || address.Path == "/" {
		p.path = tracesPath
	}
	p.Target, err = httpsend.New(s, httpsend.Options{
		Header: httpsend.OperatorHeader(s.Headers),
		Sign:   sign(s),
		Judge:  judge,
		Words:  words,
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

func sign(s notify.Settings) func(*http.Request, []byte) {
	return func(r *http.Request, _ []byte) {
		switch {
		case r.Header.Get("Authorization") != "":
		case s.Token != "":
			r.Header.Set("Authorization", "Bearer "+s.Token)
		case s.Username != "":
			r.SetBasicAuth(s.Username, s.Password)
		case s.Password != "": // without a user it is a token, as in Flux
			r.Header.Set("Authorization", "Bearer "+s.Password)
		}
	}
}

// Render implements notify.Provider.
func (p *Provider) Render(n *notify.Notification) ([]notify.Payload, error) {
	traces := ptrace.NewTraces()
	resourceSpans := traces.ResourceSpans().AppendEmpty()
	resourceSpans.SetSchemaUrl(semconv.SchemaURL)
	identity := p.identify(resourceSpans.Resource().Attributes(), n.Alert)
	scopeSpans := resourceSpans.ScopeSpans().AppendEmpty()
	scopeSpans.Scope().SetName(scope)

	trace := fluxtrace.TraceID(identity, revision(n.Event.Metadata))
	span := scopeSpans.Spans().AppendEmpty()
	span.SetTraceID(trace)
	span.SetSpanID(fluxtrace.SpanID(trace, n))
	span.SetFlags(flags)
	fluxtrace.Fill(span, n)

	body, err := ptraceotlp.NewExportRequestFromTraces(traces).MarshalProto()
	if err != nil {
		return nil, err
	}
	return []notify.Payload{{
		Method: http.MethodPost, Path: p.path, Body: body,
		Header: http.Header{"Content-Type": asProtobuf},
	}}, nil
}

// identify writes the resource and gives the identity of its traces. Without an
// alert both are the provider's own.
func (p *Provider) identify(resource pcommon.Map, alert notify.Alert) string {
	name, uid := alert.Name, alert.UID
	if alert.Namespace != "" {
		name = alert.Namespace + "/" + name
	}
	if alert == (notify.Alert{}) {
		name, uid = serviceName, p.uid
	}
	resource.PutStr(string(semconv.ServiceInstanceIDKey), uid)
	resource.PutStr(string(semconv.ServiceNameKey), name)
	if alert.Namespace != "" {
		resource.PutStr(string(semconv.ServiceNamespaceKey), alert.Namespace)
	}
	return uid
}

// revision is what names a trace. A chart from an OCI registry is named as its
// OCIRepository names it, so that both are one trace.
func revision(metadata map[string]string) string {
	version, digest := metadata["app-version"], metadata["oci-digest"]
	if version != "" && digest != "" {
		return version + "@" + digest
	}
	if r := metadata["revision"]; r != "" {
		return r
	}
	return "unknown"
}

// Skips is for the table.
func Skips(e *fluxevent.Event) (rule string, skip bool) {
	return notify.RuleHelmRepository, !fluxtrace.Traceable(e)
}

var _ notify.Provider = (*Provider)(nil)
