package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	eventv1 "github.com/fluxcd/pkg/apis/event/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// newEvent is one as kustomize-controller reports it.
func newEvent(object, message string) eventv1.Event {
	return eventv1.Event{
		InvolvedObject: corev1.ObjectReference{
			Kind: "Kustomization", Namespace: "flux-system", Name: object,
			UID: "3a7f0024-2c1b-4d5e-9f60-001122334424", APIVersion: "kustomize.toolkit.fluxcd.io/v1", ResourceVersion: "118252",
		},
		Severity:            eventv1.EventSeverityInfo,
		Timestamp:           metav1.NewTime(time.Date(2026, time.March, 9, 12, 12, 48, 0, time.UTC)),
		Message:             message,
		Reason:              "ReconciliationSucceeded",
		ReportingController: "kustomize-controller",
		ReportingInstance:   "kustomize-controller-7b7b47f459-hkp4q",
	}
}

// answered is what the receiver said.
type answered struct {
	status int
	header http.Header
	body   string
}

// Post posts an event as it is; it never retries. It may be called from any
// goroutine.
func (c *collector) Post(e eventv1.Event) answered {
	c.t.Helper()
	body, err := json.Marshal(e)
	if err != nil {
		c.t.Errorf("the event cannot be marshalled: %v", err)
	}
	return c.Send(http.MethodPost, "/", nil, body)
}

// Accept posts events and insists that they are accepted.
func (c *collector) Accept(events ...eventv1.Event) {
	c.t.Helper()
	for _, e := range events {
		res := c.Post(e)
		assert.Equal(c.t, http.StatusAccepted, res.status, res.body)
	}
}

// Send sends anything to the receiver.
func (c *collector) Send(method, path string, header map[string]string, body []byte) answered {
	c.t.Helper()
	return c.send(method, "http://"+c.events+path, header, body)
}

func (c *collector) send(method, url string, header map[string]string, body []byte) answered {
	c.t.Helper()
	req, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		c.t.Errorf("no request: %v", err)
		return answered{}
	}
	req.Header.Set("Content-Type", "application/json")
	for name, value := range header {
		req.Header.Set(name, value)
	}
	res, err := client.Do(req)
	if err != nil {
		c.t.Errorf("no answer: %v", err)
		return answered{}
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Errorf("no whole answer: %v", err)
	}
	return answered{res.StatusCode, res.Header, string(text)}
}

// logRecord is a log record that no Flux controller made.
type logRecord struct {
	body       string
	severity   int
	attributes map[string]string
}

// PostRecords posts records of one resource in one OTLP request.
func (c *collector) PostRecords(resource map[string]string, records ...logRecord) {
	c.t.Helper()
	logs := make([]any, 0, len(records))
	for _, r := range records {
		logs = append(logs, map[string]any{
			"timeUnixNano":   strconv.FormatInt(time.Date(2026, time.March, 9, 12, 12, 48, 0, time.UTC).UnixNano(), 10),
			"severityNumber": r.severity,
			"body":           map[string]any{"stringValue": r.body},
			"attributes":     attributes(r.attributes),
		})
	}
	body, err := json.Marshal(map[string]any{"resourceLogs": []any{map[string]any{
		"resource":  map[string]any{"attributes": attributes(resource)},
		"scopeLogs": []any{map[string]any{"logRecords": logs}},
	}}})
	require.NoError(c.t, err)
	res := c.send(http.MethodPost, "http://"+c.otlp+"/v1/logs", nil, body)
	require.Equal(c.t, http.StatusOK, res.status, res.body)
}

func attributes(m map[string]string) []any {
	list := make([]any, 0, len(m))
	for key, value := range m {
		list = append(list, map[string]any{"key": key, "value": map[string]any{"stringValue": value}})
	}
	return list
}

// numbered are distinct events of as many objects.
func numbered(n int) []eventv1.Event {
	events := make([]eventv1.Event, n)
	for i := range events {
		events[i] = newEvent(fmt.Sprintf("app-%d", i), fmt.Sprintf("message %d", i))
	}
	return events
}
