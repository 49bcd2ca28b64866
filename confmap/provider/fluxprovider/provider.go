// Package fluxprovider is a shorthand for the configuration of a collector that sends the
// notifications of Flux's Providers and Alerts: --config flux:./notifications/ or
// --config flux:kubernetes.
package fluxprovider

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"go.opentelemetry.io/collector/confmap"
)

const schemeName = "flux"

// defaultEndpoint is where the receiver listens.
const defaultEndpoint = "localhost:8787"

// Names of the components.
const (
	receiverID = "flux_event"
	exporterID = "flux_notify"
	storageID  = "file_storage/flux"
	pipelineID = "logs/flux"
)

// provider makes a configuration of a URI. It reads no manifests: the exporter does, and
// watches them.
type provider struct{}

// NewFactory makes the factory of the provider for the scheme flux.
func NewFactory() confmap.ProviderFactory {
	return confmap.NewProviderFactory(func(confmap.ProviderSettings) confmap.Provider { return provider{} })
}

var _ confmap.Provider = provider{}

// Scheme implements confmap.Provider.
func (provider) Scheme() string { return schemeName }

// Shutdown implements confmap.Provider.
func (provider) Shutdown(context.Context) error { return nil }

// Retrieve implements confmap.Provider. The configuration of a URI never changes, so the
// collector is never reloaded.
func (provider) Retrieve(_ context.Context, uri string, _ confmap.WatcherFunc) (*confmap.Retrieved, error) {
	r, err := parseURI(uri)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", schemeName, err)
	}
	return confmap.NewRetrieved(r.config())
}

// config is a whole configuration: a receiver, an exporter, a pipeline.
func (r request) config() map[string]any {
	service := map[string]any{"pipelines": map[string]any{
		pipelineID: map[string]any{"receivers": []any{receiverID}, "exporters": []any{exporterID}},
	}}
	config := map[string]any{
		"receivers": map[string]any{receiverID: map[string]any{"endpoint": literal(cmp.Or(r.endpoint, defaultEndpoint))}},
		"exporters": map[string]any{exporterID: r.exporter()},
		"service":   service,
	}
	if r.storage != "" {
		config["extensions"] = map[string]any{storageID: map[string]any{"directory": literal(r.storage), "create_directory": true}}
		service["extensions"] = []any{storageID}
	}
	return config
}

func (r request) exporter() map[string]any {
	settings := map[string]any{}
	if r.path == kubernetes {
		settings[kubernetes] = r.cluster()
	} else {
		settings["manifests"] = r.manifests()
	}
	queue := map[string]any{}
	if r.storage != "" {
		queue["storage"] = storageID
	}
	if r.queueSize != 0 {
		queue["queue_size"] = r.queueSize
	}
	if r.numConsumers != 0 {
		queue["num_consumers"] = r.numConsumers
	}
	if len(queue) > 0 {
		settings["sending_queue"] = queue
	}
	if r.maxElapsedTime != "" {
		settings["retry_on_failure"] = map[string]any{"max_elapsed_time": r.maxElapsedTime}
	}
	return settings
}

func (r request) manifests() map[string]any {
	settings := map[string]any{"path": []any{literal(r.path)}} // a string would be split at commas
	if r.secrets != "" {
		settings["secrets"] = literal(r.secrets)
	}
	if r.noCrossNamespaceRefs {
		settings["no_cross_namespace_refs"] = true
	}
	return settings
}

// cluster are the settings of the Kubernetes API: that of the pod, or that of a context of
// the user's own configuration.
func (r request) cluster() map[string]any {
	settings := map[string]any{}
	if r.context != "" {
		settings["auth_type"], settings["context"] = "kubeConfig", literal(r.context)
	}
	if len(r.namespaces) > 0 {
		namespaces := make([]any, len(r.namespaces))
		for i, name := range r.namespaces {
			namespaces[i] = literal(name)
		}
		settings["namespaces"] = namespaces
	}
	if r.noCrossNamespaceRefs {
		settings["no_cross_namespace_refs"] = true
	}
	return settings
}

// literal doubles every $, because the collector expands them.
func literal(s string) string { return strings.ReplaceAll(s, "$", "$$") }
