package fluxnotifyexporter

import (
	"context"
	"errors"
	"fmt"
	"os"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/fluxnotify/otelcol-flux/internal/source"
	"github.com/fluxnotify/otelcol-flux/internal/source/kubernetes"
	"github.com/fluxnotify/otelcol-flux/internal/version"
)

// newSource makes the source that the configuration names.
func (e *notifyExporter) newSource(ctx context.Context, host component.Host) (source.Source, error) {
	if c := e.config.Manifests; c != nil {
		return source.NewManifests(c.options(e)), nil
	}
	options := e.config.Kubernetes.options()
	options.Logger, options.Translator, options.UserAgent = e.set.Logger, &kubernetes.FluxTranslator{}, version.UserAgent()
	if e.keeps() {
		client, err := e.client(ctx, host, sourceName)
		if err != nil {
			return nil, err
		}
		options.State = state{client}
		e.state = client
	}
	s, err := kubernetes.New(options)
	if err != nil {
		return nil, fmt.Errorf("kubernetes::%w", err)
	}
	e.labels = s
	return s, nil
}

func (c *ManifestsConfig) options(e *notifyExporter) source.ManifestsOptions {
	options := source.ManifestsOptions{Paths: c.Path, Secrets: c.Secrets, NoCrossNamespaceRefs: c.NoCrossNamespaceRefs}
	if e != nil {
		options.Logger = e.set.Logger
	}
	return options
}

func (c *KubernetesConfig) options() kubernetes.Options {
	return kubernetes.Options{
		AuthType: c.AuthType, Context: c.Context, Namespaces: c.Namespaces,
		NoCrossNamespaceRefs: c.NoCrossNamespaceRefs, Events: c.Events == nil || *c.Events,
	}
}

// sourceName names the storage of the source's last good state.
const sourceName = "source"

// state keeps the last good state of a source in a storage.
type state struct{ client storage.Client }

const stateKey = "state"

// Load implements kubernetes.State.
func (s state) Load(ctx context.Context) ([]byte, error) { return s.client.Get(ctx, stateKey) }

// Save implements kubernetes.State.
func (s state) Save(ctx context.Context, data []byte) error {
	return s.client.Set(ctx, stateKey, data)
}

// validating reports that the collector has been asked to validate its configuration, and
// not to run with it. Then every fault of a manifest is an error; a collector that
// starts leaves out what is faulty.
var validating = func() bool { return len(os.Args) > 1 && os.Args[1] == "validate" }

// checkManifests reads the manifests once, prints the warnings, and returns the faults.
func (c *ManifestsConfig) checkManifests() error {
	set, err := source.ReadManifests(c.options(nil))
	if err != nil {
		return fmt.Errorf("manifests::%w", err)
	}
	for _, w := range set.Warnings {
		_, _ = fmt.Fprintln(os.Stderr, "warning: "+w.String())
	}
	var errs []error
	for _, f := range set.AllFaults() {
		errs = append(errs, errors.New(f.String()))
	}
	return errors.Join(errs...)
}
