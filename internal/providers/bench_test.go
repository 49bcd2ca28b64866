package providers_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/fluxnotify/otelcol-flux/internal/alert"
	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/providers"
)

// BenchmarkRender renders a usual event for every type.
func BenchmarkRender(b *testing.B) {
	body, err := os.ReadFile(filepath.Join("..", "..", "testdata", "events", "kustomization-health-check-failed.json"))
	require.NoError(b, err)
	event, err := fluxevent.Parse(body)
	require.NoError(b, err)
	event.Observed = time.Unix(1_700_000_000, 0)
	apps, err := alert.New(&alert.Config{Name: "apps", EventMetadata: map[string]string{"cluster": "prod-eu"}}, zap.NewNop())
	require.NoError(b, err)
	for _, row := range providers.Table {
		b.Run(row.Type, func(b *testing.B) {
			settings := row.Sample
			settings.HTTP, settings.Logger = http.DefaultClient, zap.NewNop()
			provider, err := row.New(settings)
			require.NoError(b, err)
			n := apps.Notify(&event)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := provider.Render(n); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
