package providertest

import (
	"encoding/json"
	"maps"
	"mime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers"
)

// Pure proves that rendering gives the same bytes however often and from
// however many goroutines, and leaves the notification as it was.
func Pure(t *testing.T, row providers.Row) {
	t.Helper()
	const renditions, goroutines = 100, 4
	p := Sample(t, row)
	events := Events(t)
	for _, name := range slices.Sorted(maps.Keys(events)) {
		e := OnChangeRequest(row, events[name])
		shared, untouched := Notification(t, e), Notification(t, e)
		want, err := p.Render(shared)
		require.NoError(t, err)
		got := make([][]notify.Payload, renditions)
		var group sync.WaitGroup
		for g := range goroutines {
			group.Go(func() {
				for i := g; i < renditions; i += goroutines {
					n := shared
					if i%10 == 0 {
						// Made anew, for maps that change their order.
						n = Notification(t, e)
					}
					payloads, err := p.Render(n)
					if !assert.NoError(t, err) {
						return
					}
					got[i] = payloads
				}
			})
		}
		group.Wait()
		for _, payloads := range got {
			require.Equal(t, want, payloads, name)
		}
		require.Equal(t, untouched, shared, "%s: Render has changed the notification", name)
	}
}

// Hostile are events as no controller makes them, but somebody else can.
func Hostile() map[string]fluxevent.Event {
	base := func(change func(*fluxevent.Event)) fluxevent.Event {
		e := fluxevent.Event{
			InvolvedObject: fluxevent.Object{
				Kind: "Kustomization", Namespace: "apps", Name: "webapp",
				UID: "7d0cdc51-ddcf-4743-b223-83ca5c699632", APIVersion: "kustomize.toolkit.fluxcd.io/v1",
			},
			Severity: fluxevent.SeverityError, Timestamp: fluxevent.NewTime(Observed), Observed: Observed,
			Message: "apply failed", Reason: "ReconciliationFailed", ReportingController: "kustomize-controller",
			Metadata: map[string]string{fluxevent.Group + "/revision": "main@sha1:5394cb7f48332b2de7c17dd8b8384bbc84b7e738"},
		}
		change(&e)
		return e
	}
	everywhere := func(s string) func(*fluxevent.Event) {
		return func(e *fluxevent.Event) {
			e.Message, e.Reason, e.ReportingController, e.ReportingInstance = s, s, s, s
			o := &e.InvolvedObject
			o.Kind, o.Namespace, o.Name, o.UID, o.APIVersion, o.ResourceVersion, o.FieldPath = s, s, s, s, s, s, s
			e.Metadata = map[string]string{fluxevent.Group + "/" + s: s, fluxevent.Group + "/summary": s}
		}
	}
	return map[string]fluxevent.Event{
		"long message":      base(func(e *fluxevent.Event) { e.Message = strings.Repeat("0123456789", 4096) }),
		"long wide message": base(func(e *fluxevent.Event) { e.Message = strings.Repeat("部署🚀", 4096) }),
		"long markup":       base(func(e *fluxevent.Event) { e.Message = strings.Repeat("<&>*_`", 8000) }),
		"long names": base(func(e *fluxevent.Event) {
			long := strings.Repeat("n", 253)
			o := &e.InvolvedObject
			o.Kind, o.Namespace, o.Name, e.Reason, e.ReportingController = long, long, long, long, long
		}),
		"much metadata": base(func(e *fluxevent.Event) {
			for i := range 200 {
				key := fluxevent.Group + "/key-" + strings.Repeat("k", i)
				e.Metadata[key] = strings.Repeat("value ", i*5)
			}
		}),
		"nothing at all": {Observed: Observed},
		"empty":          base(everywhere("")),
		"no timestamp":   base(func(e *fluxevent.Event) { e.Timestamp = fluxevent.Time{} }),
		"not UTF-8":      base(everywhere("\xff\xfe a \xc3( b \xed\xa0\x80")),
		"right to left":  base(everywhere("\u202egnp.exe\u202c עברית \u2067x\u2069")),
		"zero width":     base(everywhere("a\u200bb\u200d\ufeff\u2060c")),
		"control":        base(everywhere("\x00\x01\x1b[31m\r\nX-Injected: 1\r\n\t\x7f\u0085\u2028")),
		"markup": base(everywhere("<!channel> <@U1> @everyone @here #tag <https://evil.example|x> [a](https://evil.example) " +
			"**b** _i_ ~s~ `c` ```f``` > q - l # h | t | <b>h</b> &amp; &lt; {{.T}} ${e} %s \\ \" ' $x$ :smile:")),
	}
}

// Check says of payloads what holds for every event: within the limit, UTF-8 or
// what the type can show, and JSON where the Content-Type promises it.
func Check(tb testing.TB, row providers.Row, payloads []notify.Payload) {
	tb.Helper()
	for _, p := range payloads {
		if row.MaxRequest > 0 {
			require.LessOrEqual(tb, len(p.Body), row.MaxRequest, "%s: a request over the limit", row.Type)
		}
		text := Text(tb, row, p.Body)
		require.False(tb, strings.ContainsAny(p.Path, " \r\n\x00"), "the path %q", p.Path)
		contentType := "application/json"
		for name, values := range p.Header {
			for _, value := range values {
				require.False(tb, strings.ContainsAny(value, "\r\n\x00"), "the header %s: %q", name, value)
			}
		}
		if given := p.Header.Get("Content-Type"); given != "" {
			contentType = given
		}
		media, _, err := mime.ParseMediaType(contentType)
		require.NoError(tb, err)
		if media == "application/json" || strings.HasSuffix(media, "+json") {
			require.True(tb, json.Valid(text), "the body is not JSON: %.200q", text)
		}
	}
}
