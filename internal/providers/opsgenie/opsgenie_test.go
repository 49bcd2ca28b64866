package opsgenie_test

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

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/opsgenie"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// alert has the fields of Opsgenie's request to create one.
type alert struct {
	Message     string            `json:"message"`
	Alias       string            `json:"alias"`
	Description string            `json:"description"`
	Responders  []any             `json:"responders"`
	VisibleTo   []any             `json:"visibleTo"`
	Actions     []string          `json:"actions"`
	Tags        []string          `json:"tags"`
	Details     map[string]string `json:"details"`
	Entity      string            `json:"entity"`
	Source      string            `json:"source"`
	Priority    string            `json:"priority"`
	User        string            `json:"user"`
	Note        string            `json:"note"`
}

func provider(t *testing.T, address string) notify.Provider {
	t.Helper()
	p, err := opsgenie.New(providertest.Complete(t, notify.Settings{Address: address, Token: "sample-token"}))
	require.NoError(t, err)
	return p
}

func render(t *testing.T, n *notify.Notification) alert {
	t.Helper()
	payloads, err := provider(t, "https://api.opsgenie.com/v2/alerts").Render(n)
	require.NoError(t, err)
	require.Len(t, payloads, 1)
	var a alert
	d := json.NewDecoder(bytes.NewReader(payloads[0].Body))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&a))
	return a
}

func TestAlias(t *testing.T) {
	t.Parallel()
	alias := func(change func(*fluxevent.Event)) string {
		e := providertest.Event(t, "kustomization-failed")
		change(&e)
		return render(t, providertest.NotificationWith(t, e, nil)).Alias
	}
	same := alias(func(*fluxevent.Event) {})
	assert.Regexp(t, `^[0-9a-f]{64}$`, same)
	assert.Equal(t, same, alias(func(e *fluxevent.Event) { e.Message = "another" }), "counted on the same alert")
	assert.NotEqual(t, same, alias(func(e *fluxevent.Event) { e.Reason = "Another" }))
	assert.NotEqual(t, same, alias(func(e *fluxevent.Event) { e.InvolvedObject.Namespace = "another" }))

	s := providertest.Complete(t, notify.Settings{Address: "https://api.opsgenie.com/v2/alerts", Token: "sample-token"})
	s.UID = "0c9c2e41-d2f9-4f9b-9c41-bebc1984d67a"
	p, err := opsgenie.New(s)
	require.NoError(t, err)
	e := providertest.Event(t, "kustomization-failed")
	e.InvolvedObject = fluxevent.Object{Kind: "Kustomization", Namespace: "flux-system", Name: "apps"}
	e.Reason = "ReconciliationSucceeded"
	payloads, err := p.Render(providertest.NotificationWith(t, e, nil))
	require.NoError(t, err)
	assert.Contains(t, string(payloads[0].Body), "167f77b13818689c99e83b55221aba02ed16debd3659560a88daff5134b23cd8", "as Flux makes it")
}

func TestSeverityIsTheEvents(t *testing.T) {
	t.Parallel()
	e := providertest.Event(t, "kustomization-failed")
	a := render(t, providertest.NotificationWith(t, e, map[string]string{"severity": "low", "team": "apps"}))
	assert.Equal(t, "error", a.Details["severity"])
	assert.Equal(t, "apps", a.Details["team"])
}

func TestLimits(t *testing.T) {
	t.Parallel()
	for _, unit := range []string{"x", "部", "🚀", "<"} {
		e := providertest.Event(t, "kustomization-failed")
		e.Message = strings.Repeat(unit, 20000)
		e.InvolvedObject.Name = strings.Repeat("n", 253)
		e.Metadata = map[string]string{fluxevent.Group + "/summary": "the apps"}
		for i := range 300 {
			e.Metadata[fmt.Sprintf("%s/key-%03d", fluxevent.Group, i)] = strings.Repeat(unit, 300)
		}
		a := render(t, providertest.NotificationWith(t, e, nil))
		assert.LessOrEqual(t, utf8.RuneCountInString(a.Message), 130)
		assert.LessOrEqual(t, utf8.RuneCountInString(a.Description), 15000)
		assert.Greater(t, utf8.RuneCountInString(a.Description), 14990)
		assert.True(t, strings.HasPrefix(a.Description, "Kustomization/"+e.InvolvedObject.Name+"\n"), "the whole name is somewhere")
		sum := 0
		for key, value := range a.Details {
			sum += utf8.RuneCountInString(key) + utf8.RuneCountInString(value)
		}
		assert.LessOrEqual(t, sum, 8000, unit)
		assert.Greater(t, sum, 7800, unit)
		assert.Equal(t, "the apps", a.Details["summary"])
		assert.Equal(t, "error", a.Details["severity"])
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	answers := func(status int, header map[string]string) error {
		server := providertest.Server(t, func(w http.ResponseWriter, r *http.Request) {
			assert.Equal(t, "GenieKey sample-token", r.Header.Get("Authorization"))
			for name, value := range header {
				w.Header().Set(name, value)
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `{"result":"Request will be processed","message":"words of Opsgenie"}`)
		})
		p := provider(t, server.URL)
		return p.Deliver(t.Context(), providertest.Payload(t, p))
	}
	require.NoError(t, answers(http.StatusAccepted, nil))
	for _, c := range []struct {
		header map[string]string
		delay  time.Duration
	}{
		{map[string]string{"X-RateLimit-State": "THROTTLED", "X-RateLimit-Period-In-Sec": "60"}, time.Minute},
		{map[string]string{"X-RateLimit-Period-In-Sec": "60", "Retry-After": "7"}, 7 * time.Second},
		{map[string]string{"X-RateLimit-Period-In-Sec": "99999999999"}, time.Hour},
		{map[string]string{"X-RateLimit-Period-In-Sec": "-1"}, 0},
		{nil, 0},
	} {
		var e *notify.Error
		require.ErrorAs(t, answers(http.StatusTooManyRequests, c.header), &e)
		assert.Equal(t, notify.Throttled, e.Class)
		assert.Equal(t, c.delay, e.Delay, c.header)
		assert.Contains(t, e.Error(), "words of Opsgenie")
	}
	var e *notify.Error
	require.ErrorAs(t, answers(http.StatusUnprocessableEntity, nil), &e)
	assert.Equal(t, notify.Permanent, e.Class)
}
