package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"os"
	"sync/atomic"
	"testing"
	"time"

	eventv1 "github.com/fluxcd/pkg/apis/event/v1"
	"github.com/fluxcd/pkg/runtime/events"
	"github.com/go-logr/logr/funcr"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/record"
)

// fluxClient posts as the Flux controllers do, with their own code. errors
// counts what it complains of: it has no other way to say so.
func (c *collector) fluxClient() (recorder events.Recorder, errors *atomic.Int32) {
	c.t.Helper()
	errors = &atomic.Int32{}
	logger := funcr.New(func(_, line string) {
		errors.Add(1)
		c.t.Log(line)
	}, funcr.Options{Verbosity: -1})
	recorder, err := events.NewRecorder(logger, "http://"+c.events+"/", "kustomize-controller",
		events.WithScheme(runtime.NewScheme()), events.WithLegacyEventRecorder(record.NewFakeRecorder(100)))
	require.NoError(c.t, err)
	return recorder, errors
}

func object(gvk schema.GroupVersionKind, name string) *unstructured.Unstructured {
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(gvk)
	o.SetNamespace("flux-system")
	o.SetName(name)
	o.SetUID("3a7f0024-2c1b-4d5e-9f60-001122334424")
	o.SetResourceVersion("118252")
	return o
}

func kustomization(name string) *unstructured.Unstructured {
	return object(schema.GroupVersionKind{Group: "kustomize.toolkit.fluxcd.io", Version: "v1", Kind: "Kustomization"}, name)
}

const (
	revision = "main@sha1:5394cb7f48332b2de7c17dd8b8384bbc84b7e738"
	summary  = "Production <apps>"
)

var annotations = map[string]string{
	"kustomize.toolkit.fluxcd.io/revision": revision,
	"kustomize.toolkit.fluxcd.io/checksum": "not for people",
	"event.toolkit.fluxcd.io/summary":      summary,
	"example.com/note":                     "not for Flux",
}

// fluxEndpoints is one collector with an exporter for each kind of endpoint.
type fluxEndpoints struct {
	*collector
	sink  *sink
	key   string
	token string
	bus   *nats.Subscription
}

func startFluxEndpoints(t *testing.T) *fluxEndpoints {
	t.Helper()
	e := &fluxEndpoints{collector: newCollector(t)}
	e.sink = newSink(t, func(r request) answer {
		if r.path == "/api/chat.postMessage" {
			return answer{body: `{"ok":true}`}
		}
		return answer{}
	})
	e.key = e.Secret("key of the signature", "hmac-key-4711")
	e.token = e.Secret("Slack token", "xoxb-1234-5678-abcdef")
	webhook := e.Secret("path of the Slack webhook", "/services/T000/B000/XyZ0123")
	header := e.Secret("value of a header", "Basic b3BlbjpzZXNhbWU=")
	user, password, address := startNATS(e)
	e.bus = subscribe(t, address, user, password)
	e.Start(spec{exporters: `
flux_notify/generic:
  type: generic
  address: ` + e.sink.URL + `/generic
  headers: {X-Proxy-Authorization: "` + header + `"}
  alerts: [&alert {name: apps, namespace: flux-system, event_sources: [{kind: Kustomization, name: '*'}], event_metadata: {cluster: prod <eu>}}]
flux_notify/hmac:
  type: generic-hmac
  address: ` + e.sink.URL + `/hmac
  token: ` + e.key + `
  alerts: [*alert]
flux_notify/webhook:
  type: slack
  address: ` + e.sink.URL + webhook + `
  alerts: [*alert]
flux_notify/api:
  type: slack
  address: ` + e.sink.URL + `/api/chat.postMessage
  channel: general
  username: flux
  token: ` + e.token + `
  alerts: [*alert]
flux_notify/alertmanager:
  type: alertmanager
  address: ` + e.sink.URL + `/api/v2/alerts
  alerts: [*alert]
flux_notify/nats:
  type: nats
  address: ` + address + `
  channel: flux.events
  username: ` + user + `
  password: ` + password + `
  alerts: [*alert]
`})
	return e
}

func startNATS(c *fluxEndpoints) (user, password, address string) {
	c.t.Helper()
	user, password = "flux", c.Secret("NATS password", "nats-pa55word")
	bus, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, Username: user, Password: password, NoLog: true, NoSigs: true,
	})
	require.NoError(c.t, err)
	bus.Start()
	require.True(c.t, bus.ReadyForConnections(patience))
	c.t.Cleanup(func() {
		bus.Shutdown()
		bus.WaitForShutdown()
	})
	return user, password, bus.ClientURL()
}

func subscribe(t *testing.T, address, user, password string) *nats.Subscription {
	t.Helper()
	conn, err := nats.Connect(address, nats.UserInfo(user, password))
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	subscription, err := conn.SubscribeSync("flux.events")
	require.NoError(t, err)
	require.NoError(t, conn.FlushTimeout(patience))
	return subscription
}

