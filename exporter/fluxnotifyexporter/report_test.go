package fluxnotifyexporter

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

func TestAnEndpointThatFailsNowAndThenDoesNotFillTheLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		set := componenttest.NewNopTelemetrySettings()
		set.Logger = zap.New(core)
		r, err := newReport(set, "generic")
		require.NoError(t, err)
		d, o := &delivery{event: &fluxevent.Event{}}, &owed{failed: notify.Retryablef("500", "failed")}
		sickAndWell := func() {
			r.retrying(d, o)
			time.Sleep(time.Second)
			r.sent(d)
			time.Sleep(time.Second)
		}
		lines := func() (sick, well int) {
			all := logs.TakeAll()
			for _, line := range all {
				if line.Level == zap.WarnLevel {
					sick++
				}
			}
			return sick, len(all) - sick
		}
		begun := time.Now()
		for time.Since(begun) < 10*silence {
			sickAndWell()
		}
		sick, well := lines()
		assert.Equal(t, 10, sick)
		assert.Equal(t, 10, well)

		// What is passed over is said when its time has come, if it lasts.
		time.Sleep(silence)
		sickAndWell()
		r.retrying(d, o)
		sick, well = lines()
		assert.Equal(t, []int{1, 1}, []int{sick, well})
		time.Sleep(silence)
		r.retrying(d, o)
		r.retrying(d, o)
		sick, _ = lines()
		assert.Equal(t, 1, sick)
		r.sent(d)
		r.sent(d)
		_, well = lines()
		assert.Equal(t, 1, well)
	})
}
