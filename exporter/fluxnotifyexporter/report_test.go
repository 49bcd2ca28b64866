package fluxnotifyexporter

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fluxnotify/otelcol-flux/exporter/fluxnotifyexporter/internal/metadata"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

func TestAnEndpointThatFailsNowAndThenDoesNotFillTheLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		set := exportertest.NewNopSettings(metadata.Type)
		set.Logger = zap.New(core)
		telemetry, err := newTelemetry(&notifyExporter{set: set, config: createDefaultConfig().(*Config)})
		require.NoError(t, err)
		r := telemetry.report("", "generic")
		n, failed := &notify.Notification{}, notify.Retryablef("500", "failed")
		sickAndWell := func() {
			r.Retrying(n, failed)
			time.Sleep(time.Second)
			r.Sent(n, time.Now())
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
		r.Retrying(n, failed)
		sick, well = lines()
		assert.Equal(t, []int{1, 1}, []int{sick, well})
		time.Sleep(silence)
		r.Retrying(n, failed)
		r.Retrying(n, failed)
		sick, _ = lines()
		assert.Equal(t, 1, sick)
		r.Sent(n, time.Now())
		r.Sent(n, time.Now())
		_, well = lines()
		assert.Equal(t, 1, well)
	})
}
