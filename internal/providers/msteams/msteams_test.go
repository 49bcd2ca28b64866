package msteams_test

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

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/renderer/html"
	"go.uber.org/goleak"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/msteams"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	workflow  = "https://prod-00.westeurope.logic.azure.com/workflows/0/triggers/manual/paths/invoke?sig=s"
	connector = "https://acme.webhook.office.com/webhookb2/a@b/IncomingWebhook/c/d"
)

// card is what people see of either card.
type card struct {
	title, message, color string
	facts                 []string
	size                  int
}

// render reads what is sent, strictly.
func render(t *testing.T, address string, n *notify.Notification) card {
	t.Helper()
	p, err := msteams.New(providertest.Complete(t, notify.Settings{Address: address}))
	require.NoError(t, err)
	payloads, err := p.Render(n)
	require.NoError(t, err)
	require.Len(t, payloads, 1)
	c := readAdaptive(t, payloads[0].Body)
	if address == connector {
		c = readConnector(t, payloads[0].Body)
	}
	c.size = len(payloads[0].Body)
	return c
}

func readAdaptive(t *testing.T, body []byte) card {
	t.Helper()
	var m struct {
		Attachments []struct {
			Content struct {
				Body []struct {
					Items []struct {
						Text, Color string
						Facts       []struct{ Title, Value string }
					}
				}
			}
		}
	}
	require.NoError(t, json.Unmarshal(body, &m))
	if len(m.Attachments) == 0 {
		return card{}
	}
	schema, err := jsonschema.NewCompiler().Compile("testdata/adaptivecard.schema.json")
	require.NoError(t, err)
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	require.NoError(t, err)
	require.NoError(t, schema.Validate(instance))
	items := m.Attachments[0].Content.Body[0].Items
	require.Len(t, items, 3)
	c := card{title: items[0].Text, message: items[1].Text, color: items[1].Color}
	for _, f := range items[2].Facts {
		c.facts = append(c.facts, f.Title+": "+f.Value)
	}
	return c
}

// readConnector knows the fields of the reference of MessageCards that are for
// what is told here.
func readConnector(t *testing.T, body []byte) card {
	t.Helper()
	var m struct {
		Type       string `json:"@type"`
		Context    string `json:"@context"`
		ThemeColor string `json:"themeColor"`
		Summary    string `json:"summary"`
		Title      string `json:"title"`
		Text       string `json:"text"`
		Sections   []struct {
			Title            string `json:"title"`
			ActivityTitle    string `json:"activityTitle"`
			ActivitySubtitle string `json:"activitySubtitle"`
			ActivityText     string `json:"activityText"`
			Markdown         *bool  `json:"markdown"`
			Facts            []struct {
				Name  string `json:"name"`
				Value string `json:"value"`
			} `json:"facts"`
		} `json:"sections"`
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&m))
	assert.Equal(t, "MessageCard", m.Type)
	assert.Equal(t, "http://schema.org/extensions", m.Context)
	assert.NotEmpty(t, m.Summary, "without summary or text a connector refuses the card")
	require.Len(t, m.Sections, 1)
	s := m.Sections[0]
	c := card{title: s.ActivitySubtitle, message: s.ActivityTitle, color: m.ThemeColor}
	for _, f := range s.Facts {
		c.facts = append(c.facts, f.Name+": "+f.Value)
	}
	return c
}

func TestAdaptiveCard(t *testing.T) {
	t.Parallel()
	c := render(t, workflow, providertest.Notification(t, providertest.Event(t, "kustomization-annotated")))
	assert.Equal(t, "kustomization/apps.flux-system", c.title)
	assert.Equal(t, "apply failed", c.message)
	assert.Equal(t, "attention", c.color)
	assert.Equal(t, []string{
		"summary: Production apps (eu-west-1)", "cluster: prod-eu", "env: prod",
		"revision: main@sha1:5394cb7f48332b2de7c17dd8b8384bbc84b7e738", "runbook: <https://runbooks.example.com|runbook>",
	}, c.facts)
	c = render(t, workflow, providertest.Notification(t, providertest.Event(t, "kustomization-succeeded")))
	assert.Empty(t, c.color)
}

func TestMessageCard(t *testing.T) {
	t.Parallel()
	c := render(t, connector, providertest.Notification(t, providertest.Event(t, "kustomization-annotated")))
	assert.Equal(t, "kustomization/apps.flux-system", c.title)
	assert.Equal(t, "apply failed", c.message)
	assert.Equal(t, "FF0000", c.color)
	assert.Equal(t, []string{
		"cluster: prod-eu", "env: prod", "revision: main@sha1:5394cb7f48332b2de7c17dd8b8384bbc84b7e738",
		"runbook: <https://runbooks.example.com|runbook>", "summary: Production apps (eu-west-1)",
	}, c.facts)
	c = render(t, connector, providertest.Notification(t, providertest.Event(t, "kustomization-succeeded")))
	assert.Equal(t, "0076D7", c.color)
}

func TestCardByHost(t *testing.T) {
	t.Parallel()
	n := providertest.Notification(t, providertest.Event(t, "kustomization-failed"))
	for address, isConnector := range map[string]bool{
		connector:                                      true,
		"http://acme.webhook.office.com:8080/x":        true,
		"https://ACME.Webhook.Office.COM/x":            true,
		"https://webhook.office.com/x":                 false,
		"https://webhook.office.com.evil.org/x":        false,
		"https://example.com/x?h=a.webhook.office.com": false,
	} {
		p, err := msteams.New(providertest.Complete(t, notify.Settings{Address: address}))
		require.NoError(t, err)
		payloads, err := p.Render(n)
		require.NoError(t, err)
		assert.Equal(t, isConnector, bytes.Contains(payloads[0].Body, []byte(`"@type":"MessageCard"`)), address)
	}
}

