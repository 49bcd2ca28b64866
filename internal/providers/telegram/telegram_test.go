package telegram_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-telegram/bot"
	"github.com/go-telegram/bot/models"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/telegram"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
	"github.com/fluxnotify/otelcol-flux/internal/text"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "123456:ABC-DEF_ghi"

func provider(t *testing.T, s notify.Settings) notify.Provider {
	t.Helper()
	if s.Token == "" {
		s.Token = token
	}
	p, err := telegram.New(providertest.Complete(t, s))
	require.NoError(t, err)
	return p
}

// render reads what is sent as the types of a client of the Bot API do, and
// nothing besides.
func render(t *testing.T, n *notify.Notification) bot.SendMessageParams {
	t.Helper()
	payloads, err := provider(t, notify.Settings{Channel: "@fluxcd"}).Render(n)
	require.NoError(t, err)
	require.Len(t, payloads, 1)
	var m bot.SendMessageParams
	d := json.NewDecoder(bytes.NewReader(payloads[0].Body))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&m))
	assert.Equal(t, models.ParseMode("MarkdownV2"), m.ParseMode)
	assert.Equal(t, "@fluxcd", m.ChatID)
	return m
}

func TestChannels(t *testing.T) {
	t.Parallel()
	for channel, want := range map[string]string{
		"-1234567890":        `{"chat_id":"-1234567890",`,
		"-1001234567890:552": `{"chat_id":"-1001234567890","message_thread_id":"552",`,
		"@fluxcd":            `{"chat_id":"@fluxcd",`,
		"@fluxcd:552":        `{"chat_id":"@fluxcd","message_thread_id":"552",`,
	} {
		payloads, err := provider(t, notify.Settings{Channel: channel}).Render(providertest.Notification(t, providertest.Event(t, "kustomization-failed")))
		require.NoError(t, err)
		assert.True(t, strings.HasPrefix(string(payloads[0].Body), want+`"text":`), "%s: %s", channel, payloads[0].Body)
	}
	for _, channel := range []string{"", ":552", "@fluxcd:", "@fluxcd:general", "1:-2", "1:2:3"} {
		_, err := telegram.New(providertest.Complete(t, notify.Settings{Token: token, Channel: channel}))
		require.ErrorContains(t, err, "channel: ", channel)
	}
	_, err := telegram.New(providertest.Complete(t, notify.Settings{Channel: "@fluxcd"}))
	require.ErrorContains(t, err, "token: ")
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	var got string
	server := providertest.Server(t, func(_ http.ResponseWriter, r *http.Request) { got = r.URL.EscapedPath() })
	for path, want := range map[string]string{
		"":         "/bot" + token + "/sendMessage",
		"/":        "/bot" + token + "/sendMessage",
		"/ignored": "/bot" + token + "/sendMessage",
	} {
		p := provider(t, notify.Settings{Address: server.URL + path, Channel: "@fluxcd"})
		require.NoError(t, p.Deliver(t.Context(), providertest.Payload(t, p)))
		assert.Equal(t, want, got)
	}
}

// reserved finds a character that MarkdownV2 reserves and no backslash precedes.
var reserved = regexp.MustCompile("(?:^|[^\\\\])(?:\\\\\\\\)*[_*\\[\\]()~`>#+\\-=|{}.!]")

func TestMarkup(t *testing.T) {
	t.Parallel()
	n := providertest.NotificationWith(t, providertest.Hostile()["markup"], map[string]string{"operator": "_[x](https://runbooks.example.com)*"})
	m := render(t, n).Text
	assert.NotContains(t, m, "@everyone")
	assert.NotContains(t, m, "@here")
	lines := strings.Split(strings.TrimSuffix(m, "\n"), "\n")
	for _, line := range lines[1:] {
		if key, found := strings.CutPrefix(line, `\- *`); found {
			before, after, found := strings.Cut(key, "*: ")
			require.True(t, found, line)
			assert.NotRegexp(t, reserved, before)
			line = after
		}
		assert.NotRegexp(t, reserved, line)
	}
	assert.Contains(t, m, `\- *operator*: \_\[x\]\(https://runbooks\.example\.com\)\*`, "what the operator wrote does not break the message")
}

