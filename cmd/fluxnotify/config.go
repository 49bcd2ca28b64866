package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/envprovider"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/confmap/provider/yamlprovider"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/fluxnotify/otelcol-flux/confmap/provider/fluxprovider"
	"github.com/fluxnotify/otelcol-flux/exporter/fluxnotifyexporter"
	"github.com/fluxnotify/otelcol-flux/receiver/fluxeventreceiver"
)

// addConfig adds the flag --config, which is the collector's own.
func addConfig(cmd *cobra.Command) *[]string {
	uris := cmd.Flags().StringArrayP("config", "c", nil, "configuration of the collector: a file, or a URI of env:, file:, yaml: or flux:; several are merged, the last wins")
	_ = cmd.MarkFlagRequired("config")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml")
	return uris
}

// resolve reads a configuration as the collector does.
func resolve(ctx context.Context, uris []string, warnings io.Writer) (*confmap.Conf, error) {
	resolver, err := confmap.NewResolver(confmap.ResolverSettings{
		URIs: uris,
		ProviderFactories: []confmap.ProviderFactory{
			envprovider.NewFactory(), fileprovider.NewFactory(), yamlprovider.NewFactory(), fluxprovider.NewFactory(),
		},
		ProviderSettings: confmap.ProviderSettings{Logger: warner(warnings)},
		DefaultScheme:    "env",
	})
	if err != nil {
		return nil, err
	}
	conf, err := resolver.Resolve(ctx)
	return conf, errors.Join(err, resolver.Shutdown(ctx))
}

// warner prints what providers of configurations warn of.
func warner(w io.Writer) *zap.Logger {
	encoder := zapcore.NewConsoleEncoder(zapcore.EncoderConfig{MessageKey: "message", LevelKey: "level", EncodeLevel: zapcore.LowercaseLevelEncoder, ConsoleSeparator: ": "})
	return zap.New(zapcore.NewCore(encoder, zapcore.AddSync(w), zapcore.WarnLevel))
}

// part is a component of this project in a configuration.
type part struct {
	id   component.ID
	path string // "exporters::flux_notify/slack"
	// config is what its settings mean; err is why they do not.
	config component.Config
	err    error
}

func (p *part) exporter() *fluxnotifyexporter.Config {
	config, _ := p.config.(*fluxnotifyexporter.Config)
	return config
}

// exporters are the flux_notify exporters of a configuration, sorted.
func exporters(conf *confmap.Conf) ([]part, error) {
	factory := fluxnotifyexporter.NewFactory()
	return parts(conf, "exporters", factory.Type(), factory.CreateDefaultConfig)
}

// receivers are its flux_event receivers.
func receivers(conf *confmap.Conf) ([]part, error) {
	factory := fluxeventreceiver.NewFactory()
	return parts(conf, "receivers", factory.Type(), factory.CreateDefaultConfig)
}

// parts finds the components of a type. Others are ignored: they may be unknown here.
func parts(conf *confmap.Conf, section string, of component.Type, makeDefault func() component.Config) ([]part, error) {
	all, _ := conf.ToStringMap()[section].(map[string]any)
	var found []part
	for _, name := range slices.Sorted(maps.Keys(all)) {
		var id component.ID
		if typeName, _, _ := strings.Cut(name, "/"); strings.TrimSpace(typeName) != of.String() {
			continue
		}
		if err := id.UnmarshalText([]byte(name)); err != nil {
			return nil, fmt.Errorf("%s::%s: %w", section, name, err)
		}
		p := part{id: id, path: section + "::" + id.String(), config: makeDefault()}
		if settings, ok := all[name].(map[string]any); ok || all[name] == nil {
			p.err = load(section, id, settings, p.config)
		} else {
			p.err = fmt.Errorf("%s: must be a map of settings", p.path)
		}
		found = append(found, p)
	}
	return found, nil
}

// load reads settings as the collector does, and has them validated as part of
// the whole, which gives its errors their paths.
func load(section string, id component.ID, settings map[string]any, config component.Config) error {
	if err := confmap.NewFromStringMap(settings).Unmarshal(config); err != nil {
		return fmt.Errorf("%s::%s: %w", section, id, err)
	}
	return confmap.Validate(map[string]map[string]component.Config{section: {id.String(): config}})
}
