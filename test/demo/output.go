package main

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// output takes what the collector prints, and finds the log records in it.
type output struct {
	mu      sync.Mutex
	text    strings.Builder
	pending string
	current []string // lines of the record that is being printed
	records chan []string
}

func newOutput() *output { return &output{records: make(chan []string, 100)} }

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(p)
	o.pending += string(p)
	for {
		line, rest, found := strings.Cut(o.pending, "\n")
		if !found {
			return len(p), nil
		}
		o.pending = rest
		o.line(line)
	}
}

// line follows the debug exporter: a record begins at its resource, and ends
// before the line that its logger closes with.
func (o *output) line(line string) {
	switch {
	case strings.Contains(line, "ResourceLog #"):
		o.current = []string{"log record"}
	case o.current == nil:
	case strings.HasPrefix(strings.TrimSpace(line), "{"):
		o.records <- o.current
		o.current = nil
	case wanted(line):
		o.current = append(o.current, strings.TrimSpace(line))
	}
}

func wanted(line string) bool {
	for _, noise := range []string{"Resource SchemaURL", "ScopeLogs", "InstrumentationScope", "LogRecord #", "Trace ID", "Span ID", "Flags", "Resource attributes", "Attributes:"} {
		if strings.Contains(line, noise) {
			return false
		}
	}
	return strings.TrimSpace(line) != ""
}

// record gives the next record, or nothing when none is printed in time.
func (o *output) record(most time.Duration) []string {
	select {
	case r := <-o.records:
		return r
	case <-time.After(most):
		return nil
	}
}

func (o *output) all() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// width is that of a column, in characters.
const width = 74

// sideBySide prints the record left and the notifications right.
func sideBySide(record []string, notifications [][]string) {
	var right []string
	for i, n := range notifications {
		if i > 0 {
			right = append(right, "")
		}
		right = append(right, n...)
	}
	if len(notifications) == 0 {
		right = []string{"(no notification)"}
	}
	for i := range max(len(record), len(right)) {
		fmt.Printf("%s │ %s\n", pad(at(record, i)), cut(at(right, i)))
	}
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return ""
}

func pad(s string) string {
	s = cut(s)
	return s + strings.Repeat(" ", width-len([]rune(s)))
}

func cut(s string) string {
	runes := []rune(s)
	if len(runes) <= width {
		return s
	}
	return string(runes[:width-1]) + "…"
}
