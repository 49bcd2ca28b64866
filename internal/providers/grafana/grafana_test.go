package grafana_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/grafana"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// annotation has the fields that Grafana's two annotation APIs document.
type annotation struct {
	DashboardUID string   `json:"dashboardUID"`
	PanelID      int64    `json:"panelId"`
	Time         int64    `json:"time"`
	TimeEnd      int64    `json:"timeEnd"`
	Tags         []string `json:"tags"`
	Text         string   `json:"text"`
	What         string   `json:"what"`
	When         int64    `json:"when"`
	Data         string   `json:"data"`
}

func render(t *testing.T, n *notify.Notification) annotation {
	t.Helper()
	p, err := grafana.New(providertest.Complete(t, notify.Settings{Address: "https://grafana.example.com/api/annotations"}))
	require.NoError(t, err)
	payloads, err := p.Render(n)
	require.NoError(t, err)
	require.Len(t, payloads, 1)
	var a annotation
	d := json.NewDecoder(bytes.NewReader(payloads[0].Body))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&a))
	assert.Equal(t, a.When*1000, a.Time)
	return a
}

// length is how Grafana measures a list of tags before it takes it.
func length(tags []string) int {
	sum := 2
	for i, tag := range tags {
		if i > 0 {
			sum++
		}
		sum += len(tag) + 2
	}
	return sum
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	var authorization string
	server := providertest.Server(t, func(_ http.ResponseWriter, r *http.Request) { authorization = r.Header.Get("Authorization") })
	withUser := strings.Replace(server.URL, "http://", "http://address:word@", 1)
	for _, c := range []struct {
		name     string
		settings notify.Settings
		want     string
	}{
		{"none", notify.Settings{Address: server.URL}, ""},
		{"token", notify.Settings{Address: withUser, Token: "sample-token", Username: "flux", Password: "word"}, "Bearer sample-token"},
		{"user", notify.Settings{Address: withUser, Username: "flux", Password: "word"}, "Basic Zmx1eDp3b3Jk"},
		{"half a user", notify.Settings{Address: server.URL, Username: "flux"}, ""},
		{"address", notify.Settings{Address: withUser}, "Basic YWRkcmVzczp3b3Jk"},
	} {
		p, err := grafana.New(providertest.Complete(t, c.settings))
		require.NoError(t, err)
		require.NoError(t, p.Deliver(t.Context(), providertest.Payload(t, p)))
		assert.Equal(t, c.want, authorization, c.name)
	}
}

func TestTags(t *testing.T) {
	t.Parallel()
	e := providertest.Event(t, "kustomization-failed")
	e.InvolvedObject.Name = "a<b>"
	e.Metadata = map[string]string{fluxevent.Group + "/a:b": "c:d:e"}
	a := render(t, providertest.NotificationWith(t, e, map[string]string{"runbook": "https://r.example"}))
	assert.Equal(t, []string{
		"flux", "kustomize-controller", "a|b: c|d|e", "runbook: https|//r.example",
		"kind: Kustomization", "name: a<b>", "namespace: flux-system",
	}, a.Tags)
	assert.Equal(t, "kustomization/a&lt;b&gt;.flux-system", a.Text, "the text is shown as HTML, tags are not")
}

func TestLimits(t *testing.T) {
	t.Parallel()
	for _, unit := range []string{"x", "部", "🚀", ":"} {
		e := providertest.Event(t, "kustomization-failed")
		e.Metadata = map[string]string{fluxevent.Group + "/summary": "the apps"}
		for i := range 5 {
			e.Metadata[fmt.Sprint(fluxevent.Group, "/key-", i)] = strings.Repeat(unit, 300)
		}
		a := render(t, providertest.NotificationWith(t, e, nil))
		assert.LessOrEqual(t, length(a.Tags), 500, unit)
		assert.Greater(t, length(a.Tags), 460, unit)
		assert.Len(t, a.Tags, 11, "each has its share")
		assert.Contains(t, a.Tags, "summary: the apps")

		for i := range 200 {
			e.Metadata[fmt.Sprint(fluxevent.Group, "/key-", i)] = strings.Repeat(unit, 300)
		}
		long := strings.Repeat(unit, 253)
		e.ReportingController, e.InvolvedObject.Name, e.InvolvedObject.Kind, e.InvolvedObject.Namespace = long, long, long, long
		a = render(t, providertest.NotificationWith(t, e, nil))
		assert.LessOrEqual(t, length(a.Tags), 500, unit)
		assert.Contains(t, a.Tags, "summary: the apps")
		for _, tag := range a.Tags {
			_, value, _ := strings.Cut(tag, ": ")
			assert.LessOrEqual(t, len(value), 100, unit)
		}
	}
}
