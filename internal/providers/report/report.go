// Package report writes an event as a short document in markdown: a headline, the
// object, the message and a list of its metadata. Zulip's messages and comments
// on change requests are such.
package report

import (
	"strings"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/text"
)

const (
	// maxSubject bounds the object's name, which is never that long, in the unit
	// of the limit.
	maxSubject = 1000
	// minText is what remains of the message when metadata is long.
	minText = 2000
	// minValue is what remains of a value when metadata is long.
	minValue = 60
)

// The markup around the parts.
const (
	headline    = "## Flux Status\n\n"
	between     = "\n\n"
	listed      = "\n\nMetadata:\n"
	beforeKey   = "* `"
	beforeValue = "`: "
	afterValue  = "\n"
)

// Style is what vendors differ in.
type Style struct {
	// Size measures, and Total is the limit of all.
	Size  text.Size
	Total int
	// Stranger makes a part of what the event says, which is not to be obeyed.
	Stranger func(string) text.Part
}

// Write fits the message and the metadata into one text, after what stands at its
// beginning.
func Write(n *notify.Notification, beginning string, s Style) string {
	emoji := "ℹ️"
	if n.Event.IsError() {
		emoji = "⚠️"
	}
	o := &n.Event.InvolvedObject
	subject := s.Stranger(o.Kind + "/" + o.Namespace + "/" + o.Name)
	subject.Limit = maxSubject
	head := beginning + headline + emoji + " " + subject.Render(s.Size) + between

	layout := text.Layout{
		Size: s.Size, Total: s.Total - s.Size(head+listed), LeastText: minText, LeastValue: minValue,
		Each: len(beforeKey + beforeValue + afterValue),
	}
	message, entries := layout.FitMost(s.Stranger(n.Event.Message), pairs(n, s), 0)

	var b strings.Builder
	b.Grow(len(head) + len(message) + len(listed) + 96*len(entries))
	b.WriteString(head)
	b.WriteString(message)
	b.WriteString(listed)
	for _, e := range entries {
		b.WriteString(beforeKey)
		b.WriteString(e.Key)
		b.WriteString(beforeValue)
		b.WriteString(e.Value)
		b.WriteString(afterValue)
	}
	return b.String()
}

func pairs(n *notify.Notification, s Style) []text.Pair {
	pairs := make([]text.Pair, 0, len(n.Fields))
	for _, f := range n.Fields {
		if f.Key == "change_request" {
			continue
		}
		value := text.Part{Text: f.Value}
		if !f.Operator {
			value = s.Stranger(f.Value)
		}
		pairs = append(pairs, text.Pair{Key: text.Part{Text: f.Key, Escape: inCode}, Value: value, Whole: f.Key == "summary"})
	}
	return pairs
}

// inCode is for what stands in backticks, where nothing can be escaped.
func inCode(r rune) string {
	switch r {
	case '`':
		return "'"
	case '\r', '\n':
		return " "
	}
	return ""
}
