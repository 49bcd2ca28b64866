package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/fluxnotify/otelcol-flux/internal/fluxmanifest"
)

func newConvert() *cobra.Command {
	var collector fluxmanifest.Collector
	cmd := &cobra.Command{
		Use:   "convert PATH…",
		Short: "Make a collector's configuration of Flux's Providers and Alerts",
		Long: `Reads Flux's Providers and Alerts from files and folders, and writes a collector's
configuration that sends the same notifications: an exporter and a pipeline for each
Provider, to be kept and changed by hand. With --config flux:PATH the collector reads
the manifests itself, and follows their changes.

No value of a Secret is written: a variable stands for each, listed at the top; with
--secrets the folder FOLDER/NAMESPACE/NAME into which the Secret is mounted.
Faults and warnings go to standard error; an object with a fault is left out. Whether
the exporters accept their settings, "fluxnotify check" reports.
` + exitCodes,
		Example: `  fluxnotify convert ./notifications/ > collector.yaml
  fluxnotify convert --secrets /etc/secrets --storage /var/lib/otelcol-flux providers.yaml alerts.yaml
  kubectl get providers.notification.toolkit.fluxcd.io,alerts.notification.toolkit.fluxcd.io -A -o yaml > flux.yaml && fluxnotify convert flux.yaml`,
		Args: cobra.MinimumNArgs(1),
	}
	cmd.Flags().StringVar(&collector.SecretRoot, "secrets", "", "folder under which Secrets are mounted, instead of variables")
	cmd.Flags().StringVar(&collector.Endpoint, "endpoint", fluxmanifest.DefaultEndpoint, "where the receiver listens")
	cmd.Flags().StringVar(&collector.Storage, "storage", "", "folder of persistent queues; without it they are in memory")
	cmd.Flags().BoolVar(&collector.NoCrossNamespaceRefs, "no-cross-namespace-refs", false, "limit Alerts to events of their own namespace, like Flux's flag")
	_ = cmd.MarkFlagDirname("secrets")
	_ = cmd.MarkFlagDirname("storage")
	cmd.RunE = func(cmd *cobra.Command, paths []string) error {
		collector.Secrets = fluxmanifest.SecretsFromEnvironment
		if collector.SecretRoot != "" {
			collector.Secrets = fluxmanifest.SecretsMounted
		}
		return convert(cmd.OutOrStdout(), cmd.ErrOrStderr(), paths, collector)
	}
	return cmd
}

func convert(out, problems io.Writer, paths []string, collector fluxmanifest.Collector) error {
	manifests, err := fluxmanifest.Load(paths...)
	if err != nil {
		return err
	}
	config, warnings, faults := fluxmanifest.Translate(manifests, collector)
	for _, warning := range warnings {
		_, _ = fmt.Fprintln(problems, "warn: "+warning.String())
	}
	if config == nil {
		return faults
	}
	for _, fault := range faults {
		_, _ = fmt.Fprintln(problems, "fault: "+fault.String())
	}
	text, err := writeConfig(config, paths)
	if err != nil {
		return err
	}
	if _, err = out.Write(text); err == nil && len(faults) > 0 {
		err = errFailed
	}
	return err
}
