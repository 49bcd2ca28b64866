package fluxnotifyexporter

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/fluxnotify/otelcol-flux/internal/alert"
	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
)

func info(metadata map[string]string) plog.Logs {
	return fluxevent.ToLogs(&fluxevent.Event{
		InvolvedObject: fluxevent.Object{Kind: "Kustomization", Namespace: "apps", Name: "webapp", APIVersion: "kustomize.toolkit.fluxcd.io/v1"},
		Severity:       fluxevent.SeverityInfo, Reason: "ReconciliationSucceeded", Message: "finished", Metadata: metadata,
	}, time.Now())
}

func TestEveryRecordEndsAsOneOutcome(t *testing.T) {
	t.Parallel()
	commitStatus := map[string]string{"kustomize.toolkit.fluxcd.io/commit_status": "update"}
	for name, test := range map[string]struct {
		change func(*Config)
		logs   plog.Logs
		want   map[string]int64
	}{
		"no alerts":          {logs: info(nil), want: map[string]int64{"sent": 1}},
		"suspended provider": {change: func(c *Config) { c.Target.Suspend = true }, logs: info(nil), want: map[string]int64{"filtered suspend": 1}},
		"two alerts": {
			change: func(c *Config) { c.Target.Alerts = []alert.Config{{Name: "a"}, {Name: "b"}} },
			logs:   info(nil), want: map[string]int64{"sent": 2},
		},
		"the alert that came nearest": {
			change: func(c *Config) {
				c.Target.Alerts = []alert.Config{
					{EventSources: []alert.SourceConfig{{Kind: "HelmRelease"}}},
					{EventSeverity: "error"},
					{Suspend: true},
				}
			},
			logs: info(nil), want: map[string]int64{"filtered event_severity": 1},
		},
		"one of two alerts": {
			change: func(c *Config) { c.Target.Alerts = []alert.Config{{EventSeverity: "error"}, {Name: "b"}} },
			logs:   info(nil), want: map[string]int64{"sent": 1},
		},
		"commit status to a forwarder": {logs: info(commitStatus), want: map[string]int64{"sent": 1}},
		"commit status to a chat": {
			change: func(c *Config) { c.Target.Type = "slack" },
			logs:   info(commitStatus), want: map[string]int64{"filtered commit_status_update": 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sink := newEndpoint(t, nil)
			config := webhook(sink.URL)
			if test.change != nil {
				test.change(config)
			}
			e := start(t, config)
			require.NoError(t, e.ConsumeLogs(context.Background(), test.logs))
			e.stop(t)
			assert.Equal(t, test.want, e.counts(t))
			assert.Len(t, sink.seen(), int(test.want["sent"]))
		})
	}
}

func TestAnyLogRecordCanBecomeANotification(t *testing.T) {
	t.Parallel()
	sink := newEndpoint(t, nil)
	config := webhook(sink.URL)
	config.ErrorSeverity = "warn"
	config.Target.Alerts = []alert.Config{{EventSeverity: "error", EventSources: []alert.SourceConfig{{Kind: "Deployment"}}}}
	e := start(t, config)
	logs := plog.NewLogs()
	resourceLogs := logs.ResourceLogs().AppendEmpty()
	resourceLogs.Resource().Attributes().PutStr("k8s.deployment.name", "shop")
	resourceLogs.Resource().Attributes().PutStr("k8s.namespace.name", "sales")
	resourceLogs.Resource().Attributes().PutStr("service.name", "shop-api")
	record := resourceLogs.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	record.SetSeverityNumber(plog.SeverityNumberWarn)
	record.SetSeverityText("WARN")
	record.Body().SetEmptyMap().PutInt("free", 0)
	require.NoError(t, e.ConsumeLogs(context.Background(), logs))
	assert.JSONEq(t, `{
		"involvedObject": {"kind": "Deployment", "namespace": "sales", "name": "shop", "apiVersion": "v1"},
		"severity": "error", "timestamp": null, "message": "{\"free\":0}", "reason": "WARN",
		"reportingController": "shop-api"
	}`, sink.waitFor(t, 1)[0].body)
}
