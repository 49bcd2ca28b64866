package fluxnotifyexporter

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/exporter/exportertest"

	"github.com/fluxnotify/otelcol-flux/exporter/fluxnotifyexporter/internal/metadata"
	"github.com/fluxnotify/otelcol-flux/internal/alert"
	"github.com/fluxnotify/otelcol-flux/internal/source"
)

// BenchmarkMatch decides about one event, which the last of several targets wants. Each
// target has two alerts.
func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{1, 200} {
		b.Run(fmt.Sprintf("targets %d", n), func(b *testing.B) {
			config := createDefaultConfig().(*Config)
			config.Kubernetes = &KubernetesConfig{}
			e, err := newExporter(exportertest.NewNopSettings(metadata.Type), config)
			require.NoError(b, err)
			s := &scripted{}
			e.makeSource = func(context.Context, component.Host) (source.Source, error) { return s, nil }
			require.NoError(b, e.Start(context.Background(), nopHost()))
			defer func() { require.NoError(b, e.Shutdown(context.Background())) }()
			targets := make([]source.Target, n)
			for i := range targets {
				targets[i] = provider(fmt.Sprintf("p%03d", i), "http://127.0.0.1:1")
				namespace := fmt.Sprint("team-", i)
				if i == n-1 {
					namespace = "apps"
				}
				targets[i].Config.Alerts = []alert.Config{
					{Name: "a", Namespace: namespace, EventSources: []alert.SourceConfig{{Kind: "Kustomization", Name: "*"}}},
					{Name: "b", Namespace: namespace, EventSources: []alert.SourceConfig{{Kind: "HelmRelease", Name: "*"}}},
				}
			}
			s.changed(set(targets...))
			active := *e.active.Load()
			logs := event("webapp", "failed").ResourceLogs().At(0)
			record := logs.ScopeLogs().At(0).LogRecords().At(0)
			b.ReportAllocs()
			for b.Loop() {
				drafts, _ := e.match(active, logs.Resource(), record)
				if len(drafts) != 1 {
					b.Fatalf("%d notifications", len(drafts))
				}
			}
		})
	}
}
