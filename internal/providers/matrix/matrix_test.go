package matrix_test

import (
	"bytes"
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
	"github.com/fluxnotify/otelcol-flux/internal/providers/matrix"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func provider(t *testing.T, s notify.Settings) notify.Provider {
	t.Helper()
	p, err := matrix.New(providertest.Complete(t, s))
	require.NoError(t, err)
	return p
}

// content is what the specification lets an m.text message have.
type content struct {
	MsgType       string `json:"msgtype"`
	Body          string `json:"body"`
	Format        string `json:"format"`
	FormattedBody string `json:"formatted_body"`
	Mentions      *struct {
		UserIDs []string `json:"user_ids"`
		Room    bool     `json:"room"`
	} `json:"m.mentions"`
}

func render(t *testing.T, p notify.Provider, n *notify.Notification) (content, notify.Payload) {
	t.Helper()
	payloads, err := p.Render(n)
	require.NoError(t, err)
	require.Len(t, payloads, 1)
	var c content
	d := json.NewDecoder(bytes.NewReader(payloads[0].Body))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&c))
	require.NotNil(t, c.Mentions, "without it, clients look for names in the text")
	assert.Empty(t, c.Mentions.UserIDs)
	assert.False(t, c.Mentions.Room)
	assert.Empty(t, c.FormattedBody)
	return c, payloads[0]
}

func TestRooms(t *testing.T) {
	t.Parallel()
	var asked string
	server := providertest.Server(t, func(_ http.ResponseWriter, r *http.Request) { asked = r.Method + " " + r.RequestURI })
	n := providertest.Notification(t, providertest.Event(t, "kustomization-failed"))
	for room, escaped := range map[string]string{
		"!jezptmDwEeLapMLjOc:matrix.org": "%21jezptmDwEeLapMLjOc:matrix.org",
		"#flux:matrix.org":               "%23flux:matrix.org",
		"!a b/c?d:m.org":                 "%21a%20b%2Fc%3Fd:m.org",
	} {
		for _, slash := range []string{"", "/"} {
			p := provider(t, notify.Settings{Address: server.URL + slash, Channel: room, Token: "sample-token"})
			_, payload := render(t, p, n)
			require.NoError(t, p.Deliver(t.Context(), payload))
			assert.Regexp(t, `^PUT /_matrix/client/v3/rooms/`+strings.ReplaceAll(escaped, "?", `\?`)+`/send/m\.room\.message/[0-9a-f]{40}$`, asked)
		}
	}
	_, err := matrix.New(providertest.Complete(t, notify.Settings{Address: server.URL, Token: "sample-token"}))
	require.ErrorContains(t, err, "channel: ")
}

func TestTransactions(t *testing.T) {
	t.Parallel()
	p := provider(t, notify.Settings{Address: "https://matrix.example.com", Channel: "!a:b", Token: "sample-token"})
	path := func(name string) string {
		_, payload := render(t, p, providertest.Notification(t, providertest.Event(t, name)))
		return payload.Path
	}
	first, again := path("kustomization-failed"), path("kustomization-failed")
	assert.Equal(t, first, again, "a repetition is the same transaction")
	assert.NotEqual(t, first, path("kustomization-succeeded"))
}

func TestLimits(t *testing.T) {
	t.Parallel()
	p := provider(t, notify.Settings{Address: "https://matrix.example.com", Channel: "!a:b", Token: "sample-token"})
	for _, unit := range []string{"x", "部", "🚀", "\"", "\n", "\x01", "<"} {
		e := providertest.Event(t, "kustomization-failed")
		e.Message = strings.Repeat(unit, 70000)
		e.Metadata = map[string]string{fluxevent.Group + "/summary": "the apps"}
		for i := range 900 {
			e.Metadata[fmt.Sprintf("%s/key-%04d", fluxevent.Group, i)] = "v" + strings.Repeat(unit, 200)
		}
		c, payload := render(t, p, providertest.NotificationWith(t, e, nil))
		assert.LessOrEqual(t, len(payload.Body), 65536-8000, unit)
		assert.Greater(t, len(payload.Body), 40000, unit)
		assert.Contains(t, c.Body, "- summary: the apps\n", unit)
		assert.Contains(t, c.Body, "… (truncated)\n- key-0000: ", unit)
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, body, retryAfter string
		delay                  time.Duration
	}{
		{"in the body", `{"errcode":"M_LIMIT_EXCEEDED","error":"Too many requests","retry_after_ms":2500}`, "", 2500 * time.Millisecond},
		{"in the header, which wins", `{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":2500}`, "7", 7 * time.Second},
		{"for ever", `{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":1e300}`, "", time.Hour},
		{"nowhere", `{"errcode":"M_LIMIT_EXCEEDED"}`, "", 0},
		{"not JSON", `slow down`, "", 0},
	} {
		server := providertest.Server(t, func(w http.ResponseWriter, r *http.Request) {
			assert.Equal(t, "Bearer sample-token", r.Header.Get("Authorization"))
			if c.retryAfter != "" {
				w.Header().Set("Retry-After", c.retryAfter)
			}
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = io.WriteString(w, c.body)
		})
		p := provider(t, notify.Settings{Address: server.URL, Channel: "!a:b", Token: "sample-token"})
		var e *notify.Error
		require.ErrorAs(t, p.Deliver(t.Context(), providertest.Payload(t, p)), &e, c.name)
		assert.Equal(t, notify.Throttled, e.Class, c.name)
		assert.Equal(t, c.delay, e.Delay, c.name)
		assert.Contains(t, e.Error(), "429 Too Many Requests", c.name)
	}
}
