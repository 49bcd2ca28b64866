package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/fluxnotify/otelcol-flux/internal/target"
	"github.com/fluxnotify/otelcol-flux/internal/text"
)

// The output of render, as JSON.
type (
	renderedEvent struct {
		Event     string             `json:"event"`
		Object    string             `json:"object"`
		Reason    string             `json:"reason"`
		Severity  string             `json:"severity"`
		Exporters []renderedExporter `json:"exporters"`
	}
	renderedExporter struct {
		Exporter string          `json:"exporter"`
		Provider string          `json:"provider,omitempty"`
		Type     string          `json:"type"`
		Rule     string          `json:"rule,omitempty"`
		Why      string          `json:"why,omitempty"`
		Fails    string          `json:"fails,omitempty"`
		Alerts   []renderedAlert `json:"alerts,omitempty"`
	}
	renderedAlert struct {
		Alert    string            `json:"alert,omitempty"`
		Rule     string            `json:"rule,omitempty"`
		Why      string            `json:"why,omitempty"`
		Fails    string            `json:"fails,omitempty"`
		Requests []renderedRequest `json:"requests,omitempty"`
	}
	renderedRequest struct {
		Method     string           `json:"method,omitempty"`
		URL        string           `json:"url,omitempty"`
		Address    string           `json:"address,omitempty"`
		Channel    string           `json:"channel,omitempty"`
		Headers    []renderedHeader `json:"headers,omitempty"`
		Key        string           `json:"key,omitempty"`
		Object     string           `json:"object,omitempty"`
		ReadsFirst []string         `json:"reads_first,omitempty"`
		Fails      string           `json:"fails,omitempty"`
		// Body is what is sent, where that is text; Bytes where it is not.
		Body  string `json:"body,omitempty"`
		Bytes []byte `json:"bytes,omitempty"`
		// Shown is what such a body says.
		Shown json.RawMessage `json:"shown,omitempty"`
	}
	renderedHeader struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
)

func newRenderedEvent(e *namedEvent) renderedEvent {
	o := e.event.InvolvedObject
	return renderedEvent{
		Event: e.name, Object: o.Kind + "/" + o.Namespace + "/" + o.Name,
		Reason: e.event.Reason, Severity: e.event.Severity,
	}
}

func newRenderedExporter(name, providerType string, d target.Decision) renderedExporter {
	r := renderedExporter{Exporter: name, Type: providerType, Rule: d.Rule, Why: d.Why}
	for _, a := range d.Alerts {
		shown := renderedAlert{Alert: strings.Trim(a.Namespace+"/"+a.Name, "/"), Rule: a.Rule, Why: a.Why, Fails: a.Fails}
		for _, request := range a.Requests {
			shown.Requests = append(shown.Requests, newRenderedRequest(request))
		}
		r.Alerts = append(r.Alerts, shown)
	}
	return r
}

func newRenderedRequest(r target.Request) renderedRequest {
	shown := renderedRequest{
		Method: r.Method, URL: r.URL, Address: r.Address, Channel: r.Channel, Key: r.Key, Object: r.Object,
		ReadsFirst: r.ReadsFirst, Fails: r.Fails, Shown: r.Shown,
	}
	for _, h := range r.Headers {
		shown.Headers = append(shown.Headers, renderedHeader{h.Name, h.Value})
	}
	if utf8.Valid(r.Body) && r.Shown == nil {
		shown.Body = string(r.Body)
	} else {
		shown.Bytes = r.Body
	}
	return shown
}

// fails is true if a notification of the event would fail for a reason that is known
// already.
func (r renderedEvent) fails() bool {
	return slices.ContainsFunc(r.Exporters, func(e renderedExporter) bool {
		return e.Fails != "" || slices.ContainsFunc(e.Alerts, func(a renderedAlert) bool {
			return a.Fails != "" || slices.ContainsFunc(a.Requests, func(r renderedRequest) bool { return r.Fails != "" })
		})
	})
}

func printRendered(w io.Writer, events []renderedEvent, f format) error {
	if f == asJSON {
		return printJSON(w, events)
	}
	p := newPainter(w)
	var b strings.Builder
	for i, e := range events {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s: %s %s %s\n", p.paint(bold, e.Event), text.Printable(e.Severity), text.Printable(e.Reason), text.Printable(e.Object))
		for _, exporter := range e.Exporters {
			exporter.print(&b, p)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (e *renderedExporter) print(b *strings.Builder, p painter) {
	name := e.Exporter
	if e.Provider != "" {
		name += " " + e.Provider
	}
	fmt.Fprintf(b, "  %s (%s)%s\n", p.paint(bold, name), e.Type, filteredBy(p, e.Rule, e.Why)+e.failure(p))
	for _, a := range e.Alerts {
		name := "    "
		if a.Alert != "" {
			name += "alert " + a.Alert
		} else {
			name += "no alerts, so everything"
		}
		switch {
		case a.Rule != "":
			b.WriteString(name + filteredBy(p, a.Rule, a.Why) + "\n")
		case a.Fails != "":
			b.WriteString(name + ": " + p.paint(red, "fails: ") + text.Printable(a.Fails) + "\n")
		case len(a.Requests) == 0:
			b.WriteString(name + ": nothing to send, the type does not send this event\n")
		default:
			b.WriteString(name + ": " + p.paint(green, "would send") + "\n")
		}
		for _, r := range a.Requests {
			r.print(b, p)
		}
	}
}

func (e *renderedExporter) failure(p painter) string {
	if e.Fails == "" {
		return ""
	}
	return ": " + p.paint(red, "fails: ") + text.Printable(e.Fails)
}

func filteredBy(p painter, rule, why string) string {
	if rule == "" {
		return ""
	}
	if why != "" {
		why = ": " + text.Printable(why)
	}
	return ": " + p.paint(yellow, "filtered") + " by " + rule + why
}

// Lines of a request stand below its alert.
const requestMargin = 6

func (r *renderedRequest) print(b *strings.Builder, p painter) {
	var lines strings.Builder
	for _, read := range r.ReadsFirst {
		lines.WriteString("reads first: " + read + " (its answer may change what is sent)\n")
	}
	if r.Fails != "" {
		lines.WriteString(p.paint(red, "fails: ") + text.Printable(r.Fails) + "\n")
	}
	if r.Method+r.URL != "" {
		lines.WriteString(strings.TrimSpace(r.Method+" "+r.URL) + "\n")
	}
	for _, h := range r.Headers {
		lines.WriteString(h.Name + ": " + text.Printable(h.Value) + "\n")
	}
	for _, field := range []struct{ name, value string }{{"address", r.Address}, {"channel", r.Channel}, {"key", r.Key}, {"object", r.Object}} {
		if field.value != "" {
			lines.WriteString(field.name + " " + text.Printable(field.value) + "\n")
		}
	}
	body := harmless(pretty([]byte(r.Body)))
	switch {
	case r.Shown != nil:
		body = fmt.Sprintf("(%d bytes, which say:)\n", len(r.Bytes)) + harmless(pretty(r.Shown))
	case r.Bytes != nil:
		body = fmt.Sprintf("(%d bytes that are no text: -o json has them)", len(r.Bytes))
	}
	lines.WriteString("\n" + cmp.Or(body, "(no body)") + "\n")
	b.WriteString(indented(lines.String(), requestMargin))
}