func TestMarkupOfEventsIsShown(t *testing.T) {
	t.Parallel()
	own := regexp.MustCompile(`</?p>|<br>`)
	md := goldmark.New(goldmark.WithRendererOptions(html.WithUnsafe()))
	events := providertest.Hostile()
	dates := events["markup"]
	dates.Message = "{{DATE(2017-02-14T06:00:00Z, SHORT)}} {{{TIME(2017-02-14T06:00:00Z)}} [x](https://evil.example) <at>x</at>"
	events["dates"] = dates
	for name, e := range events {
		for _, address := range []string{workflow, connector} {
			c := render(t, address, providertest.NotificationWith(t, e, nil))
			for _, s := range append(c.facts, c.title, c.message) {
				assert.NotRegexp(t, `<at>|\{\{(DATE|TIME)|\]\(`, s, name)
				var b strings.Builder
				require.NoError(t, md.Convert([]byte(s), &b))
				assert.NotContains(t, own.ReplaceAllString(b.String(), ""), "<", name)
			}
		}
	}
	n := providertest.NotificationWith(t, events["markup"], map[string]string{"run_book": "[runbook](https://runbooks.example.com)"})
	for _, address := range []string{workflow, connector} {
		assert.Contains(t, render(t, address, n).facts, "run_book: [runbook](https://runbooks.example.com)", "the operator's own passes")
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	for address, limit := range map[string]int{workflow: 28000, connector: 20000} {
		for _, unit := range []string{"x", "é", "部", "🚀", "<", "&", "\"", "*", "\x00", "\u2028", "\xff"} {
			e := providertest.Event(t, "kustomization-failed")
			e.Message = strings.Repeat(unit, 50000)
			c := render(t, address, providertest.NotificationWith(t, e, map[string]string{"summary": "All of it"}))
			assert.LessOrEqual(t, c.size, limit, unit)
			assert.Greater(t, c.size, limit-60, unit)
			assert.True(t, strings.HasSuffix(c.message, "… (truncated)"), unit)
			assert.Contains(t, c.facts, "revision: main@sha1:5394cb7f48332b2de7c17dd8b8384bbc84b7e738")

			e.Metadata = map[string]string{}
			for i := range 200 {
				e.Metadata[fmt.Sprintf("%s/key-%03d", fluxevent.Group, i)] = "v" + strings.Repeat(unit, 3000)
			}
			c = render(t, address, providertest.NotificationWith(t, e, map[string]string{"summary": "All of it"}))
			assert.LessOrEqual(t, c.size, limit, unit)
			assert.Equal(t, "kustomization/apps.flux-system", c.title)
			assert.Contains(t, c.facts, "summary: All of it")
			assert.Len(t, c.facts, 201)
			encoded, err := json.Marshal(c.message)
			require.NoError(t, err)
			assert.Greater(t, len(encoded), 1970, "metadata leaves the message its least")
		}
		for name, e := range providertest.Hostile() {
			assert.LessOrEqual(t, render(t, address, providertest.NotificationWith(t, e, nil)).size, limit, name)
		}
	}
}

func answers(t *testing.T, status int, body string) error {
	t.Helper()
	server := providertest.Server(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
	p, err := msteams.New(providertest.Complete(t, notify.Settings{Address: server.URL}))
	require.NoError(t, err)
	return p.Deliver(t.Context(), notify.Payload{Method: http.MethodPost, Body: []byte(`{}`)})
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	require.NoError(t, answers(t, 200, "1"), "a connector")
	require.NoError(t, answers(t, 202, ""), "a workflow")
	require.NoError(t, answers(t, 200, ""))
	require.NoError(t, answers(t, 200, `{"note":"Webhook message delivery failed is what others say"}`))

	const failed = "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error %d with ContextId tcid=0,server=x,cv=y.0.."
	for _, c := range []struct {
		body  string
		class notify.Class
		kind  string
	}{
		{fmt.Sprintf(failed, 429), notify.Throttled, "429"},
		{fmt.Sprintf(failed, 413), notify.Permanent, "413"},
		{fmt.Sprintf(failed, 404), notify.Permanent, "404"},
		{fmt.Sprintf(failed, 408), notify.Retryable, "408"},
		{fmt.Sprintf(failed, 503), notify.Retryable, "503"},
		{"Webhook message delivery failed with error: something else", notify.Retryable, "vendor"},
		{"System.Net.Http.HttpRequestException: Error while copying content to a stream.\r\n at y", notify.Retryable, "vendor"},
	} {
		var e *notify.Error
		require.ErrorAs(t, answers(t, 200, c.body), &e, c.body)
		assert.Equal(t, c.class, e.Class, c.body)
		assert.Equal(t, c.kind, e.Type, c.body)
		first, _, _ := strings.Cut(c.body, "\r\n")
		assert.Contains(t, e.Error(), "127.0.0.1")
		assert.True(t, strings.HasSuffix(e.Error(), "answered 200: "+first), e.Error())
		assert.Equal(t, time.Duration(0), e.Delay)
	}
}
