package lark_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/lark"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func provider(t *testing.T, address string) notify.Provider {
	t.Helper()
	p, err := lark.New(providertest.Complete(t, notify.Settings{Address: address}))
	require.NoError(t, err)
	return p
}

// request has what Lark's pages list of a webhook's request and of a card's
// elements, as far as it is used here.
type request struct {
	Timestamp string `json:"timestamp"`
	Sign      string `json:"sign"`
	MsgType   string `json:"msg_type"`
	Card      struct {
		Config struct {
			EnableForward  *bool `json:"enable_forward"`
			UpdateMulti    *bool `json:"update_multi"`
			WideScreenMode bool  `json:"wide_screen_mode"`
		} `json:"config"`
		Header struct {
			Title    content `json:"title"`
			Template string  `json:"template"`
		} `json:"header"`
		Elements []struct {
			Tag  string  `json:"tag"`
			Text content `json:"text"`
		} `json:"elements"`
	} `json:"card"`
}

type content struct {
	Tag     string `json:"tag"`
	Content string `json:"content"`
	Lines   *int   `json:"lines"`
}

// render gives the title and the text of the card.
func render(t *testing.T, n *notify.Notification) (title, body string) {
	t.Helper()
	payloads, err := provider(t, "https://open.larksuite.com/open-apis/bot/v2/hook/x").Render(n)
	require.NoError(t, err)
	require.Len(t, payloads, 1)
	require.LessOrEqual(t, len(payloads[0].Body), 20000)
	var r request
	d := json.NewDecoder(bytes.NewReader(payloads[0].Body))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&r))
	assert.Equal(t, "interactive", r.MsgType)
	assert.True(t, r.Card.Config.WideScreenMode)
	assert.Equal(t, "plain_text", r.Card.Header.Title.Tag)
	assert.Contains(t, []string{"turquoise", "red"}, r.Card.Header.Template)
	require.Len(t, r.Card.Elements, 1)
	assert.Equal(t, "div", r.Card.Elements[0].Tag)
	assert.Equal(t, "lark_md", r.Card.Elements[0].Text.Tag)
	return r.Card.Header.Title.Content, r.Card.Elements[0].Text.Content
}

func TestMessage(t *testing.T) {
	t.Parallel()
	title, body := render(t, providertest.Notification(t, providertest.Event(t, "kustomization-annotated")))
	assert.Equal(t, "🚨 kustomization/apps.flux-system", title)
	assert.Equal(t, `**apply failed**

cluster: prod-eu
env: prod
revision: main@sha1:5394cb7f48332b2de7c17dd8b8384bbc84b7e738
runbook: <https://runbooks.example.com|runbook>
summary: Production apps (eu-west-1)
`, body)
	title, _ = render(t, providertest.Notification(t, providertest.Event(t, "kustomization-succeeded")))
	assert.Equal(t, "💫 kustomization/apps.flux-system", title)
}

func TestMarkupOfEventsIsShown(t *testing.T) {
	t.Parallel()
	e := providertest.Event(t, "kustomization-failed")
	e.Message = "<at id=all></at> [x](https://evil.example) *i* __b__ ~~s~~ `c` &lt; \\ $v :DONE: :OK::Yes: arn:aws:iam::1: a:B:c"
	_, body := render(t, providertest.NotificationWith(t, e, map[string]string{"on-call": "<at id=all></at> :DONE:"}))
	message, rest, _ := strings.Cut(strings.TrimPrefix(body, "**"), "**\n\n")
	assert.Equal(t, e.Message, strings.ReplaceAll(html.UnescapeString(message), "\u200b", ""), "what a reader sees")
	for _, markup := range []string{"<", ">", "[", "]", "*", "_", "~", "`", "\\", "$", ":DONE:", ":OK:", ":Yes:", ":B:"} {
		assert.NotContains(t, message, markup)
	}
	assert.Contains(t, message, "arn:aws:iam::1:", "no emoji has such a name")
	assert.Contains(t, rest, "on-call: <at id=all></at> :DONE:\n", "the operator's own passes")
}

