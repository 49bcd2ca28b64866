package discord_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	api "github.com/slack-go/slack"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"go.uber.org/goleak"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/discord"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
	"github.com/fluxnotify/otelcol-flux/internal/text"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const webhook = "https://discord.com/api/webhooks/123/abc"

func provider(t *testing.T, s notify.Settings) notify.Provider {
	t.Helper()
	p, err := discord.New(providertest.Complete(t, s))
	require.NoError(t, err)
	return p
}

// render reads what is sent as Slack's Go types do, and nothing besides.
func render(t *testing.T, s notify.Settings, n *notify.Notification) api.WebhookMessage {
	t.Helper()
	payloads, err := provider(t, s).Render(n)
	require.NoError(t, err)
	require.Len(t, payloads, 1)
	var m api.WebhookMessage
	d := json.NewDecoder(bytes.NewReader(payloads[0].Body))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&m))
	require.Len(t, m.Attachments, 1)
	return m
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	var got string
	server := providertest.Server(t, func(_ http.ResponseWriter, r *http.Request) { got = r.URL.RequestURI() })
	for address, want := range map[string]string{
		"/api/webhooks/123/abc":                   "/api/webhooks/123/abc/slack",
		"/api/webhooks/123/abc/":                  "/api/webhooks/123/abc/slack",
		"/api/webhooks/123/abc/slack":             "/api/webhooks/123/abc/slack",
		"/api/webhooks/123/abc/slack/":            "/api/webhooks/123/abc/slack/",
		"/api/webhooks/123/abc?thread_id=9":       "/api/webhooks/123/abc/slack?thread_id=9",
		"/api/webhooks/123/abc/slack?thread_id=9": "/api/webhooks/123/abc/slack?thread_id=9",
		"/api/webhooks/123/a%2Fb?x=/slack":        "/api/webhooks/123/a%2Fb/slack?x=/slack",
		"":                                        "/slack",
	} {
		p := provider(t, notify.Settings{Address: server.URL + address})
		require.NoError(t, p.Deliver(t.Context(), notify.Payload{Method: http.MethodPost, Body: []byte(`{}`)}))
		assert.Equal(t, want, got, address)
	}
}

func TestUsername(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Discord Bot", "clyde", strings.Repeat("x", 81)} {
		_, err := discord.New(providertest.Complete(t, notify.Settings{Address: webhook, Username: name}))
		require.ErrorContains(t, err, "username: ")
		e := providertest.Event(t, "kustomization-failed")
		e.ReportingController = name
		assert.Empty(t, render(t, notify.Settings{Address: webhook}, providertest.Notification(t, e)).Username, "the webhook's own is shown")
	}
	m := render(t, notify.Settings{Address: webhook}, providertest.Notification(t, providertest.Event(t, "kustomization-failed")))
	assert.Equal(t, "kustomize-controller", m.Username)
	assert.Equal(t, "danger", m.Attachments[0].Color)
}

func TestMarkupOfEventsIsShown(t *testing.T) {
	t.Parallel()
	n := providertest.NotificationWith(t, providertest.Hostile()["markup"], map[string]string{"[Runbook](https://runbooks.example.com)": "@here <@1> **b**"})
	a := render(t, notify.Settings{Address: webhook}, n).Attachments[0]
	texts := []string{a.Text}
	operators := 0
	for _, f := range a.Fields {
		if f.Title == "[Runbook](https://runbooks.example.com)" {
			assert.Equal(t, "@here <@1> **b**", f.Value, "the operator's own passes")
			operators++
			continue
		}
		texts = append(texts, f.Title, f.Value)
	}
	assert.Equal(t, 1, operators)
	for _, s := range texts {
		assert.NotRegexp(t, `@(everyone|here)|<@|<[!#:th]|\]\(`, s)
		var html strings.Builder
		require.NoError(t, goldmark.New(goldmark.WithExtensions(extension.GFM)).Convert([]byte(s), &html))
		assert.NotRegexp(t, `<(em|strong|code|pre|del|h\d|ul|ol|blockquote|img|table)`, html.String())
	}
	assert.NotContains(t, a.AuthorName, "<@")
}

func TestLimits(t *testing.T) {
	t.Parallel()
	for _, unit := range []string{"x", "é", "部", "🚀", "<", "*"} {
		e := providertest.Event(t, "kustomization-failed")
		e.Message = strings.Repeat(unit, 50000)
		e.InvolvedObject.Name = strings.Repeat("n", 253)
		e.Metadata = map[string]string{fluxevent.Group + "/summary": strings.Repeat("s", 800)}
		for i := range 200 {
			e.Metadata[fmt.Sprintf("%s/key-%03d", fluxevent.Group, i)] = strings.Repeat(unit, 3000)
		}
		a := render(t, notify.Settings{Address: webhook}, providertest.NotificationWith(t, e, nil)).Attachments[0]
		assert.LessOrEqual(t, text.InUTF16(a.AuthorName), 256)
		assert.True(t, strings.HasPrefix(a.Text, "kustomization/"+e.InvolvedObject.Name+".flux-system\n"), "the name is not lost")
		whole := text.InUTF16(a.Text + a.AuthorName)
		for _, f := range a.Fields {
			assert.LessOrEqual(t, text.InUTF16(f.Title), 256)
			assert.LessOrEqual(t, text.InUTF16(f.Value), 1024)
			whole += text.InUTF16(f.Title + f.Value)
		}
		require.Len(t, a.Fields, 25)
		assert.Equal(t, api.AttachmentField{Title: "summary", Value: strings.Repeat("s", 800)}, a.Fields[23])
		assert.Equal(t, api.AttachmentField{Title: "…", Value: "177 more left out"}, a.Fields[24])
		assert.LessOrEqual(t, whole, 6000, unit)
		assert.Greater(t, text.InUTF16(a.Text), 980, "metadata leaves the message its least")

		e.Metadata = nil
		a = render(t, notify.Settings{Address: webhook}, providertest.NotificationWith(t, e, nil)).Attachments[0]
		assert.LessOrEqual(t, text.InUTF16(a.Text), 4096, unit)
		assert.Greater(t, text.InUTF16(a.Text), 4090, unit)
		assert.True(t, strings.HasSuffix(a.Text, "… (truncated)"), unit)
		assert.NotRegexp(t, `[^\\](\\\\)*\\…`, a.Text, "cut inside an escape")
	}
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, header, body string
		want               time.Duration
	}{
		{"in the body", "", `{"message":"You are being rate limited.","retry_after":64.5,"global":false}`, 64500 * time.Millisecond},
		{"in the header", "65", `{"message":"You are being rate limited.","retry_after":64.5,"global":false}`, 65 * time.Second},
		{"for a day", "", `{"retry_after":86400}`, time.Hour},
		{"for ever", "", `{"retry_after":1e300}`, time.Hour},
		{"not said", "", `{"message":"slow down"}`, 0},
	} {
		server := providertest.Server(t, func(w http.ResponseWriter, _ *http.Request) {
			if c.header != "" {
				w.Header().Set("Retry-After", c.header)
			}
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = io.WriteString(w, c.body)
		})
		err := provider(t, notify.Settings{Address: server.URL}).Deliver(t.Context(), notify.Payload{Method: http.MethodPost})
		var e *notify.Error
		require.ErrorAs(t, err, &e, c.name)
		assert.Equal(t, notify.Throttled, e.Class, c.name)
		assert.Equal(t, c.want, e.Delay, c.name)
		assert.Equal(t, "429", e.Type, c.name)
		assert.Contains(t, e.Error(), "429 Too Many Requests", c.name)
	}
}
