package zoom_test

import (
	"encoding/json"
	"fmt"
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
	"github.com/fluxnotify/otelcol-flux/internal/providers/zoom"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
	"github.com/fluxnotify/otelcol-flux/internal/text"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func provider(t *testing.T, s notify.Settings) notify.Provider {
	t.Helper()
	p, err := zoom.New(providertest.Complete(t, s))
	require.NoError(t, err)
	return p
}

func TestRequest(t *testing.T) {
	t.Parallel()
	var got *http.Request
	server := providertest.Server(t, func(_ http.ResponseWriter, r *http.Request) { got = r })
	for address, want := range map[string]string{
		"/abc":                    "/abc?format=full",
		"/abc?":                   "/abc?format=full",
		"/abc?team=a%20b":         "/abc?team=a%20b&format=full",
		"/abc?format=fields&x=1":  "/abc?format=fields&x=1",
		"/abc?x=1&format=message": "/abc?x=1&format=message",
	} {
		p := provider(t, notify.Settings{Address: server.URL + address, Token: "zoom-token"})
		require.NoError(t, p.Deliver(t.Context(), providertest.Payload(t, p)))
		assert.Equal(t, want, got.URL.RequestURI())
		assert.Equal(t, "zoom-token", got.Header.Get("Authorization"), "without a scheme")
	}
}

func TestMetadataIsLeftOutWhereThereIsNone(t *testing.T) {
	t.Parallel()
	e := providertest.Event(t, "kustomization-trace")
	e.Metadata = nil
	payloads, err := provider(t, notify.Settings{Address: "https://zoom.example.com"}).Render(providertest.NotificationWith(t, e, nil))
	require.NoError(t, err)
	assert.JSONEq(t, `{"content":{"head":{"text":"kustomization/apps.flux-system","sub_head":{"text":"trace"}},
		"body":[{"type":"message","text":"trace message"}]}}`, string(payloads[0].Body))
}

func TestLimits(t *testing.T) {
	t.Parallel()
	for _, unit := range []string{"x", "部", "🚀"} {
		e := providertest.Event(t, "kustomization-failed")
		e.Message = strings.Repeat(unit, 50000)
		e.Metadata = map[string]string{fluxevent.Group + "/summary": strings.Repeat("s", 800)}
		for i := range 200 {
			e.Metadata[fmt.Sprintf("%s/key-%03d", fluxevent.Group, i)] = strings.Repeat(unit, 3000)
		}
		payloads, err := provider(t, notify.Settings{Address: "https://zoom.example.com"}).Render(providertest.NotificationWith(t, e, nil))
		require.NoError(t, err)
		var m struct {
			Content struct {
				Head struct {
					Text string
				}
				Body []struct {
					Type, Text string
					Items      []struct{ Key, Value string }
				}
			}
		}
		require.NoError(t, json.Unmarshal(payloads[0].Body, &m))
		require.Len(t, m.Content.Body, 2)
		items := m.Content.Body[1].Items
		whole := text.InUTF16(m.Content.Head.Text + m.Content.Body[0].Text + e.Severity)
		for _, item := range items {
			whole += text.InUTF16(item.Key + item.Value)
		}
		assert.LessOrEqual(t, whole, 4096, unit)
		last := len(items) - 1
		assert.Equal(t, fmt.Sprint(201-last, " more left out"), items[last].Value)
		assert.Equal(t, strings.Repeat("s", 800), items[last-1].Value, "the summary stays")
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	tomorrow := time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339)
	for _, c := range []struct {
		status       int
		retry, body  string
		class        notify.Class
		least, delay time.Duration
		says         string
	}{
		{200, "", `{}`, 0, 0, 0, ""},
		{200, "", ``, 0, 0, 0, ""},
		{200, "", `sent`, 0, 0, 0, ""},
		{200, "", `{"code":200,"message":"ok"}`, 0, 0, 0, ""},
		{200, "", `{"code":7010,"message":"Invalid token."}`, notify.Permanent, 0, 0, "refused the message: 7010 Invalid token."},
		{200, "7", `{"code":429,"message":"Slow down."}`, notify.Throttled, 7 * time.Second, 7 * time.Second, "Slow down."},
		{401, "", `{"code":124,"message":"Invalid access token."}`, notify.Permanent, 0, 0, "Invalid access token."},
		{429, "", `{"code":429,"message":"Slow down."}`, notify.Throttled, 0, 0, "Slow down."},
		{429, "9", `{"code":429,"message":"Slow down."}`, notify.Throttled, 9 * time.Second, 9 * time.Second, "Slow down."},
		{429, tomorrow, `{"code":429,"message":"You have reached the daily limit."}`, notify.Throttled, time.Hour, time.Hour, "daily limit"},
	} {
		server := providertest.Server(t, func(w http.ResponseWriter, _ *http.Request) {
			if c.retry != "" {
				w.Header().Set("Retry-After", c.retry)
			}
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		})
		p := provider(t, notify.Settings{Address: server.URL, Token: "zoom-token"})
		err := p.Deliver(t.Context(), providertest.Payload(t, p))
		if c.class == 0 {
			require.NoError(t, err, c.body)
			continue
		}
		var e *notify.Error
		require.ErrorAs(t, err, &e, c.body)
		assert.Equal(t, c.class, e.Class, c.body)
		assert.GreaterOrEqual(t, e.Delay, c.least)
		assert.LessOrEqual(t, e.Delay, c.delay)
		assert.Contains(t, e.Error(), c.says)
	}
}
