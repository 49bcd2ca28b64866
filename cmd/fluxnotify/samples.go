package main

import (
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
)

// samples are events of real controllers.
//
//go:embed samples/*.json
var samples embed.FS

// listSamples is what is asked for in the place of a sample's name.
const listSamples = "list"

func sampleNames() []string {
	entries, err := samples.ReadDir("samples")
	if err != nil {
		return nil // it is part of the program
	}
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = strings.TrimSuffix(entry.Name(), ".json")
	}
	return names
}

func sample(name string) (fluxevent.Event, error) {
	if !slices.Contains(sampleNames(), name) {
		return fluxevent.Event{}, fmt.Errorf("sample: %q is not one of %s", name, strings.Join(sampleNames(), ", "))
	}
	body, err := samples.ReadFile("samples/" + name + ".json")
	if err != nil {
		return fluxevent.Event{}, err
	}
	return fluxevent.Parse(body)
}

// samplePosting is a sample that happens now.
func samplePosting(name string, now time.Time) (posting, error) {
	e, err := sample(name)
	if err != nil {
		return posting{}, err
	}
	e.Timestamp = fluxevent.NewTime(now)
	body, err := json.Marshal(&e)
	return posting{name: "sample " + name, body: body}, err
}

func printSamples(w io.Writer, f format) error {
	type line struct {
		Sample   string `json:"sample"`
		Severity string `json:"severity"`
		Object   string `json:"object"`
		Reason   string `json:"reason"`
	}
	var lines []line
	for _, name := range sampleNames() {
		e, err := sample(name)
		if err != nil {
			return err
		}
		o := e.InvolvedObject
		lines = append(lines, line{name, e.Severity, o.Kind + "/" + o.Namespace + "/" + o.Name, e.Reason})
	}
	if f == asJSON {
		return printJSON(w, lines)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "SAMPLE\tSEVERITY\tOBJECT\tREASON")
	for _, l := range lines {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", l.Sample, l.Severity, l.Object, l.Reason)
	}
	return table.Flush()
}
