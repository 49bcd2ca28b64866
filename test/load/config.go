package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// defaultQueue is the queue_size of most runs. Senders wait when the queue is full, so
// that a run measures how fast notifications are delivered, and not how many fit.
const defaultQueue = 1000

// config is that of a plain installation, with the default telemetry.
func (b *bench) config(s scenario, dir, address, target string) (string, error) {
	metrics, err := freeAddress()
	if err != nil {
		return "", err
	}
	host, port, err := net.SplitHostPort(metrics)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	fmt.Fprintf(&text, "receivers:\n  flux_event: {endpoint: %q}\nexporters:\n", address)
	names := []string{"flux_notify"}
	switch {
	case len(s.namespaces) > 0:
		names = nil
		for i, namespace := range s.namespaces {
			names = append(names, fmt.Sprintf("flux_notify/%d", i))
			fmt.Fprintf(&text, "  %s:\n%s    alerts: [{name: team, event_sources: [{kind: Kustomization, namespace: %q}]}]\n", names[i], b.exporter(s, target), namespace)
		}
	case s.targets > 0:
		folder := filepath.Join(dir, "manifests")
		if err := manifests(folder, target, s.targets); err != nil {
			return "", err
		}
		fmt.Fprintf(&text, "  flux_notify:\n    manifests: {path: %q}\n%s", folder, b.queue(s))
	default:
		fmt.Fprintf(&text, "  flux_notify:\n%s%s", b.exporter(s, target), alerts(s.alerts))
	}
	extensions := ""
	if s.storage != "" {
		fmt.Fprintf(&text, "extensions:\n  file_storage: {directory: %q, create_directory: true, fsync: %t}\n", filepath.Join(dir, "storage"), s.storage == synced)
		extensions = "file_storage"
	}
	fmt.Fprintf(&text, `service:
  extensions: [%s]
  telemetry:
    metrics:
      readers: [{pull: {exporter: {prometheus: {host: %q, port: %s}}}}]
    logs: {level: warn}
  pipelines:
    logs: {receivers: [flux_event], exporters: [%s]}
`, extensions, host, port, strings.Join(names, ", "))
	return text.String(), nil
}

// exporter is the settings of an exporter, without alerts.
func (b *bench) exporter(s scenario, target string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "    type: generic\n    address: %q\n    retry_on_failure: {max_interval: 10s}\n%s", target, b.queue(s))
	if s.tls {
		fmt.Fprintf(&text, "    tls: {ca_file: %q}\n", b.ca.file)
	}
	return text.String()
}

// queue is the setting of the queue.
func (b *bench) queue(s scenario) string {
	queue := fmt.Sprintf("queue_size: %d, block_on_overflow: true", defaultQueue)
	if s.queue > 0 {
		queue = fmt.Sprintf("queue_size: %d", s.queue)
	}
	if s.storage != "" {
		queue += ", storage: file_storage"
	}
	return fmt.Sprintf("    sending_queue: {%s, num_consumers: %d}\n", queue, b.options.senders)
}

// manifests writes so many Providers, each with two Alerts, of which only the last
// Provider's want the events.
func manifests(folder, target string, n int) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	for i := range n {
		namespace, wanted := fmt.Sprintf("other-%03d", i), fmt.Sprintf("other-%03d", i)
		if i == n-1 {
			wanted = "*"
		}
		text := fmt.Sprintf(`apiVersion: notification.toolkit.fluxcd.io/v1beta3
kind: Provider
metadata: {name: hook, namespace: %[1]s}
spec: {type: generic, address: %[2]q}
`, namespace, target)
		for _, kind := range []string{"Kustomization", "HelmRelease"} {
			text += fmt.Sprintf(`---
apiVersion: notification.toolkit.fluxcd.io/v1beta3
kind: Alert
metadata: {name: %[1]s, namespace: %[2]s}
spec: {providerRef: {name: hook}, eventSources: [{kind: %[3]s, name: "*", namespace: %[4]q}]}
`, strings.ToLower(kind), namespace, kind, wanted)
		}
		if err := os.WriteFile(filepath.Join(folder, namespace+".yaml"), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// alerts are so many alerts, of which only the last wants the events.
func alerts(n int) string {
	if n == 0 {
		return ""
	}
	var text strings.Builder
	text.WriteString("    alerts:\n")
	for i := range n {
		name := "other-" + strconv.Itoa(i)
		if i == n-1 {
			name = "team-*"
		}
		fmt.Fprintf(&text, `      - name: alert-%d
        namespace: flux-system
        event_severity: info
        event_sources: [{kind: Kustomization, name: "*", namespace: %q}, {kind: HelmRelease, name: "*", namespace: %q}]
        exclusion_list: ["waiting.*socket", "^Reconciliation in progress"]
`, i, name, name)
	}
	return text.String()
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}
