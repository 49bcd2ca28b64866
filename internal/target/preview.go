package target

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.uber.org/zap"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// previewTime bounds what a provider does before it would send. Nothing that
// it asks is answered.
const previewTime = 5 * time.Second

// Preview shows what an exporter would send, and sends nothing. It decides,
// renders and makes requests with the code that delivers; in the place of the
// network is something that only remembers. Nothing that it shows is secret.
type Preview struct {
	*Matcher
	settings  notify.Settings
	provider  notify.Provider
	recorder  *recorder
	redaction httpsend.Redaction
	missing   []string
	reads     []string // at the start
	warnings  []string
}

// Decision is what becomes of an event.
type Decision struct {
	// Rule leaves the event out before any alert is asked, and Why says what that
	// means. Empty: alerts are asked.
	Rule, Why string
	Alerts    []AlertDecision
}

// AlertDecision is what one alert makes of an event. An exporter without alerts
// has one that has no name.
type AlertDecision struct {
	Namespace, Name string
	// Rule leaves the event out, and Why says what in it. Empty: it is told.
	Rule, Why string
	Requests  []Request
	// Fails is why nothing can be rendered.
	Fails string
}

// Request is what would be sent, its secrets masked.
type Request struct {
	// Method, URL and Headers are of an HTTP request.
	Method, URL string
	Headers     []notify.Header
	// Address and Channel are where a message to a bus would go. Key tells its
	// repetitions from others, Object is what its order or partition goes by.
	Address, Channel, Key, Object string
	Body                          []byte
	// Shown is the body as JSON, for people, where it is no text.
	Shown []byte
	// ReadsFirst is what is read from the endpoint before. Where that is not empty
	// the answer may change what is sent.
	ReadsFirst []string
	// Fails is why the delivery would fail without asking the endpoint.
	Fails string
}

// NewPreview makes a preview of the exporter with the given ID.
func NewPreview(ctx context.Context, id component.ID, config *Config) (*Preview, error) {
	d, err := NewMatcher(config, zap.NewNop())
	if err != nil {
		return nil, err
	}
	r, err := config.resolve(d.row, config.Identity(id))
	if err != nil {
		return nil, err
	}
	r.settings.Name = config.providerName(id)
	p := &Preview{Matcher: d, settings: r.settings, recorder: &recorder{}, missing: r.missing, warnings: r.warnings}
	use := clientUse{tap: &transportTap{instead: p.recorder}, width: 1, alone: true}
	if p.provider, err = newProvider(ctx, d.row, r, nil, component.TelemetrySettings{Logger: zap.NewNop()}, use); err != nil {
		return nil, err
	}
	secret := r.settings
	if d.row.SecretChannel {
		secret.Secrets = maps.Clone(secret.Secrets)
		secret.Secrets["channel"] = secret.Channel
	}
	p.redaction = httpsend.NewRedaction(secret, d.row.OpenAddress)
	return p, p.start(ctx)
}

// start notes what the provider asks at its start. A bus would be dialled by it.
func (p *Preview) start(ctx context.Context) error {
	starter, ok := p.provider.(notify.Starter)
	if !ok || p.row.Bus {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, previewTime)
	defer cancel()
	err := starter.Start(ctx)
	p.reads = p.asked(p.recorder.take())
	return err
}

// Warnings tell what is wrong with the configuration, and does not stop it.
func (p *Preview) Warnings() []string { return p.warnings }

// Shutdown ends the preview.
func (p *Preview) Shutdown(ctx context.Context) error {
	if stopper, ok := p.provider.(notify.Stopper); ok {
		return stopper.Shutdown(ctx)
	}
	return nil
}

