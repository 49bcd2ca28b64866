package mastodon_test

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
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/mastodon"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func provider(t *testing.T, s notify.Settings) notify.Provider {
	t.Helper()
	if s.Address == "" {
		s.Address = "https://mastodon.example.com"
	}
	s.Token = "sample-token"
	p, err := mastodon.New(providertest.Complete(t, s))
	require.NoError(t, err)
	return p
}

// status has the parameters of a text status that Mastodon documents.
type status struct {
	Status      string  `json:"status"`
	Visibility  *string `json:"visibility"`
	Sensitive   bool    `json:"sensitive"`
	SpoilerText string  `json:"spoiler_text"`
	Language    string  `json:"language"`
	InReplyToID string  `json:"in_reply_to_id"`
	ScheduledAt string  `json:"scheduled_at"`
}

func render(t *testing.T, p notify.Provider, n *notify.Notification) status {
	t.Helper()
	payloads, err := p.Render(n)
	require.NoError(t, err)
	require.Len(t, payloads, 1)
	assert.Regexp(t, `^[0-9a-f]{64}$`, payloads[0].Header.Get("Idempotency-Key"))
	var s status
	d := json.NewDecoder(bytes.NewReader(payloads[0].Body))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&s))
	return s
}

// url is what Mastodon takes for a link, roughly.
var url = regexp.MustCompile(`https?://[a-z0-9-]+(\.[a-z]+)+(/[^\s]*)?`)

// counted is the length of a status as Mastodon counts it.
func counted(s string) int {
	return utf8.RuneCountInString(url.ReplaceAllString(s, strings.Repeat("x", 23)))
}

func TestVisibility(t *testing.T) {
	t.Parallel()
	n := providertest.Notification(t, providertest.Event(t, "kustomization-failed"))
	assert.Nil(t, render(t, provider(t, notify.Settings{}), n).Visibility, "the account's own")
	for _, v := range []string{"public", "unlisted", "private", "direct"} {
		assert.Equal(t, v, *render(t, provider(t, notify.Settings{Channel: v}), n).Visibility)
	}
	_, err := mastodon.New(providertest.Complete(t, notify.Settings{Address: "https://a.example", Channel: "everybody"}))
	require.EqualError(t, err, "channel: must be a visibility, one of public, unlisted, private, direct")
}

func TestNobodyIsMentioned(t *testing.T) {
	t.Parallel()
	e := providertest.Event(t, "kustomization-failed")
	e.InvolvedObject.Name = "@erin"
	e.Metadata = map[string]string{fluxevent.Group + "/#x": "@frank"}
	e.Message = "@alice #tag ＃tag ＠bob (@carol@example.com) @@dave ##x"
	s := render(t, provider(t, notify.Settings{}), providertest.NotificationWith(t, e, map[string]string{"on-call": "@ops #flux"})).Status
	own := "\non-call: @ops #flux"
	assert.Contains(t, s, own, "the operator's own passes")
	assert.NotRegexp(t, `[@#＠＃][^\x{200b}]`, strings.ReplaceAll(s, own, ""))
}

func TestLimits(t *testing.T) {
	t.Parallel()
	p := provider(t, notify.Settings{})
	for _, unit := range []string{"x", "部", "🚀", "@", "http://a.co ", "see https://docs.example.com/some/page/that/is/long "} {
		e := providertest.Event(t, "kustomization-failed")
		e.Message = strings.Repeat(unit, 2000)
		e.InvolvedObject.Name = strings.Repeat("n", 253)
		e.Metadata = map[string]string{fluxevent.Group + "/summary": "the apps"}
		s := render(t, p, providertest.NotificationWith(t, e, nil)).Status
		assert.LessOrEqual(t, counted(s), 500, unit)
		assert.Greater(t, counted(s), 380, unit)
		assert.True(t, strings.HasPrefix(s, "🚨 kustomization/"+e.InvolvedObject.Name+".flux-system\n"), unit)
		assert.True(t, strings.HasSuffix(s, "… (truncated)\nsummary: the apps"), unit)

		for i := range 200 {
			e.Metadata[fmt.Sprintf("%s/key-%03d", fluxevent.Group, i)] = strings.Repeat(unit, 300)
		}
		s = render(t, p, providertest.NotificationWith(t, e, nil)).Status
		assert.LessOrEqual(t, counted(s), 500, unit)
		assert.Contains(t, s, "\nkey-000: ", unit)
		assert.True(t, strings.HasSuffix(s, "\nsummary: the apps"), unit)
	}
}

func TestLimitOfTheInstance(t *testing.T) {
	t.Parallel()
	e := providertest.Event(t, "kustomization-failed")
	e.Message = strings.Repeat("x", 20000)
	n := providertest.NotificationWith(t, e, nil)
	for answer, want := range map[string]int{
		`{"configuration":{"statuses":{"max_characters":5000}}}`:   5000,
		`{"configuration":{"statuses":{"max_characters":300}}}`:    300,
		`{"configuration":{"statuses":{"max_characters":999999}}}`: 10000,
		`{"configuration":{"statuses":{"max_characters":0}}}`:      500,
		`{"configuration":{"statuses":{"max_characters":-1}}}`:     500,
		`{}`:              500,
		`<html>no</html>`: 500,
		``:                500,
	} {
		server := providertest.Server(t, func(w http.ResponseWriter, r *http.Request) {
			assert.Equal(t, "GET /under/api/v2/instance", r.Method+" "+r.URL.Path)
			assert.Empty(t, r.Header.Get("Authorization"), "everybody may know")
			_, _ = io.WriteString(w, answer)
		})
		p := provider(t, notify.Settings{Address: server.URL + "/under/"})
		require.NoError(t, p.(notify.Starter).Start(t.Context()))
		assert.Equal(t, want, counted(render(t, p, n).Status), answer)
	}

	server := providertest.Server(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	p := provider(t, notify.Settings{Address: server.URL})
	server.Close()
	require.NoError(t, p.(notify.Starter).Start(t.Context()), "it is away")
	assert.Equal(t, 500, counted(render(t, p, n).Status))
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	deliver := func(header map[string]string) *notify.Error {
		server := providertest.Server(t, func(w http.ResponseWriter, r *http.Request) {
			assert.Equal(t, "Bearer sample-token", r.Header.Get("Authorization"))
			for name, value := range header {
				w.Header().Set(name, value)
			}
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = io.WriteString(w, `{"error":"Too many requests"}`)
		})
		p := provider(t, notify.Settings{Address: server.URL})
		var e *notify.Error
		require.ErrorAs(t, p.Deliver(t.Context(), providertest.Payload(t, p)), &e)
		assert.Equal(t, notify.Throttled, e.Class)
		assert.Contains(t, e.Error(), "Too many requests")
		return e
	}
	soon := time.Now().Add(4 * time.Minute).UTC().Format("2006-01-02T15:04:05.000000Z")
	assert.InDelta(t, 4*time.Minute, deliver(map[string]string{"X-RateLimit-Reset": soon}).Delay, float64(time.Minute))
	assert.Zero(t, deliver(map[string]string{"X-RateLimit-Reset": "2020-01-01T00:00:00.000000Z"}).Delay, "it is over")
	assert.Equal(t, 7*time.Second, deliver(map[string]string{"X-RateLimit-Reset": soon, "Retry-After": "7"}).Delay)
	assert.Zero(t, deliver(nil).Delay)
}
