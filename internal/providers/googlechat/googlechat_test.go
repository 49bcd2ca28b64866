package googlechat_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	api "google.golang.org/api/chat/v1"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/googlechat"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// render reads what is sent as Google's own Go types do, and nothing besides.
func render(t *testing.T, n *notify.Notification) *api.Card {
	t.Helper()
	p, err := googlechat.New(providertest.Complete(t, notify.Settings{Address: "https://chat.googleapis.com/v1/spaces/x/messages"}))
	require.NoError(t, err)
	payloads, err := p.Render(n)
	require.NoError(t, err)
	require.Len(t, payloads, 1)
	require.LessOrEqual(t, len(payloads[0].Body), 32000)
	var m struct {
		Cards []*api.Card `json:"cards"`
	}
	d := json.NewDecoder(bytes.NewReader(payloads[0].Body))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&m))
	require.Len(t, m.Cards, 1)
	return m.Cards[0]
}

func fields(c *api.Card) []string {
	var all []string
	for _, s := range c.Sections[1:] {
		for _, w := range s.Widgets {
			if w.KeyValue != nil {
				all = append(all, w.KeyValue.TopLabel+": "+w.KeyValue.Content)
			} else {
				all = append(all, strings.Split(w.TextParagraph.Text, "\n")...)
			}
		}
	}
	return all
}

func TestCard(t *testing.T) {
	t.Parallel()
	c := render(t, providertest.Notification(t, providertest.Event(t, "kustomization-annotated")))
	assert.Equal(t, &api.CardHeader{Title: "kustomization/apps.flux-system", Subtitle: "kustomize-controller"}, c.Header)
	require.Len(t, c.Sections, 2)
	assert.Equal(t, []*api.WidgetMarkup{{TextParagraph: &api.TextParagraph{Text: `<font color="#ff0000">apply failed</font>`}}}, c.Sections[0].Widgets)
	assert.Equal(t, []string{
		"cluster: prod-eu", "env: prod", "revision: main@sha1:5394cb7f48332b2de7c17dd8b8384bbc84b7e738",
		"runbook: <https://runbooks.example.com|runbook>", "summary: Production apps (eu-west-1)",
	}, fields(c))

	e := providertest.Event(t, "kustomization-succeeded")
	e.Metadata = nil
	c = render(t, providertest.NotificationWith(t, e, nil))
	assert.Len(t, c.Sections, 1, "a section without a widget is refused")
	assert.Equal(t, e.Message, c.Sections[0].Widgets[0].TextParagraph.Text)
}

func TestMarkupOfEventsIsShown(t *testing.T) {
	t.Parallel()
	e := providertest.Hostile()["markup"]
	e.Message = `<users/all> <a href="https://evil.example">x</a> &lt;`
	c := render(t, providertest.NotificationWith(t, e, map[string]string{"<b>runbook</b>": `<a href="https://runbooks.example.com">runbook</a>`}))
	assert.Equal(t, `<font color="#ff0000">&lt;users/all&gt; &lt;a href="https://evil.example"&gt;x&lt;/a&gt; &amp;lt;</font>`,
		c.Sections[0].Widgets[0].TextParagraph.Text)
	all := fields(c)
	assert.Contains(t, all, `<b>runbook</b>: <a href="https://runbooks.example.com">runbook</a>`, "the operator's own passes")
	for _, f := range all {
		if !strings.HasPrefix(f, "<b>runbook") {
			assert.NotRegexp(t, `[<>]`, f)
		}
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	for _, unit := range []string{"x", "é", "部", "🚀", "<", "&", "\"", "\n", "\x00", "\u2028", "\xff"} {
		e := providertest.Event(t, "kustomization-failed")
		e.Message = strings.Repeat(unit, 50000)
		c := render(t, providertest.NotificationWith(t, e, map[string]string{"summary": "All of it"}))
		assert.True(t, strings.HasSuffix(c.Sections[0].Widgets[0].TextParagraph.Text, "… (truncated)</font>"), unit)
		assert.NotRegexp(t, `&[a-z]*…`, c.Sections[0].Widgets[0].TextParagraph.Text, "cut inside an escape")
		assert.Contains(t, fields(c), "summary: All of it")

		e.Metadata = map[string]string{}
		for i := range 200 {
			e.Metadata[fmt.Sprintf("%s/key-%03d", fluxevent.Group, i)] = "v" + strings.Repeat(unit, 3000)
		}
		c = render(t, providertest.NotificationWith(t, e, map[string]string{"summary": "All of it"}))
		assert.Equal(t, "kustomization/apps.flux-system", c.Header.Title)
		encoded, err := json.Marshal(c.Sections[0].Widgets[0].TextParagraph.Text)
		require.NoError(t, err)
		assert.Greater(t, len(encoded), 1970, "metadata leaves the message its least")
		assert.Equal(t, 200, strings.Count(strings.Join(fields(c), "\n"), "key-"))
		assert.Contains(t, fields(c), "<b>summary</b>: All of it")
	}
	for name, e := range providertest.Hostile() {
		assert.NotEmpty(t, render(t, providertest.NotificationWith(t, e, nil)).Sections, name)
	}
}

func TestWidgets(t *testing.T) {
	t.Parallel()
	for count, want := range map[int]int{1: 2, 98: 99, 99: 100, 100: 100, 200: 100} {
		e := providertest.Event(t, "kustomization-failed")
		e.Metadata = map[string]string{}
		for i := range count {
			e.Metadata[fmt.Sprintf("%s/key-%03d", fluxevent.Group, i)] = "v"
		}
		c := render(t, providertest.NotificationWith(t, e, nil))
		widgets := 0
		for _, s := range c.Sections {
			widgets += len(s.Widgets)
		}
		assert.Equal(t, want, widgets, "of %d fields", count)
		assert.Len(t, fields(c), count, "none is lost")
	}
}
