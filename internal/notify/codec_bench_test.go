package notify

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
)

// benchNotification is of an ordinary event of kustomize-controller.
func benchNotification() *Notification {
	event := &fluxevent.Event{
		InvolvedObject: fluxevent.Object{
			Kind: "Kustomization", Namespace: "apps", Name: "webapp", UID: "7d0cdc51-ddcf-4743-b223-83ca5c699632",
			APIVersion: "kustomize.toolkit.fluxcd.io/v1", ResourceVersion: "123456",
		},
		Severity: "info", Timestamp: fluxevent.Time{Time: time.Unix(1774124420, 0).UTC()}, Observed: time.Unix(1774124420, 5).UTC(),
		Message: "Deployment/apps/webapp configured\nService/apps/webapp configured\nIngress/apps/webapp configured",
		Reason:  "ReconciliationSucceeded", Cluster: "prod-eu",
		Metadata: map[string]string{
			"kustomize.toolkit.fluxcd.io/revision": "main@sha1:731f7eaddfb6af01cb2173e18f0f75b0ba780ef1",
			"event.toolkit.fluxcd.io/env":          "prod",
		},
		ReportingController: "kustomize-controller", ReportingInstance: "kustomize-controller-7c7b47f5f-8bhrp",
	}
	fields := []Field{{Key: "cluster", Value: "prod-eu"}, {Key: "env", Value: "prod"}, {Key: "revision", Value: "main@sha1:731f7eaddfb6af01cb2173e18f0f75b0ba780ef1"}}
	return New(event, fields, Alert{Name: "apps", Namespace: "flux-system", UID: "0b6ff2b8-9a0c-4f5f-8d0e-4f0a3c7f5c51"})
}

func BenchmarkMarshal(b *testing.B) {
	n := benchNotification()
	b.ReportAllocs()
	size := 0
	for b.Loop() {
		size = len(n.Marshal())
	}
	b.ReportMetric(float64(size), "bytes")
}

func BenchmarkUnmarshal(b *testing.B) {
	stored := benchNotification().Marshal()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Unmarshal(stored); err != nil {
			require.NoError(b, err)
		}
	}
}
