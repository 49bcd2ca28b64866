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
		Long: `Shows for every event and every Provider which Alert wants it and what would be sent
where: the request to the byte, its secrets masked; or which rule filters the event, and
why. Nothing is sent, and nothing else than the configuration and its manifests is read.

An event is a JSON file as Flux controllers post it; - is the standard input. A file
may hold several, one after the other or as a list. Where a type reads something
from its endpoint before it sends, that is shown, and the request is the one without
that answer. Secrets in headers, addresses and bodies are shown as [REDACTED].
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
	only := cmd.Flags().StringArrayP("exporter", "e", nil, "only this exporter, such as flux_notify/slack, or this Provider of its manifests, such as apps/slack; may be repeated")
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
	chosen, err := choose(cmd.Context(), conf, only, cmd.ErrOrStderr())
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
		return namesOf(providersOf(cmd.Context(), found, io.Discard)), cobra.ShellCompDirectiveNoFileComp
	}
}

// namesOf are the names by which Providers can be chosen.
func namesOf(providers []provider) []string {
	var names []string
	for i := range providers {
		names = append(names, providers[i].id.String())
		if providers[i].name != "" {
			names = append(names, providers[i].name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// choose returns the Providers that were asked for, or all. An exporter with wrong
// settings is an error. Of a source, faults go to w.
func choose(ctx context.Context, conf *confmap.Conf, only []string, w io.Writer) ([]provider, error) {
	found, err := exporters(conf)
	if err != nil {
		return nil, err
	}
	all := providersOf(ctx, found, w)
	var chosen []provider
	var errs []error
	for i := range all {
		p := &all[i]
		if !p.chosen(only) {
			continue
		}
		errs = append(errs, p.err)
		if p.config == nil {
			for _, fault := range p.faults {
				_, _ = fmt.Fprintln(w, "fault: "+fault)
			}
			continue
		}
		chosen = append(chosen, *p)
	}
	names := namesOf(all)
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

func render(ctx context.Context, providers []provider, events []namedEvent, warnings io.Writer) ([]renderedEvent, error) {
	previews := make([]*target.Preview, len(providers))
	for i := range providers {
		p := &providers[i]
		if p.name != "" {
			for _, fault := range p.faults {
				_, _ = fmt.Fprintln(warnings, "fault: "+fault)
			}
		}
		if rule, _, _ := p.idle(); rule != "" || !p.ready {
			continue
		}
		preview, err := target.NewPreview(ctx, p.id, p.config)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.title(p.path), err)
		}
		defer func() { _ = preview.Shutdown(ctx) }()
		if p.name == "" { // a source has them among its own
			for _, warning := range preview.Warnings() {
				_, _ = fmt.Fprintf(warnings, "warn: %s: %s\n", p.path, warning)
			}
		}
		previews[i] = preview
	}
	all := make([]renderedEvent, len(events))
	for i := range events {
		all[i] = newRenderedEvent(&events[i])
		for j := range providers {
			all[i].Exporters = append(all[i].Exporters, providers[j].rendered(ctx, previews[j], &events[i].event))
		}
	}
	return all, nil
}

// idle returns why a Provider of a source sends nothing, whatever the event.
func (p *provider) idle() (rule, why, fails string) {
	switch {
	case p.name == "":
	case len(p.config.Alerts) == 0:
		return "alerts", "no Alert that can be used refers to it", ""
	case !p.ready:
		return "", "", strings.Join(p.faults, "; ")
	case p.config.Suspend:
		return target.RuleSuspend, "notifications wait until the Provider is resumed", ""
	}
	return "", "", ""
}

// rendered is what a Provider makes of an event.
func (p *provider) rendered(ctx context.Context, preview *target.Preview, event *fluxevent.Event) renderedExporter {
	if preview == nil {
		rule, why, fails := p.idle()
		return renderedExporter{Exporter: p.id.String(), Provider: p.name, Type: p.config.Type, Rule: rule, Why: why, Fails: fails}
	}
	r := newRenderedExporter(p.id.String(), p.config.Type, preview.Of(ctx, event))
	r.Provider = p.name
	return r
}