func TestLimits(t *testing.T) {
	t.Parallel()
	for _, unit := range []string{"x", "é", "部", "🚀", "<", ".", "\\"} {
		e := providertest.Event(t, "kustomization-failed")
		e.Message = strings.Repeat(unit, 50000)
		e.InvolvedObject.Name = strings.Repeat("n", 253)
		e.Metadata = map[string]string{fluxevent.Group + "/summary": strings.Repeat("s", 800)}
		for i := range 200 {
			e.Metadata[fmt.Sprintf("%s/key%03d", fluxevent.Group, i)] = strings.Repeat(unit, 3000)
		}
		m := render(t, providertest.NotificationWith(t, e, nil)).Text
		counted := strings.ReplaceAll(m, "`(truncated)`", "(truncated)") // as Telegram does, after the entities
		assert.LessOrEqual(t, text.InUTF16(counted), 4096, unit)
		assert.True(t, strings.HasPrefix(m, "*🚨 kustomization/"+e.InvolvedObject.Name+`/flux\-system*`+"\n"), "the name stays")
		assert.Contains(t, m, `\- *summary*: `+strings.Repeat("s", 800)+"\n", "the summary stays")
		assert.Regexp(t, `\n\\- \*…\*: \d+ more left out\n$`, m)

		e.Metadata = nil
		m = render(t, providertest.NotificationWith(t, e, nil)).Text
		counted = strings.ReplaceAll(m, "`(truncated)`", "(truncated)")
		assert.LessOrEqual(t, text.InUTF16(counted), 4096, unit)
		assert.Greater(t, text.InUTF16(counted), 4090, unit)
		assert.True(t, strings.HasSuffix(m, "… `(truncated)`\n"), "parentheses are reserved: %s", m[len(m)-40:])
		assert.NotRegexp(t, `[^\\](\\\\)*\\…`, m, "cut inside an escape")
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status int
		body   string
		class  notify.Class
		delay  time.Duration
		says   string
	}{
		{200, `{"ok":true,"result":{"message_id":1}}`, 0, 0, ""},
		{200, `{}`, 0, 0, ""},
		{200, ``, 0, 0, ""},
		{200, `{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}`, notify.Permanent, 0, "refused the message: Bad Request: chat not found"},
		{200, `{"ok":false,"parameters":{"retry_after":9}}`, notify.Throttled, 9 * time.Second, "429"},
		{400, `{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}`, notify.Permanent, 0, "chat not found"},
		{401, `{"ok":false,"error_code":401,"description":"Unauthorized"}`, notify.Permanent, 0, "401 Unauthorized: token is not that of a bot"},
		{404, `{"ok":false,"error_code":404,"description":"Not Found"}`, notify.Permanent, 0, "404 Not Found: token is not that of a bot"},
		{404, `nothing here`, notify.Permanent, 0, "nothing here"},
		{
			429, `{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 35","parameters":{"retry_after":35}}`,
			notify.Throttled, 35 * time.Second, "retry after 35",
		},
		{429, `{"ok":false,"parameters":{"retry_after":9000000000}}`, notify.Throttled, time.Hour, "429"},
		{502, `{"ok":false,"error_code":502,"description":"Bad Gateway"}`, notify.Retryable, 0, "Bad Gateway"},
	} {
		server := providertest.Server(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		})
		p := provider(t, notify.Settings{Address: server.URL, Channel: "@fluxcd"})
		err := p.Deliver(t.Context(), providertest.Payload(t, p))
		if c.class == 0 {
			require.NoError(t, err, c.body)
			continue
		}
		var e *notify.Error
		require.ErrorAs(t, err, &e, c.body)
		assert.Equal(t, c.class, e.Class, c.body)
		assert.Equal(t, c.delay, e.Delay, c.body)
		assert.Contains(t, e.Error(), c.says)
	}
}
