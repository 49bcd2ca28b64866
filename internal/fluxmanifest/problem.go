package fluxmanifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Position is a line of a file; 0 where only the file is known.
type Position struct {
	File string
	Line int
}

// Problem is what is wrong in a manifest, or worth a word. It never holds the
// value of a Secret, of an address or of a channel.
type Problem struct {
	Position
	// Object is the manifest, such as "Alert apps/slack". Empty where there is
	// none yet.
	Object string
	// Path leads to the field in it: "spec.eventSeverity".
	Path string
	Text string
}

// String is "alerts.yaml:17: Alert apps/slack: spec.eventSeverity: …".
func (p Problem) String() string {
	var b strings.Builder
	place := p.File
	if p.Line > 0 {
		place = fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	for _, part := range []string{place, p.Object, p.Path} {
		if part != "" {
			b.WriteString(part + ": ")
		}
	}
	return b.String() + p.Text
}

// Problems are told all at once, sorted by file and line.
type Problems []Problem

// Error implements error: a line for each.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}

func (p Problems) sorted() Problems {
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(
			strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line),
			strings.Compare(a.Object, b.Object), strings.Compare(a.Path, b.Path), strings.Compare(a.Text, b.Text),
		)
	})
	return slices.Compact(p)
}
