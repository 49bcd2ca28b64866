package fluxmanifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is what is wrong in a manifest, or a warning. It never holds the value of a
// Secret, of an address or of a channel.
type Problem struct {
	// Kind, Namespace and Name are the object's. Empty if it is not known.
	Kind, Namespace, Name string
	// File and Line are where it is. Empty where it is not in a file.
	File string
	Line int
	// Field leads to the field: "spec.eventSeverity".
	Field string
	// Text says what is wrong, and what would be right.
	Text string
}

// String is "alerts.yaml:17: Alert apps/slack: spec.eventSeverity: …".
func (p Problem) String() string {
	place := p.File
	if p.File != "" && p.Line > 0 {
		place = fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	var parts []string
	for _, part := range []string{place, p.Object(), p.Field, p.Text} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ": ")
}

// Object is "Alert apps/slack", or the kind where there is no name.
func (p Problem) Object() string {
	if p.Name == "" {
		return p.Kind
	}
	return p.Kind + " " + reference{p.Namespace, p.Name}.String()
}

// Problems are reported together, sorted by file and line.
type Problems []Problem

// Error implements error: a line for each.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}

// maxPerFile bounds the problems that are reported of one file: a file of 1 MiB can
// hold 50,000.
const maxPerFile = 100

// sorted sorts problems, drops repeated ones, and those of a file after the first ones.
func (p Problems) sorted() Problems {
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(
			strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line),
			strings.Compare(a.Object(), b.Object()), strings.Compare(a.Field, b.Field), strings.Compare(a.Text, b.Text),
		)
	})
	var kept Problems
	of := 0
	for i, problem := range slices.Compact(p) {
		if i == 0 || problem.File != p[i-1].File {
			of = 0
		}
		of++
		switch {
		case problem.File == "" || of <= maxPerFile:
			kept = append(kept, problem)
		case of == maxPerFile+1:
			kept = append(kept, Problem{File: problem.File, Text: "has more problems than are listed here"})
		}
	}
	return kept
}

// maxShown bounds what is quoted of a manifest, in bytes.
const maxShown = 100

// shortened is a text that is quoted.
func shortened(s string) string {
	if len(s) <= maxShown {
		return s
	}
	return strings.ToValidUTF8(s[:maxShown], "") + "…"
}