func TestLimits(t *testing.T) {
	t.Parallel()
	for _, unit := range []string{"x", "é", "部", "🚀", "<", "&", "\"", "\n", "\x00", "\u2028", "\xff"} {
		e := providertest.Event(t, "kustomization-failed")
		e.Message = strings.Repeat(unit, 50000)
		_, body := render(t, providertest.NotificationWith(t, e, map[string]string{"summary": "All of it"}))
		assert.Contains(t, body, "… (truncated)**\n\nrevision: main@sha1:", unit)
		assert.NotRegexp(t, `&[#0-9]*…`, body, "cut inside an escape")
		assert.Contains(t, body, "\nsummary: All of it\n", unit)

		e.Metadata = map[string]string{}
		for i := range 200 {
			e.Metadata[fmt.Sprintf("%s/key-%03d", fluxevent.Group, i)] = "v" + strings.Repeat(unit, 3000)
		}
		title, body := render(t, providertest.NotificationWith(t, e, map[string]string{"summary": "All of it"}))
		assert.Equal(t, "🚨 kustomization/apps.flux-system", title)
		message, _, _ := strings.Cut(body, "**\n\nkey-")
		encoded, err := json.Marshal(message)
		require.NoError(t, err)
		assert.Greater(t, len(encoded), 1970, "metadata leaves the message its least")
		assert.Equal(t, 200, strings.Count(body, "key-"), unit)
		assert.Contains(t, body, "\nsummary: All of it\n", unit)
	}
	for name, e := range providertest.Hostile() {
		_, body := render(t, providertest.NotificationWith(t, e, nil))
		assert.NotEmpty(t, body, name)
	}
}

func answers(t *testing.T, status int, header, body string) *notify.Error {
	t.Helper()
	server := providertest.Server(t, func(w http.ResponseWriter, _ *http.Request) {
		if header != "" {
			w.Header().Set(header, "30")
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
	err := provider(t, server.URL).Deliver(t.Context(), notify.Payload{Method: http.MethodPost, Body: []byte(`{}`)})
	if err == nil {
		return nil
	}
	var e *notify.Error
	require.ErrorAs(t, err, &e)
	assert.Contains(t, e.Error(), "127.0.0.1", "which endpoint said so")
	return e
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	assert.Nil(t, answers(t, 200, "", `{"code":0,"msg":"success","data":{},"Extra":null,"StatusCode":0,"StatusMessage":"success"}`))
	assert.Nil(t, answers(t, 200, "", `{"Extra":null,"StatusCode":0,"StatusMessage":"success"}`), "an older webhook")

	for _, c := range []struct {
		status       int
		header, body string
		class        notify.Class
		delay        time.Duration
		says         string
	}{
		{200, "", `{"code":19024,"msg":"Key Words Not Found"}`, notify.Permanent, 0, "refused the message: 19024 Key Words Not Found (the bot asks for keywords"},
		{200, "", `{"code":19021,"msg":"sign match fail or timestamp is not within one hour from current time"}`, notify.Permanent, 0, "must not ask for a signature"},
		{200, "", `{"code":9499,"msg":"Bad Request","data":{}}`, notify.Permanent, 0, "refused the message: 9499 Bad Request"},
		{200, "", `{"code":9499,"msg":"too many request","data":{}}`, notify.Throttled, 0, "rate limited: 9499"},
		{200, "", `{"code":11232,"msg":"frequency limited psm[lark.oapi.app_platform_runtime]appID[1500]"}`, notify.Throttled, 0, "rate limited: 11232"},
		{200, "Retry-After", `{"code":11232,"msg":"frequency limited"}`, notify.Throttled, 30 * time.Second, "rate limited"},
		{400, "X-Ogw-Ratelimit-Reset", `{"code":99991400,"msg":"request trigger frequency limit"}`, notify.Throttled, 30 * time.Second, "rate limited: 99991400"},
		{429, "X-Ogw-Ratelimit-Reset", `{"code":99991400,"msg":"request trigger frequency limit"}`, notify.Throttled, 30 * time.Second, "rate limited"},
		{400, "", `{"code":9499,"msg":"Bad Request","data":{}}`, notify.Permanent, 0, "answered 400 Bad Request"},
		{500, "", `{"code":1,"msg":"internal"}`, notify.Retryable, 0, "answered 500"},
		{200, "", `{}`, notify.Permanent, 0, "without Lark's JSON"},
		{200, "", ``, notify.Permanent, 0, "without Lark's JSON"},
		{200, "", `<html>welcome</html>`, notify.Permanent, 0, "without Lark's JSON"},
		{502, "", `<html>oops</html>`, notify.Retryable, 0, "answered 502"},
	} {
		e := answers(t, c.status, c.header, c.body)
		if assert.NotNil(t, e, c.body) {
			assert.Equal(t, c.class, e.Class, "%d %s", c.status, c.body)
			assert.Equal(t, c.delay, e.Delay, "%d %s", c.status, c.body)
			assert.Contains(t, e.Error(), c.says)
		}
	}
}
