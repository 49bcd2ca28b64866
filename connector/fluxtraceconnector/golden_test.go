package fluxtraceconnector

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

var update = flag.Bool("update", false, "write the goldens")

// TestGoldens makes traces of what happened: every testdata/*.events.json has
// its testdata/*.traces.json.
func TestGoldens(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("testdata", "*.events.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".events.json"), func(t *testing.T) {
			t.Parallel()
			sink := &consumertest.TracesSink{}
			c := connect(t, identified(), sink)
			for _, e := range eventsIn(t, filepath.Base(file)) {
				require.NoError(t, c.ConsumeLogs(t.Context(), logsOf(e)))
			}
			all := ptrace.NewTraces()
			for _, traces := range sink.AllTraces() {
				traces.ResourceSpans().MoveAndAppendTo(all.ResourceSpans())
			}
			raw, err := (&ptrace.JSONMarshaler{}).MarshalTraces(all)
			require.NoError(t, err)
			var got bytes.Buffer
			require.NoError(t, json.Indent(&got, raw, "", "  "))
			got.WriteByte('\n')
			golden := strings.TrimSuffix(file, ".events.json") + ".traces.json"
			if *update {
				require.NoError(t, os.WriteFile(golden, got.Bytes(), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err, "written with: go test ./connector/fluxtraceconnector -run TestGoldens -update")
			assert.Equal(t, string(want), got.String())
		})
	}
}
