package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
)

const (
	// defaultEndpoint is where a flux_event receiver listens by default.
	defaultEndpoint = "http://localhost:8787/"
	// keyVariable holds the key of signatures.
	keyVariable = "FLUXNOTIFY_HMAC_KEY"
)

// sendFlags are the flags of send.
type sendFlags struct {
	endpoint, key, keyFile, caFile string
	timeout                        time.Duration
	samples                        []string
	unique                         bool
}

func newSend() *cobra.Command {
	flags := &sendFlags{}
	cmd := &cobra.Command{
		Use:   "send [--endpoint URL] EVENT.json… | --sample NAME",
		Short: "Post events to a flux_event receiver, and print its answers",
		Long: `Posts events to a flux_event receiver, as Flux's controllers do, and prints each answer:
accepted, duplicate (the receiver knows the event, and sends nothing again), or refused
and why.

An event is a JSON file, sent as it is; - is the standard input. A file may hold
several, one after the other or as a list. Samples are built in, and happen now.
What was sent a moment ago is a duplicate: --unique makes it another event, by a
metadata key "token" that no notification shows.

A receiver with signature keys wants events signed. Give the key in the variable
` + keyVariable + ` or in a file: on the command line everybody on the machine can
read it. All bytes of the file are the key, a line break at its end too.
` + exitCodes,
		Example: `  fluxnotify send --sample list
  fluxnotify send --sample kustomization-failed --unique
  fluxnotify send --endpoint http://otelcol-flux.flux-system:8787/ event.json
  ` + keyVariable + `=… fluxnotify send testdata/events/*.json
  fluxnotify send --hmac-key-file /etc/fluxnotify/hmac - < event.json`,
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"json"}, cobra.ShellCompDirectiveFilterFileExt
		},
	}
	output := addFormat(cmd)
	flags.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, files []string) error {
		if slices.Contains(flags.samples, listSamples) {
			return printSamples(cmd.OutOrStdout(), *output)
		}
		return flags.run(cmd, files, *output)
	}
	return cmd
}

func (f *sendFlags) run(cmd *cobra.Command, files []string, output format) error {
	postings, err := f.postings(files, cmd.InOrStdin())
	if err != nil {
		return err
	}
	s, err := f.sender()
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	p, results := newPainter(out), make([]result, len(postings))
	for i, posting := range postings {
		results[i] = s.send(cmd.Context(), posting)
		if output == asText {
			_, _ = fmt.Fprintln(out, results[i].line(p))
		}
	}
	if output == asJSON {
		if err := printJSON(out, results); err != nil {
			return err
		}
	}
	if slices.ContainsFunc(results, func(r result) bool { return r.Result != accepts }) {
		return errFailed
	}
	return nil
}

func (f *sendFlags) add(cmd *cobra.Command) {
	set := cmd.Flags()
	set.StringVar(&f.endpoint, "endpoint", defaultEndpoint, "URL of the receiver")
	set.StringVar(&f.key, "hmac-key", "", "key of the signature; prefer "+keyVariable+" or --hmac-key-file, which other users cannot read")
	set.StringVar(&f.keyFile, "hmac-key-file", "", "file that is the key of the signature")
	set.StringVar(&f.caFile, "ca-file", "", "certificates of the authorities to trust, in PEM form")
	set.DurationVar(&f.timeout, "timeout", 15*time.Second, "how long one answer may take")
	set.StringArrayVar(&f.samples, "sample", nil, "send a built-in event; may be repeated; list shows them")
	set.BoolVar(&f.unique, "unique", false, "make every event one that the receiver cannot know yet")
	cmd.MarkFlagsMutuallyExclusive("hmac-key", "hmac-key-file")
	_ = cmd.MarkFlagFilename("hmac-key-file")
	_ = cmd.MarkFlagFilename("ca-file", "pem", "crt")
	_ = cmd.RegisterFlagCompletionFunc("sample", cobra.FixedCompletions(append(sampleNames(), listSamples), cobra.ShellCompDirectiveNoFileComp))
}

// postings are the events to send.
func (f *sendFlags) postings(files []string, in io.Reader) ([]posting, error) {
	if len(files)+len(f.samples) == 0 {
		return nil, errors.New("name an event's file, - for the standard input, or --sample (list shows which)")
	}
	all, err := readPostings(files, in)
	if err != nil {
		return nil, err
	}
	for _, name := range f.samples {
		p, err := samplePosting(name, time.Now())
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	if !f.unique {
		return all, nil
	}
	for i := range all {
		if err := all[i].makeUnique(); err != nil {
			return nil, fmt.Errorf("%s: %w", all[i].name, err)
		}
	}
	return all, nil
}

// makeUnique gives the event a token, by which the receiver distinguishes events
// and no notification shows.
func (p *posting) makeUnique() error {
	e, err := fluxevent.Parse(p.body)
	if err != nil {
		return err
	}
	group := e.InvolvedObject.Group()
	if group == "" {
		return errors.New("unique: the event's object is of no API group, so it can have no token")
	}
	if e.Metadata == nil {
		e.Metadata = map[string]string{}
	}
	e.Metadata[group+"/token"] = uuid.NewString()
	p.body, err = json.Marshal(&e)
	return err
}

// hmacKey is the key of signatures; none where there is nothing to sign with.
func (f *sendFlags) hmacKey() ([]byte, error) {
	if f.keyFile == "" {
		if f.key == "" {
			f.key = os.Getenv(keyVariable)
		}
		return []byte(f.key), nil
	}
	key, err := os.ReadFile(f.keyFile)
	if err != nil {
		return nil, fmt.Errorf("hmac-key-file: %w", err)
	}
	if len(key) == 0 {
		return nil, errors.New("hmac-key-file: is empty, so anybody could sign")
	}
	return key, nil
}