// Of says what would become of an event that the receiver has taken just now.
func (p *Preview) Of(ctx context.Context, event *fluxevent.Event) Decision {
	received := *event
	received.Cluster = cmp.Or(event.Cluster, strings.TrimSpace(event.Metadata[fluxevent.ClusterKey]))
	logs := fluxevent.ToLogs(&received, time.Now()).ResourceLogs().At(0)
	event = fluxevent.FromRecord(logs.Resource(), logs.ScopeLogs().At(0).LogRecords().At(0), plog.SeverityNumberError)
	verdicts, rule := p.verdicts(event)
	decision := Decision{Rule: rule, Why: notify.Explain(rule)}
	if p.suspend {
		decision.Why = "the exporter is suspended"
	}
	for _, v := range verdicts {
		decision.Alerts = append(decision.Alerts, p.show(ctx, event, v))
	}
	return decision
}

func (p *Preview) show(ctx context.Context, event *fluxevent.Event, v verdict) AlertDecision {
	var shown AlertDecision
	if v.alert != nil {
		shown.Namespace, shown.Name = v.alert.Ref().Namespace, v.alert.Ref().Name
	}
	if v.notification == nil {
		shown.Rule, shown.Why = v.rule, v.alert.Explain(event, v.rule)
		return shown
	}
	payloads, err := Render(p.provider, v.notification)
	if err != nil {
		shown.Fails = err.Error()
	}
	for _, payload := range payloads {
		shown.Requests = append(shown.Requests, p.request(ctx, payload))
	}
	return shown
}

// request gives the request that a payload leads to. Where something else is
// asked before, it is the payload that is shown: what would be said.
func (p *Preview) request(ctx context.Context, payload notify.Payload) Request {
	shown := Request{
		Method: payload.Method, Key: payload.Key, Object: payload.Object, Body: p.redaction.Body(payload.Body),
		Fails: strings.Join(p.missing, ", "),
	}
	if p.row.Show != nil {
		if readable, err := p.row.Show(payload.Body); err == nil {
			shown.Shown = p.redaction.Body(readable)
		}
	}
	if p.row.Bus {
		shown.Address, shown.Channel = p.redaction.Address(p.settings.Address), p.settings.Channel
		return shown
	}
	shown.ReadsFirst = p.reads
	ctx, cancel := context.WithTimeout(ctx, previewTime)
	defer cancel()
	err := p.provider.Deliver(ctx, payload)
	asked := p.recorder.take()
	switch {
	case len(asked) > 0 && is(asked[0], payload):
		shown.URL = p.redaction.URL(asked[0].URL, payload.Path)
		shown.Headers = p.headers(asked[0])
		return shown
	case len(asked) > 0:
		shown.ReadsFirst = append(slices.Clone(p.reads), p.asked(asked[:1])...)
	case err != nil && shown.Fails == "":
		shown.Fails = err.Error()
	}
	shown.URL = payload.Path
	for name, values := range payload.Header {
		for _, value := range values {
			shown.Headers = append(shown.Headers, notify.Header{Name: name, Value: value})
		}
	}
	sortHeaders(shown.Headers)
	return shown
}

// is reports whether a request is the payload itself. A compressed one is.
func is(r recorded, payload notify.Payload) bool {
	return payload.Method != "" && r.Method == payload.Method &&
		(bytes.Equal(r.body, payload.Body) || r.Header.Get("Content-Encoding") != "")
}

func (p *Preview) headers(r recorded) []notify.Header {
	var headers []notify.Header
	for name, values := range r.Header {
		for _, value := range values {
			headers = append(headers, notify.Header{Name: name, Value: p.redaction.Header(name, value)})
		}
	}
	sortHeaders(headers)
	return headers
}

func sortHeaders(headers []notify.Header) {
	slices.SortFunc(headers, func(a, b notify.Header) int { return strings.Compare(a.Name+a.Value, b.Name+b.Value) })
}

func (p *Preview) asked(requests []recorded) []string {
	texts := make([]string, len(requests))
	for i, r := range requests {
		texts[i] = r.Method + " " + p.redaction.URL(r.URL, "")
	}
	return texts
}
