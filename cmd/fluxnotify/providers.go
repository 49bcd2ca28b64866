package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/fluxnotify/otelcol-flux/exporter/fluxnotifyexporter"
	"github.com/fluxnotify/otelcol-flux/internal/source"
	"github.com/fluxnotify/otelcol-flux/internal/source/kubernetes"
	"github.com/fluxnotify/otelcol-flux/internal/target"
	"github.com/fluxnotify/otelcol-flux/internal/version"
)

// provider is one Provider of an exporter: that of its own settings, or one of the source
// that it names.
type provider struct {
	part
	// name is "namespace/name" of a Provider from a source. Empty: the exporter's own.
	name string
	// config has its settings; nil if there are none.
	config *target.Config
	// faults are what is wrong with it. It may work all the same: a faulty Alert is left
	// out.
	faults []string
	ready  bool
}

// title is the name under which it is shown.
func (p *provider) title(component string) string {
	if p.name == "" {
		return component
	}
	return component + " " + p.name
}

// chosen is true if it is one of those that were selected: by the exporter's ID, or
// as namespace/name.
func (p *provider) chosen(only []string) bool {
	return len(only) == 0 || slices.Contains(only, p.id.String()) || p.name != "" && slices.Contains(only, p.name)
}

// providersOf reads the Providers of exporters. Warnings go to w. An exporter with a
// source comes first, with the faults of no Provider, then its Providers.
func providersOf(ctx context.Context, exporters []part, w io.Writer) []provider {
	var all []provider
	for _, p := range exporters {
		config := p.exporter()
		if p.err != nil || config.Manifests == nil && config.Kubernetes == nil {
			one := provider{part: p, ready: p.err == nil, faults: linesOf(p.err)}
			if config != nil {
				one.config = &config.Target
			}
			all = append(all, one)
			continue
		}
		set, err := readSource(ctx, config)
		if err != nil {
			p.err = fmt.Errorf("%s: %w", p.path, err)
		}
		for _, warning := range set.Warnings {
			_, _ = fmt.Fprintln(w, "warn: "+warning.String())
		}
		all = append(all, provider{part: p, faults: append(linesOf(p.err), textsOf(set.Faults)...)})
		for i := range set.Targets {
			t := &set.Targets[i]
			all = append(all, provider{part: p, name: t.ID(), config: &t.Config, faults: textsOf(t.Faults), ready: t.Ready})
		}
	}
	return all
}

// readSource reads the source of an exporter once.
func readSource(ctx context.Context, config *fluxnotifyexporter.Config) (source.Set, error) {
	if m := config.Manifests; m != nil {
		set, err := source.ReadManifests(source.ManifestsOptions{Paths: m.Path, Secrets: m.Secrets, NoCrossNamespaceRefs: m.NoCrossNamespaceRefs})
		if err != nil {
			return set, fmt.Errorf("manifests::%w", err)
		}
		return set, nil
	}
	set, err := readCluster(ctx, config.Kubernetes)
	if err != nil {
		return set, fmt.Errorf("kubernetes::%w", err)
	}
	return set, nil
}

// clusterTime is how long the API server may need for everything.
const clusterTime = 20 * time.Second

// readCluster reads the objects of a cluster. It writes nothing there.
func readCluster(ctx context.Context, config *fluxnotifyexporter.KubernetesConfig) (set source.Set, err error) {
	cluster, err := kubernetes.New(kubernetes.Options{
		AuthType: config.AuthType, Context: config.Context, Namespaces: config.Namespaces, NoCrossNamespaceRefs: config.NoCrossNamespaceRefs,
		Logger: zap.NewNop(), Translator: &kubernetes.FluxTranslator{}, UserAgent: version.UserAgent(),
	})
	if err != nil {
		return set, err
	}
	defer func() { err = errors.Join(err, cluster.Shutdown(ctx)) }()
	first := make(chan source.Set, 1)
	err = cluster.Start(ctx, func(set source.Set) {
		select {
		case first <- set:
		default: // a later one
		}
	})
	if err != nil {
		return set, err
	}
	select {
	case set = <-first:
		return set, nil
	case <-ctx.Done():
		return set, ctx.Err()
	case <-time.After(clusterTime):
		causes := append([]string{"the API server has not sent everything within " + clusterTime.String()}, textsOf(cluster.Faults())...)
		return set, errors.New(strings.Join(causes, ": "))
	}
}

func textsOf(faults []source.Fault) []string {
	texts := make([]string, len(faults))
	for i, f := range faults {
		texts[i] = f.String()
	}
	return texts
}
