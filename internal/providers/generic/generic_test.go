package generic_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/generic"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A receiver of this project that has the event already says so with a 429,
// which from anybody else means to wait.
func TestDuplicateHasArrived(t *testing.T) {
	t.Parallel()
	for header, arrived := range map[string]bool{"duplicate": true, "": false, "other": false} {
		server := providertest.Server(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Flux-Event", header)
			w.WriteHeader(http.StatusTooManyRequests)
		})
		p, err := generic.New(providertest.Complete(t, notify.Settings{Address: server.URL}))
		require.NoError(t, err)
		err = p.Deliver(t.Context(), providertest.Payload(t, p))
		if arrived {
			require.NoError(t, err)
			continue
		}
		var e *notify.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, notify.Throttled, e.Class)
	}
}

// What is forwarded can be received: nothing is lost on the way.
func TestForwardedEventIsTheEvent(t *testing.T) {
	t.Parallel()
	p, err := generic.New(providertest.Complete(t, notify.Settings{Address: "https://example.com"}))
	require.NoError(t, err)
	for name, e := range providertest.Events(t) {
		n := providertest.NotificationWith(t, e, nil)
		payloads, err := p.Render(n)
		require.NoError(t, err)
		got, err := fluxevent.Parse(payloads[0].Body)
		require.NoError(t, err, name)
		got.Observed = providertest.Observed
		assert.Equal(t, n.Event, got, name)
	}
}
