package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/fluxnotify/otelcol-flux/internal/text"
)

// format is what a command prints: text for people, or JSON for programs.
type format string

const (
	asText format = "text"
	asJSON format = "json"
)

// addFormat adds the flag -o.
func addFormat(cmd *cobra.Command) *format {
	f := asText
	cmd.Flags().VarP(&f, "output", "o", "text or json")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	return &f
}

// String implements pflag.Value.
func (f *format) String() string { return string(*f) }

// Type implements pflag.Value.
func (*format) Type() string { return "format" }

// Set implements pflag.Value.
func (f *format) Set(word string) error {
	if !slices.Contains([]format{asText, asJSON}, format(word)) {
		return fmt.Errorf("%q is not one of text, json", word)
	}
	*f = format(word)
	return nil
}

// printJSON writes what programs read. Texts stay as they are: a body is not
// escaped for HTML once more.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// painter colours text where a person looks at it.
type painter bool

const (
	red    = "31"
	green  = "32"
	yellow = "33"
	bold   = "1"
)

// newPainter colours only for terminals, and not where NO_COLOR is set
// (https://no-color.org/).
func newPainter(w io.Writer) painter {
	file, ok := w.(*os.File)
	return painter(ok && term.IsTerminal(int(file.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb")
}

func (p painter) paint(colour, word string) string {
	if !p {
		return word
	}
	return "\x1b[" + colour + "m" + word + "\x1b[0m"
}

// indented is a text, each of its lines after some spaces.
func indented(s string, spaces int) string {
	margin := strings.Repeat(" ", spaces)
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	for i, line := range lines {
		if line != "" {
			lines[i] = margin + line
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// pretty is JSON indented, its keys, numbers and escapes as they are; anything
// else stays as it is.
func pretty(body []byte) string {
	var b bytes.Buffer
	if json.Indent(&b, body, "", "  ") != nil {
		return string(body)
	}
	return b.String()
}

// harmless is a text whose characters do nothing to a terminal. All others stay,
// the invisible ones too.
func harmless(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			b.WriteString(text.Printable(string(r)))
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
