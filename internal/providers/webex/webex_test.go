package webex_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/renderer/html"
	"go.uber.org/goleak"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/webex"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const api = "https://webexapis.com/v1/messages"

func provider(t *testing.T, s notify.Settings) notify.Provider {
	t.Helper()
	p, err := webex.New(providertest.Complete(t, s))
	require.NoError(t, err)
	return p
}

// body has what the API's page lists of the fields that a message may have.
type body struct {
	RoomID        string           `json:"roomId"`
	ParentID      *string          `json:"parentId"`
	ToPersonID    *string          `json:"toPersonId"`
	ToPersonEmail *string          `json:"toPersonEmail"`
	Text          *string          `json:"text"`
	Markdown      string           `json:"markdown"`
	Files         []string         `json:"files"`
	Attachments   []map[string]any `json:"attachments"`
}

func render(t *testing.T, n *notify.Notification) string {
	t.Helper()
	payloads, err := provider(t, notify.Settings{Address: api, Channel: "room"}).Render(n)
	require.NoError(t, err)
	require.Len(t, payloads, 1)
	var b body
	d := json.NewDecoder(bytes.NewReader(payloads[0].Body))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&b))
	assert.Equal(t, "room", b.RoomID)
	require.LessOrEqual(t, len(b.Markdown), 7439)
	return b.Markdown
}

func TestMessage(t *testing.T) {
	t.Parallel()
	got := render(t, providertest.Notification(t, providertest.Event(t, "kustomization-annotated")))
	assert.Equal(t, `💣 **kustomization/apps.flux-system**
apply failed
>**cluster**: prod-eu
>**env**: prod
>**revision**: main@sha1:5394cb7f48332b2de7c17dd8b8384bbc84b7e738
>**runbook**: <https://runbooks.example.com|runbook>
>**summary**: Production apps (eu-west-1)
`, got)
	got = render(t, providertest.Notification(t, providertest.Event(t, "kustomization-succeeded")))
	assert.True(t, strings.HasPrefix(got, "✅ **"), got)
}

func TestMarkupOfEventsIsShown(t *testing.T) {
	t.Parallel()
	own := regexp.MustCompile(`</?(p|strong|blockquote)>|<br>`)
	md := goldmark.New(goldmark.WithRendererOptions(html.WithUnsafe()))
	for name, e := range providertest.Hostile() {
		source := render(t, providertest.NotificationWith(t, e, nil))
		assert.NotRegexp(t, `<@`, source, "a mention in %s", name)
		var b strings.Builder
		require.NoError(t, md.Convert([]byte(source), &b))
		assert.NotContains(t, own.ReplaceAllString(b.String(), ""), "<", name)
	}
	n := providertest.NotificationWith(t, providertest.Event(t, "kustomization-markup"), map[string]string{"on-call": "<@personEmail:a@b.c>"})
	assert.Contains(t, render(t, n), "\n>**on-call**: <@personEmail:a@b.c>\n", "the operator's own passes")
}

func TestLimits(t *testing.T) {
	t.Parallel()
	for _, unit := range []string{"x", "é", "部", "🚀", "<", "&", "*", "\x00", "\xff"} {
		e := providertest.Event(t, "kustomization-failed")
		e.Message = strings.Repeat(unit, 20000)
		got := render(t, providertest.NotificationWith(t, e, map[string]string{"summary": "All of it"}))
		assert.Greater(t, len(got), 7439-20, unit)
		assert.Contains(t, got, "… (truncated)\n>**revision**: main@sha1:", unit)
		assert.Contains(t, got, "\n>**summary**: All of it\n", unit)

		e.Metadata = map[string]string{}
		for i := range 200 {
			e.Metadata[fmt.Sprintf("%s/key-%03d", fluxevent.Group, i)] = strings.Repeat(unit, 3000)
		}
		got = render(t, providertest.NotificationWith(t, e, map[string]string{"summary": "All of it"}))
		first, rest, _ := strings.Cut(got, "\n")
		assert.Equal(t, "💣 **kustomization/apps.flux-system**", first)
		message, _, _ := strings.Cut(rest, "\n>**")
		assert.Greater(t, len(message), 980, "metadata leaves the message its least")
		assert.Contains(t, got, "\n>**summary**: All of it\n", unit)
	}
}

func TestChannel(t *testing.T) {
	t.Parallel()
	_, err := webex.New(providertest.Complete(t, notify.Settings{Address: api}))
	require.EqualError(t, err, "channel: must be set to the ID of a Webex space")
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	server := providertest.Server(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "Bearer sample-token", r.Header.Get("Authorization"))
		w.Header().Set("Retry-After", "30")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	p := provider(t, notify.Settings{Address: server.URL, Channel: "room", Token: "sample-token"})
	var e *notify.Error
	require.ErrorAs(t, p.Deliver(t.Context(), notify.Payload{Method: http.MethodPost, Body: []byte(`{}`)}), &e)
	assert.Equal(t, notify.Throttled, e.Class)
	assert.Equal(t, 30*time.Second, e.Delay)
}
