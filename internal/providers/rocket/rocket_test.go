package rocket_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	api "github.com/slack-go/slack"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"go.uber.org/goleak"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/rocket"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
	"github.com/fluxnotify/otelcol-flux/internal/text"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func provider(t *testing.T, s notify.Settings) notify.Provider {
	t.Helper()
	p, err := rocket.New(providertest.Complete(t, s))
	require.NoError(t, err)
	return p
}

// render reads what is sent as Slack's Go types do, and nothing besides.
func render(t *testing.T, n *notify.Notification) api.WebhookMessage {
	t.Helper()
	payloads, err := provider(t, notify.Settings{Address: "https://chat.example.com/hooks/a/b", Channel: "alerts"}).Render(n)
	require.NoError(t, err)
	require.Len(t, payloads, 1)
	var m api.WebhookMessage
	d := json.NewDecoder(bytes.NewReader(payloads[0].Body))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&m))
	require.Len(t, m.Attachments, 1)
	return m
}

func TestMessage(t *testing.T) {
	t.Parallel()
	m := render(t, providertest.Notification(t, providertest.Event(t, "kustomization-failed")))
	assert.Equal(t, "alerts", m.Channel)
	assert.Equal(t, "kustomize-controller", m.Username)
	assert.Equal(t, "#FF0000", m.Attachments[0].Color)
	m = render(t, providertest.Notification(t, providertest.Event(t, "kustomization-succeeded")))
	assert.Equal(t, "#0076D7", m.Attachments[0].Color)
}

func TestMarkupOfEventsIsShown(t *testing.T) {
	t.Parallel()
	n := providertest.NotificationWith(t, providertest.Hostile()["markup"], map[string]string{"runbook": "[Runbook](https://runbooks.example.com) @here"})
	a := render(t, n).Attachments[0]
	operators := 0
	texts := []string{a.Text}
	for _, f := range a.Fields {
		if f.Title == "runbook" {
			assert.Equal(t, "[Runbook](https://runbooks.example.com) @here", f.Value, "the operator's own passes")
			operators++
			continue
		}
		texts = append(texts, f.Title, f.Value)
	}
	assert.Equal(t, 1, operators)
	for _, s := range texts {
		assert.NotRegexp(t, `@(all|here|everyone)|<https|\]\(`, s)
		var html strings.Builder
		require.NoError(t, goldmark.New(goldmark.WithExtensions(extension.GFM)).Convert([]byte(s), &html))
		assert.NotRegexp(t, `<(em|strong|code|pre|del|h\d|ul|ol|blockquote|img|table)`, html.String())
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	for _, unit := range []string{"x", "部", "🚀", "*"} {
		e := providertest.Event(t, "kustomization-failed")
		e.Message = strings.Repeat(unit, 50000)
		e.Metadata = map[string]string{fluxevent.Group + "/summary": strings.Repeat("s", 800)}
		for i := range 200 {
			e.Metadata[fmt.Sprintf("%s/key-%03d", fluxevent.Group, i)] = strings.Repeat(unit, 3000)
		}
		a := render(t, providertest.NotificationWith(t, e, nil)).Attachments[0]
		whole := text.InUTF16(a.Text + a.AuthorName)
		for _, f := range a.Fields {
			whole += text.InUTF16(f.Title + f.Value)
		}
		assert.LessOrEqual(t, whole, 5000, unit)
		assert.Greater(t, text.InUTF16(a.Text), 980, "metadata leaves the message its least")
		last := len(a.Fields) - 1
		assert.Equal(t, api.AttachmentField{Title: "…", Value: fmt.Sprint(201-last, " more left out")}, a.Fields[last])
		assert.Equal(t, api.AttachmentField{Title: "summary", Value: strings.Repeat("s", 800)}, a.Fields[last-1])
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	deliver := func(body string) error {
		server := providertest.Server(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
		return provider(t, notify.Settings{Address: server.URL}).Deliver(t.Context(), notify.Payload{Method: http.MethodPost})
	}
	for _, body := range []string{`{"success":true}`, `{}`, ``, `thanks`} {
		require.NoError(t, deliver(body), body)
	}
	var e *notify.Error
	require.ErrorAs(t, deliver(`{"success":false,"error":"invalid-channel"}`), &e)
	assert.Equal(t, notify.Permanent, e.Class)
	assert.Contains(t, e.Error(), "refused the message: invalid-channel")
	require.ErrorAs(t, deliver(`{"success":false,"error":"Error, too many requests [error-too-many-requests]"}`), &e)
	assert.Equal(t, notify.Throttled, e.Class)
}
