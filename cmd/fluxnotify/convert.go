package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/fluxnotify/otelcol-flux/internal/fluxmanifest"
)

func newConvert() *cobra.Command {
	var options fluxmanifest.Options
	cmd := &cobra.Command{
		Use:   "convert PATH…",
		Short: "Make a collector's configuration of Flux's Providers and Alerts",
		Long: `Reads Flux's Providers and Alerts from files and folders, and writes the collector's
configuration that does the same. It is what --config flux:PATH means to the collector,
to be kept and changed by hand.

No value of a Secret is written: for each stands a variable, listed at the top; with
--secrets the folder FOLDER/NAMESPACE/NAME into which the Secret is mounted.
What works, but perhaps not as its author thinks, is said on standard error. Whether
the exporters are content with their settings, "fluxnotify check" tells.
` + exitCodes,
		Example: `  fluxnotify convert ./notifications/ > collector.yaml
  fluxnotify convert --secrets /etc/secrets --storage /var/lib/otelcol-flux providers.yaml alerts.yaml
  kubectl get providers.notification.toolkit.fluxcd.io,alerts.notification.toolkit.fluxcd.io -A -o yaml > flux.yaml && fluxnotify convert flux.yaml`,
		Args: cobra.MinimumNArgs(1),
	}
	cmd.Flags().StringVar(&options.SecretRoot, "secrets", "", "folder under which Secrets are mounted, instead of variables")
	cmd.Flags().StringVar(&options.Endpoint, "endpoint", fluxmanifest.DefaultEndpoint, "where the receiver listens")
	cmd.Flags().StringVar(&options.Storage, "storage", "", "folder of persistent queues; without it they are in memory")
	_ = cmd.MarkFlagDirname("secrets")
	_ = cmd.MarkFlagDirname("storage")
	// What the exporters say of their settings is left to "fluxnotify check": here
	// the values of Secrets are not at hand.
	cmd.RunE = func(cmd *cobra.Command, paths []string) error {
		options.Secrets = fluxmanifest.SecretsFromEnvironment
		if options.SecretRoot != "" {
			options.Secrets = fluxmanifest.SecretsMounted
		}
		return convert(cmd.OutOrStdout(), cmd.ErrOrStderr(), paths, options)
	}
	return cmd
}

func convert(out, warnings io.Writer, paths []string, options fluxmanifest.Options) error {
	manifests, err := fluxmanifest.Load(paths...)
	if err != nil {
		return err
	}
	config, problems, err := fluxmanifest.Translate(manifests, options)
	for _, problem := range problems {
		_, _ = fmt.Fprintln(warnings, "warn: "+problem.String())
	}
	if err != nil {
		return err
	}
	text, err := writeConfig(config, paths)
	if err != nil {
		return err
	}
	_, err = out.Write(text)
	return err
}
