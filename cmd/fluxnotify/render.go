package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.opentelemetry.io/collector/confmap"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/target"
)

func newRender() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "render --config FILE EVENT.json…",
		Short: "Show what exporters would send for events, and send nothing",
		Long: `Shows for every event and every flux_notify exporter which alert wants it and what
would be sent where: the request that the exporter would make, to the byte, its
secrets masked; or which rule leaves the event out, and why. Nothing is sent, and
nothing else than the configuration is read.

An event is a JSON file as Flux controllers post it; - is the standard input. A file
may hold several, one after the other or as a list. Where a type reads something
from its endpoint before it sends, that is said, and what is shown is what would be
said. Of secrets in headers, addresses and bodies [REDACTED] is shown.
` + exitCodes,
		Example: `  fluxnotify render --config collector.yaml event.json
  fluxnotify render --config collector.yaml --exporter flux_notify/slack testdata/events/*.json
  fluxnotify render --config flux:./notifications/ - < event.json
  fluxnotify render --config collector.yaml -o json event.json | jq -r '.[].exporters[].alerts[].requests[].body'`,
		Args: cobra.MinimumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"json"}, cobra.ShellCompDirectiveFilterFileExt
		},
	}
	config, output := addConfig(cmd), addFormat(cmd)
	only := cmd.Flags().StringArrayP("exporter", "e", nil, "only this exporter, such as flux_notify/slack; may be repeated")
	_ = cmd.RegisterFlagCompletionFunc("exporter", completeExporters(config))
	cmd.RunE = func(cmd *cobra.Command, files []string) error {
		return runRender(cmd, files, *config, *only, *output)
	}
	return cmd
}

func runRender(cmd *cobra.Command, files, config, only []string, output format) error {
	events, err := readEvents(files, cmd.InOrStdin())
	if err != nil {
		return err
	}
	conf, err := resolve(cmd.Context(), config, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	chosen, err := chooseExporters(conf, only)
	if err != nil {
		return err
	}
	rendered, err := render(cmd.Context(), chosen, events, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	if err := printRendered(cmd.OutOrStdout(), rendered, output); err != nil {
		return err
	}
	if slices.ContainsFunc(rendered, renderedEvent.fails) {
		return errFailed
	}
	return nil
}

func completeExporters(config *[]string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		conf, err := resolve(cmd.Context(), *config, io.Discard)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		found, err := exporters(conf)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		names := make([]string, len(found))
		for i := range found {
			names[i] = found[i].id.String()
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// chooseExporters gives those that were asked for, or all. None of them may be
// wrong.
func chooseExporters(conf *confmap.Conf, only []string) ([]part, error) {
	all, err := exporters(conf)
	if err != nil {
		return nil, err
	}
	var chosen []part
	var errs []error
	names := make([]string, len(all))
	for i, p := range all {
		names[i] = p.id.String()
		if len(only) > 0 && !slices.Contains(only, names[i]) {
			continue
		}
		chosen = append(chosen, p)
		errs = append(errs, p.err)
	}
	for _, name := range only {
		if !slices.Contains(names, name) {
			errs = append(errs, fmt.Errorf("exporter: %q is not one of the configuration's: %s", name, strings.Join(names, ", ")))
		}
	}
	if len(all) == 0 {
		errs = append(errs, errors.New("config: there is no flux_notify exporter in it"))
	}
	return chosen, errors.Join(errs...)
}

// namedEvent is an event and where it was read.
type namedEvent struct {
	name  string
	event fluxevent.Event
}

func readEvents(files []string, in io.Reader) ([]namedEvent, error) {
	postings, err := readPostings(files, in)
	if err != nil {
		return nil, err
	}
	events := make([]namedEvent, len(postings))
	var errs []error
	for i, p := range postings {
		events[i].name = p.name
		if events[i].event, err = fluxevent.Parse(p.body); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", p.name, err))
		}
	}
	return events, errors.Join(errs...)
}

func render(ctx context.Context, exporters []part, events []namedEvent, warnings io.Writer) ([]renderedEvent, error) {
	previews := make([]*target.Preview, len(exporters))
	for i, p := range exporters {
		preview, err := target.NewPreview(ctx, p.id, &p.exporter().Target)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.path, err)
		}
		defer func() { _ = preview.Shutdown(ctx) }()
		for _, warning := range preview.Warnings() {
			_, _ = fmt.Fprintf(warnings, "warn: %s: %s\n", p.path, warning)
		}
		previews[i] = preview
	}
	all := make([]renderedEvent, len(events))
	for i := range events {
		all[i] = newRenderedEvent(&events[i])
		for j, p := range exporters {
			decision := previews[j].Of(ctx, &events[i].event)
			all[i].Exporters = append(all[i].Exporters, newRenderedExporter(p.id.String(), p.exporter().Target.Type, decision))
		}
	}
	return all, nil
}
