package fluxtraceconnector

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
)

// BenchmarkConsumeLogs makes a span of a usual record.
func BenchmarkConsumeLogs(b *testing.B) {
	c := connect(b, identified(), consumertest.NewNop())
	logs := logsOf(happens(0, "Kustomization", "apps", revision))
	b.ReportAllocs()
	for b.Loop() {
		require.NoError(b, c.ConsumeLogs(b.Context(), logs))
	}
}
