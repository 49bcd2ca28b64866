package zulip_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"go.uber.org/goleak"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/zulip"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func provider(t *testing.T, s notify.Settings) notify.Provider {
	t.Helper()
	p, err := zulip.New(providertest.Complete(t, s))
	require.NoError(t, err)
	return p
}

func render(t *testing.T, channel string, n *notify.Notification) url.Values {
	t.Helper()
	payloads, err := provider(t, notify.Settings{Address: "https://example.zulipchat.com", Channel: channel}).Render(n)
	require.NoError(t, err)
	require.Len(t, payloads, 1)
	form, err := url.ParseQuery(string(payloads[0].Body))
	require.NoError(t, err)
	assert.Len(t, form, 4)
	assert.Equal(t, "stream", form.Get("type"))
	return form
}

func TestChannels(t *testing.T) {
	t.Parallel()
	n := providertest.Notification(t, providertest.Event(t, "kustomization-failed"))
	form := render(t, "my channel/topic/with/slash & more", n)
	assert.Equal(t, "my channel", form.Get("to"))
	assert.Equal(t, "topic/with/slash & more", form.Get("topic"))
	assert.Equal(t, 60, utf8.RuneCountInString(render(t, "c/"+strings.Repeat("部", 61), n).Get("topic")))
	for _, channel := range []string{"channel", "channel/"} {
		_, err := provider(t, notify.Settings{Address: "https://example.zulipchat.com", Channel: channel}).Render(n)
		require.ErrorContains(t, err, "channel: must be a channel and a topic", channel)
	}
	for _, channel := range []string{"", "/topic"} {
		_, err := zulip.New(providertest.Complete(t, notify.Settings{Address: "https://example.zulipchat.com", Channel: channel}))
		require.ErrorContains(t, err, "channel: ", channel)
	}
}

func TestRequest(t *testing.T) {
	t.Parallel()
	var got *http.Request
	server := providertest.Server(t, func(_ http.ResponseWriter, r *http.Request) { got = r })
	p := provider(t, notify.Settings{Address: server.URL + "/ignored?q=1", Channel: "a/b", Username: "bot@zulip", Password: "api-key"})
	require.NoError(t, p.Deliver(t.Context(), providertest.Payload(t, p)))
	assert.Equal(t, "/api/v1/messages?q=1", got.URL.RequestURI())
	user, password, _ := got.BasicAuth()
	assert.Equal(t, "bot@zulip api-key", user+" "+password)
	assert.Equal(t, "application/x-www-form-urlencoded", got.Header.Get("Content-Type"))

	p = provider(t, notify.Settings{Address: server.URL, Channel: "a/b"})
	require.NoError(t, p.Deliver(t.Context(), providertest.Payload(t, p)))
	assert.Empty(t, got.Header.Get("Authorization"))
}

func TestContent(t *testing.T) {
	t.Parallel()
	e := providertest.Event(t, "kustomization-failed")
	e.Message = "apply failed"
	e.Metadata = map[string]string{fluxevent.Group + "/change_request": "7", fluxevent.Group + "/a`b\nc": "x"}
	n := providertest.NotificationWith(t, e, map[string]string{"runbook": "[Runbook](https://runbooks.example.com) @**all**"})
	assert.Equal(t, "## Flux Status\n\n⚠️ Kustomization/flux-system/apps\n\napply failed\n\nMetadata:\n"+
		"* `a'b c`: x\n* `runbook`: [Runbook](https://runbooks.example.com) @**all**\n", render(t, "a/b", n).Get("content"))
}

func TestMarkupOfEventsIsShown(t *testing.T) {
	t.Parallel()
	n := providertest.NotificationWith(t, providertest.Hostile()["markup"], nil)
	_, content, _ := strings.Cut(render(t, "a/b", n).Get("content"), "## Flux Status\n\n")
	message, metadata, found := strings.Cut(content, "\n\nMetadata:\n")
	require.True(t, found)
	assert.NotContains(t, content, `\`+"*", "Zulip knows no backslash")
	for _, s := range []string{message, metadata[strings.LastIndex(metadata, "`: ")+3:]} {
		assert.NotRegexp(t, "[*`~<>$|]|@[a-zA-Z]|\\]\\(", s)
		var html strings.Builder
		require.NoError(t, goldmark.New(goldmark.WithExtensions(extension.GFM)).Convert([]byte(strings.ReplaceAll(s, "_", "-")), &html), "_ is no markup of Zulip's")
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
		content := render(t, "a/b", providertest.NotificationWith(t, e, nil)).Get("content")
		assert.LessOrEqual(t, utf8.RuneCountInString(content), 10000, unit)
		assert.Contains(t, content, "* `summary`: "+strings.Repeat("s", 800)+"\n", "the summary stays")
		assert.Regexp(t, "\\n\\* `…`: \\d+ more left out\\n$", content)
		assert.NotRegexp(t, `&[#a-z0-9]*…`, content, "cut inside an escape")

		e.Metadata = nil
		content = render(t, "a/b", providertest.NotificationWith(t, e, nil)).Get("content")
		assert.LessOrEqual(t, utf8.RuneCountInString(content), 10000, unit)
		assert.Greater(t, utf8.RuneCountInString(content), 9990, unit)
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	deliver := func(status int, body string) error {
		server := providertest.Server(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		})
		p := provider(t, notify.Settings{Address: server.URL, Channel: "a/b"})
		return p.Deliver(t.Context(), providertest.Payload(t, p))
	}
	for _, body := range []string{`{"result":"success","id":42,"msg":""}`, `{}`, ``} {
		require.NoError(t, deliver(200, body), body)
	}
	for _, status := range []int{200, 400} {
		var e *notify.Error
		require.ErrorAs(t, deliver(status, `{"result":"error","msg":"Channel 'a' does not exist","code":"STREAM_DOES_NOT_EXIST"}`), &e)
		assert.Equal(t, notify.Permanent, e.Class)
		assert.Contains(t, e.Error(), "Channel 'a' does not exist")
	}
}
