package main

import (
	"github.com/spf13/cobra"

	"github.com/fluxnotify/otelcol-flux/internal/version"
)

const exitCodes = `
Exit codes: 0 all is well; 1 it was done and something is not as it should be (an
event was not accepted, an exporter is wrong or cannot be reached, a notification
would fail); 2 it could not be done (usage, unreadable files, a configuration that
cannot be resolved).`

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "fluxnotify",
		Short: "The companion of the collector's Flux components",
		Long: `fluxnotify shows what a flux_notify exporter would send, sends events to a
flux_event receiver, checks configurations, and makes them out of Flux's manifests.
` + exitCodes,
		Version:       version.String(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(newRender(), newSend(), newCheck(), newConvert())
	return root
}