func TestFluxClient(t *testing.T) {
	t.Parallel()
	e := startFluxEndpoints(t)
	recorder, errors := e.fluxClient()
	before := time.Now().UTC().Truncate(time.Second)
	o := kustomization("apps")
	// Annotations of the object that begin with Flux's group travel with its events.
	o.SetAnnotations(map[string]string{"event.toolkit.fluxcd.io/team": "a"})
	related := object(schema.GroupVersionKind{Group: "source.toolkit.fluxcd.io", Version: "v1", Kind: "GitRepository"}, "fleet")
	recorder.AnnotatedEventf(o, related, annotations, corev1.EventTypeWarning, "HealthCheckFailed", "Reconcile", "%d of 3 failed, tell <!channel>", 2)
	recorder.AnnotatedEventf(o, related, annotations, corev1.EventTypeWarning, "HealthCheckFailed", "Reconcile", "%d of 3 failed, tell <!channel>", 2)
	require.Zero(t, errors.Load(), "Flux's client has logged errors")
	e.sink.Wait(5)
	published, err := e.bus.NextMsg(patience)
	require.NoError(t, err)
	e.Stop()

	generic := e.only("/generic")
	timestamp := generic.event(t).Timestamp.Time
	assert.WithinRange(t, timestamp, before, time.Now())
	hostname, err := os.Hostname()
	require.NoError(t, err)
	// What Flux's own type marshals is what Flux would send.
	want, err := json.Marshal(eventv1.Event{
		InvolvedObject: corev1.ObjectReference{
			Kind: "Kustomization", Namespace: "flux-system", Name: "apps", UID: o.GetUID(),
			APIVersion: "kustomize.toolkit.fluxcd.io/v1", ResourceVersion: "118252",
		},
		RelatedObject: &corev1.ObjectReference{
			Kind: "GitRepository", Namespace: "flux-system", Name: "fleet", UID: o.GetUID(),
			APIVersion: "source.toolkit.fluxcd.io/v1", ResourceVersion: "118252",
		},
		Severity:            eventv1.EventSeverityError,
		Timestamp:           metav1.NewTime(timestamp),
		Message:             "2 of 3 failed, tell <!channel>",
		Reason:              "HealthCheckFailed",
		Action:              "Reconcile",
		Metadata:            map[string]string{"revision": revision, "summary": summary, "cluster": "prod <eu>", "team": "a"},
		ReportingController: "kustomize-controller",
		ReportingInstance:   hostname,
	})
	require.NoError(t, err)
	assert.Equal(t, string(want), generic.body)
	assert.Equal(t, "kustomize-controller", generic.header.Get("Gotk-Component"))
	assert.Equal(t, "Basic b3BlbjpzZXNhbWU=", generic.header.Get("X-Proxy-Authorization"))
	assert.Equal(t, "application/json", generic.header.Get("Content-Type"))

	signed := e.only("/hmac")
	assert.Equal(t, string(want), signed.body)
	mac := hmac.New(sha256.New, []byte(e.key))
	mac.Write([]byte(signed.body))
	assert.Equal(t, "sha256="+hex.EncodeToString(mac.Sum(nil)), signed.header.Get("X-Signature"))

	assert.Equal(t, string(want), string(published.Data))
	pending, _, err := e.bus.Pending()
	require.NoError(t, err)
	assert.Zero(t, pending, "the duplicate was published too")

	// The event's text is escaped, the operator's is his own.
	attachments := `"attachments":[{
		"fallback":"kustomization/apps.flux-system: 2 of 3 failed, tell &lt;!channel&gt;","color":"danger",
		"author_name":"kustomization/apps.flux-system","text":"2 of 3 failed, tell &lt;!channel&gt;","mrkdwn_in":["text"],
		"fields":[{"title":"cluster","value":"prod <eu>","short":false},{"title":"revision","value":"` + revision + `","short":false},
			{"title":"summary","value":"Production &lt;apps&gt;","short":false},{"title":"team","value":"a","short":false}]}]`
	webhook := e.only("/services/T000/B000/XyZ0123")
	assert.JSONEq(t, `{"username":"kustomize-controller",`+attachments+`}`, webhook.body)
	assert.Empty(t, webhook.header.Get("Authorization"))
	api := e.only("/api/chat.postMessage")
	assert.JSONEq(t, `{"channel":"general","username":"flux",`+attachments+`}`, api.body)
	assert.Equal(t, "Bearer "+e.token, api.header.Get("Authorization"))

	assert.JSONEq(t, `[{"status":"firing","startsAt":"`+timestamp.UTC().Format(time.RFC3339)+`",
		"labels":{"alertname":"FluxKustomizationHealthcheckfailed","severity":"error","reason":"HealthCheckFailed","kind":"Kustomization",
			"name":"apps","namespace":"flux-system","reportingcontroller":"kustomize-controller",
			"revision":"`+revision+`","cluster":"prod <eu>","team":"a"},
		"annotations":{"message":"2 of 3 failed, tell <!channel>","summary":"Production <apps>"}}]`, e.only("/api/v2/alerts").body)
}

// only is the one request to a path.
func (e *fluxEndpoints) only(path string) request {
	e.t.Helper()
	requests := e.sink.Path(path)
	require.Len(e.t, requests, 1, path)
	require.Equal(e.t, http.MethodPost, requests[0].method)
	return requests[0]
}

// A client whose every retry takes seconds must not be made to retry.
func TestFluxClientRefused(t *testing.T) {
	t.Parallel()
	c, s := newCollector(t), newSink(t, nil)
	c.Start(spec{
		receiver:  `signature: {keys: ["` + c.Secret("key that Flux's client lacks", "unknown-to-flux") + `"]}`,
		exporters: `flux_notify: {type: generic, address: "` + s.URL + `"}`,
	})
	recorder, _ := c.fluxClient()
	begun := time.Now()
	recorder.AnnotatedEventf(kustomization("apps"), nil, annotations, corev1.EventTypeNormal, "Succeeded", "", "unsigned")
	assert.Less(t, time.Since(begun), time.Second, "Flux's client repeats what was refused for good")
	assert.Equal(t, 1, c.Count("otelcol_receiver_flux_event_refused", `reason="signature"`))
	c.Stop()
	assert.Empty(t, s.Requests())
}
