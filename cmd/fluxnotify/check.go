package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/fluxnotify/otelcol-flux/internal/target"
)

func newCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check --config FILE [--connect]",
		Short: "Check the Flux components of a configuration, its manifests and endpoints",
		Long: `Checks the settings of every flux_notify exporter and every flux_event receiver, as
the collector does at startup, and the Providers, Alerts and Secrets of manifests. Every
fault and every warning is printed. Other components, pipelines and extensions are not
known here: "otelcol-flux validate" checks those.

With --connect every endpoint is tried too, without a notification. The table shows how:
"api" made a request with the credentials; "connection" opened a connection, with TLS and
through the proxy where these are set, and sent nothing on it, because this endpoint
offers no way to test credentials without sending a notification; "proxy" reached the
proxy; "none" is for types that cannot be checked. Authenticators and middlewares (auth,
middlewares) are extensions of a running collector, and not used.
` + exitCodes,
		Example: `  fluxnotify check --config collector.yaml
  fluxnotify check --config collector.yaml --connect
  fluxnotify check --config flux:./notifications/
  SLACK_TOKEN=xoxb-… fluxnotify check --config collector.yaml --connect -o json`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	config, output := addConfig(cmd), addFormat(cmd)
	connect := cmd.Flags().Bool("connect", false, "also try the endpoints, without sending a notification")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return runCheck(cmd, *config, *connect, *output)
	}
	return cmd
}

func runCheck(cmd *cobra.Command, config []string, connect bool, output format) error {
	conf, err := resolve(cmd.Context(), config, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	found, err := exporters(conf)
	if err != nil {
		return err
	}
	listeners, err := receivers(conf)
	if err != nil {
		return err
	}
	if len(found)+len(listeners) == 0 {
		return errors.New("config: there is no flux_notify exporter and no flux_event receiver in it")
	}
	var all []provider
	for _, p := range listeners {
		all = append(all, provider{part: p, faults: linesOf(p.err)})
	}
	all = append(all, providersOf(cmd.Context(), found, cmd.ErrOrStderr())...)
	checks := check(cmd.Context(), all, connect)
	if err := printChecks(cmd.OutOrStdout(), checks, output); err != nil {
		return err
	}
	if slices.ContainsFunc(checks, func(c checked) bool { return !c.well() }) {
		return errFailed
	}
	return nil
}

// checked is the output of check, as JSON.
type checked struct {
	Component string `json:"component"`
	// Provider is namespace/name of one from manifests.
	Provider string   `json:"provider,omitempty"`
	Type     string   `json:"type,omitempty"`
	Valid    bool     `json:"valid"`
	Errors   []string `json:"errors,omitempty"`
	// Check says how the endpoint was tried. Empty: it was not.
	Check     string `json:"check,omitempty"`
	Reachable *bool  `json:"reachable,omitempty"`
	Error     string `json:"error,omitempty"`
	Note      string `json:"note,omitempty"`
}

func (c *checked) well() bool { return c.Valid && c.Error == "" }

func check(ctx context.Context, providers []provider, connect bool) []checked {
	all := make([]checked, len(providers))
	for i := range providers {
		p, c := &providers[i], &all[i]
		c.Component, c.Provider, c.Errors, c.Valid = p.path, p.name, p.faults, len(p.faults) == 0
		if p.config != nil {
			c.Type = p.config.Type
		}
		if connect && p.ready {
			c.connect(ctx, p)
		}
	}
	return all
}

// linesOf are the lines of an error.
func linesOf(err error) []string {
	if err == nil {
		return nil
	}
	return strings.Split(err.Error(), "\n")
}

func (c *checked) connect(ctx context.Context, p *provider) {
	kind, err := target.Check(ctx, p.id, p.config)
	c.Check = string(kind)
	if err != nil {
		c.Error = err.Error()
	}
	if kind != target.CheckedNothing {
		reachable := err == nil
		c.Reachable = &reachable
	}
	if p.config.ClientConfig.Auth.HasValue() || len(p.config.ClientConfig.Middlewares) > 0 {
		c.Note = "auth and middlewares were not used"
	}
}

// lines are what the table says: the result, and why.
func (c *checked) lines() (word string, details []string) {
	switch {
	case !c.Valid:
		word, details = "invalid", append(details, c.Errors...)
		if c.Error != "" {
			details = append(details, c.Error)
		}
	case c.Error != "":
		word, details = "failed", append(details, c.Error)
	default:
		word = "ok"
	}
	if c.Check == string(target.CheckedNothing) && c.Error == "" {
		details = append(details, "this type has no check")
	}
	if c.Note != "" {
		details = append(details, c.Note)
	}
	return word, details
}

func printChecks(w io.Writer, checks []checked, f format) error {
	if f == asJSON {
		return printJSON(w, checks)
	}
	var b bytes.Buffer
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "RESULT\tCOMPONENT\tTYPE\tCHECK\tDETAIL")
	for i := range checks {
		c := &checks[i]
		word, details := c.lines()
		kind := "settings"
		if c.Check != "" {
			kind = c.Check
		}
		name := c.Component
		if c.Provider != "" {
			name += " " + c.Provider
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", word, name, c.Type, kind, strings.Join(details, "; "))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(w, coloured(b.String(), newPainter(w)))
	return err
}

// coloured paints the first word of every line, once the columns have their
// widths.
func coloured(table string, p painter) string {
	var b strings.Builder
	for line := range strings.Lines(table) {
		line = strings.TrimRight(line, " \n")
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case "ok":
			word = p.paint(green, word)
		case "invalid", "failed":
			word = p.paint(red, word)
		}
		b.WriteString(word + " " + rest + "\n")
	}
	return b.String()
}
