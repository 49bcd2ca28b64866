package gitpeer

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers"
	"github.com/fluxnotify/otelcol-flux/internal/providers/gitstatus"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

// What NewestWins delivers.
const (
	objects    = 50
	perObject  = 20
	deliverers = 10
)

// NewestWins proves of a commit-status type that a thousand events of fifty
// objects, in any order, from ten goroutines, to a host that fails one call in
// five, leave every status as its newest event says, and that nothing is written
// which is there already.
func NewestWins(t *testing.T, row providers.Row) {
	t.Helper()
	shape, ok := Shapes[row.Type]
	require.True(t, ok, "Shapes lacks %s", row.Type)
	store := NewStore(t)
	server := providertest.Server(t, Unreliable(shape(t, store)))
	p := providertest.On(t, row, row.Sample, server.URL)

	var payloads []notify.Payload
	want := map[string]gitstatus.Status{} // of each object, that of the newest event
	for object := range objects {
		for second := range perObject {
			payload, status := rendered(t, p, object, second)
			payloads = append(payloads, payload)
			want[payload.Object] = status
		}
	}
	deliverAll(t, p, payloads)

	for object, status := range want {
		got, found := store.Newest(status.Commit, status.Key, status.Genre)
		if assert.True(t, found, object) {
			assert.Equal(t, status.State, got.State, object)
			assert.Equal(t, status.Description, got.Description, object)
		}
	}
	assert.GreaterOrEqual(t, store.Writes(), objects)
	assert.Less(t, store.Writes(), len(payloads)/2, "most events came after a newer one")
}

// deliverAll delivers in any order, from many goroutines.
func deliverAll(t *testing.T, p notify.Provider, payloads []notify.Payload) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	random.Shuffle(len(payloads), func(i, j int) { payloads[i], payloads[j] = payloads[j], payloads[i] })
	work := make(chan notify.Payload)
	var group sync.WaitGroup
	for range deliverers {
		group.Go(func() {
			for payload := range work {
				deliver(t, p, payload)
			}
		})
	}
	for _, payload := range payloads {
		work <- payload
	}
	close(work)
	group.Wait()
}

// deliver does what the exporter's retry does, without its pauses.
func deliver(t *testing.T, p notify.Provider, payload notify.Payload) {
	t.Helper()
	for range 100 {
		err := p.Deliver(t.Context(), payload)
		if err == nil {
			return
		}
		if !assert.NotEqual(t, notify.Permanent, notify.AsError(err).Class, err) {
			return
		}
	}
	assert.Fail(t, "never delivered", payload.Object)
}

// outcomes are what events tell in turn.
var outcomes = []struct{ severity, reason string }{
	{fluxevent.SeverityInfo, "ReconciliationSucceeded"},
	{fluxevent.SeverityError, "HealthCheckFailed"},
	{fluxevent.SeverityError, "ReconciliationFailed"},
}

func rendered(t *testing.T, p notify.Provider, object, second int) (notify.Payload, gitstatus.Status) {
	t.Helper()
	// Now and then an outcome is that of the event before.
	outcome := outcomes[(object+second-second/4)%len(outcomes)]
	e := fluxevent.Event{
		InvolvedObject: fluxevent.Object{
			Kind: "Kustomization", Namespace: "apps", Name: fmt.Sprintf("app-%02d", object), APIVersion: "kustomize.toolkit.fluxcd.io/v1",
		},
		Severity: outcome.severity, Reason: outcome.reason, Message: "told",
		Timestamp: fluxevent.NewTime(providertest.Observed.Add(time.Duration(second)*time.Second - time.Hour)),
		Metadata: map[string]string{
			"kustomize.toolkit.fluxcd.io/commit_status": "update",
			"kustomize.toolkit.fluxcd.io/revision":      fmt.Sprintf("main@sha1:%040x", object%5+1),
		},
	}
	payloads, err := p.Render(providertest.Notification(t, e))
	require.NoError(t, err)
	require.Len(t, payloads, 1)
	var status gitstatus.Status
	require.NoError(t, json.Unmarshal(payloads[0].Body, &status))
	return payloads[0], status
}
