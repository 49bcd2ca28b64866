package main

import (
	"github.com/spf13/cobra"

	"github.com/fluxnotify/otelcol-flux/internal/version"
)

const exitCodes = `
Exit codes: 0 all is well; 1 the command ran and found problems (an event was not
accepted, an exporter or an object is wrong or cannot be reached, a notification would
fail); 2 the command could not run (usage, unreadable files, a configuration that
cannot be resolved).`

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "fluxnotify",
		Short: "The companion of the collector's Flux components",
		Long: `fluxnotify shows what a flux_notify exporter would send, sends events to a
flux_event receiver, checks configurations and Flux's manifests, and converts these.
` + exitCodes,
		Version:       version.String(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(newRender(), newSend(), newCheck(), newConvert())
	return root
}
