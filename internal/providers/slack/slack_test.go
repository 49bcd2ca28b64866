package slack_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	api "github.com/slack-go/slack"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/slack"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const webhook = "https://hooks.slack.com/services/T0/B0/x"

func provider(t *testing.T, s notify.Settings) notify.Provider {
	t.Helper()
	p, err := slack.New(providertest.Complete(t, s))
	require.NoError(t, err)
	return p
}

// render reads what is sent as Slack's own Go types do, and nothing besides.
func render(t *testing.T, p notify.Provider, n *notify.Notification) api.WebhookMessage {
	t.Helper()
	payloads, err := p.Render(n)
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
	p := provider(t, notify.Settings{Address: webhook, Channel: "general", Username: "flux"})
	m := render(t, p, providertest.Notification(t, providertest.Event(t, "kustomization-annotated")))
	assert.Equal(t, "general", m.Channel)
	assert.Equal(t, "flux", m.Username)
	a := m.Attachments[0]
	assert.Equal(t, "danger", a.Color)
	assert.Equal(t, "kustomization/apps.flux-system", a.AuthorName)
	assert.Equal(t, "kustomization/apps.flux-system: apply failed", a.Fallback)
	assert.Equal(t, "apply failed", a.Text)
	assert.Equal(t, []string{"text"}, a.MarkdownIn)
	assert.Equal(t, []api.AttachmentField{
		{Title: "cluster", Value: "prod-eu"},
		{Title: "env", Value: "prod"},
		{Title: "revision", Value: "main@sha1:5394cb7f48332b2de7c17dd8b8384bbc84b7e738"},
		{Title: "runbook", Value: "<https://runbooks.example.com|runbook>"},
		{Title: "summary", Value: "Production apps (eu-west-1)"},
	}, a.Fields)

	m = render(t, provider(t, notify.Settings{Address: webhook}), providertest.Notification(t, providertest.Event(t, "kustomization-succeeded")))
	assert.Empty(t, m.Channel, "a webhook has its own")
	assert.Equal(t, "kustomize-controller", m.Username)
	assert.Equal(t, "good", m.Attachments[0].Color)
}

func TestMarkupOfEventsIsShown(t *testing.T) {
	t.Parallel()
	p := provider(t, notify.Settings{Address: webhook})
	e := providertest.Hostile()["markup"]
	n := providertest.NotificationWith(t, e, map[string]string{"<https://runbooks.example.com|Runbook>": "<!here> & <@U1>"})
	a := render(t, p, n).Attachments[0]
	texts := []string{a.Text, a.Fallback, a.AuthorName}
	operators := 0
	for _, f := range a.Fields {
		if f.Title == "<https://runbooks.example.com|Runbook>" {
			assert.Equal(t, "<!here> & <@U1>", f.Value, "the operator's own passes")
			operators++
			continue
		}
		texts = append(texts, f.Title, f.Value)
	}
	assert.Equal(t, 1, operators)
	for _, s := range texts {
		assert.NotContains(t, s, "<")
		assert.NotContains(t, s, ">")
	}
	assert.True(t, strings.HasPrefix(a.Text, "&lt;!channel&gt; &lt;@U1&gt; @everyone"), a.Text)
	assert.Contains(t, a.Text, "&amp;amp; &amp;lt;", "what looks like an escape is text as well")
}

func TestLimits(t *testing.T) {
	t.Parallel()
	p := provider(t, notify.Settings{Address: webhook})
	for _, unit := range []string{"x", "é", "部", "🚀", "<", "&"} {
		e := providertest.Event(t, "kustomization-failed")
		e.Message = strings.Repeat(unit, 50000)
		e.InvolvedObject.Name = strings.Repeat("n", 253)
		e.Metadata = map[string]string{fluxevent.Group + "/long": strings.Repeat(unit, 9000)}
		a := render(t, p, providertest.NotificationWith(t, e, nil)).Attachments[0]
		assert.LessOrEqual(t, utf8.RuneCountInString(a.Text), 8000, unit)
		assert.Greater(t, utf8.RuneCountInString(a.Text), 7990, unit)
		assert.LessOrEqual(t, utf8.RuneCountInString(a.Fields[0].Value), 2000, unit)
		assert.LessOrEqual(t, utf8.RuneCountInString(a.Fallback), 300, unit)
		for _, s := range []string{a.Text, a.Fallback, a.Fields[0].Value} {
			assert.True(t, strings.HasSuffix(s, "… (truncated)"), unit)
			assert.NotRegexp(t, `&[a-z]*…`, s, "cut inside an escape")
		}

		e.Metadata = map[string]string{}
		for i := range 200 {
			e.Metadata[fmt.Sprintf("%s/key-%03d", fluxevent.Group, i)] = strings.Repeat(unit, 3000)
		}
		a = render(t, p, providertest.NotificationWith(t, e, nil)).Attachments[0]
		whole := utf8.RuneCountInString(a.Text + a.Fallback + a.AuthorName)
		for _, f := range a.Fields {
			whole += utf8.RuneCountInString(f.Title + f.Value)
		}
		assert.Len(t, a.Fields, 200)
		assert.LessOrEqual(t, whole, 40000, unit)
		assert.Greater(t, utf8.RuneCountInString(a.Text), 990, "metadata leaves the message its least")
	}
}

// answers tells what comes of an answer of the API's.
func answers(t *testing.T, path string, answer http.HandlerFunc) error {
	t.Helper()
	server := providertest.Server(t, answer)
	p := provider(t, notify.Settings{Address: server.URL + path, Channel: "general", Token: "sample-token"})
	return p.Deliver(t.Context(), notify.Payload{Method: http.MethodPost, Body: []byte(`{}`)})
}

func says(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	const path = "/api/chat.postMessage"
	require.NoError(t, answers(t, path, says(`{"ok":true,"ts":"1.2"}`)))
	require.NoError(t, answers(t, "/services/T0/B0/x", says(`ok`)), "a webhook answers in words")

	for body, want := range map[string]string{
		`{"ok":false,"error":"channel_not_found"}`: "refused the message: channel_not_found (set channel to one that exists",
		`{"ok":false,"error":"invalid_auth"}`:      "refused the message: invalid_auth (token is not",
		`{"ok":false,"error":"fatal_error"}`:       "refused the message: fatal_error",
		`{"ok":false}`:                             "refused the message",
		`{}`:                                       "refused the message",
		`<html>welcome</html>`:                     "address does not lead to Slack's API",
		``:                                         "address does not lead to Slack's API",
	} {
		var e *notify.Error
		require.ErrorAs(t, answers(t, path, says(body)), &e, body)
		assert.Equal(t, notify.Permanent, e.Class, body)
		assert.Contains(t, e.Error(), want)
		assert.Contains(t, e.Error(), "127.0.0.1", "which endpoint said so")
	}

	var e *notify.Error
	require.ErrorAs(t, answers(t, path, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "Bearer sample-token", r.Header.Get("Authorization"))
		w.Header().Set("Retry-After", "30")
		_, _ = io.WriteString(w, `{"ok":false,"error":"ratelimited"}`)
	}), &e)
	assert.Equal(t, notify.Throttled, e.Class)
	assert.Equal(t, 30*time.Second, e.Delay)
}
