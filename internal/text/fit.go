package text

import (
	"sort"
	"strings"
	"unicode/utf8"
)

// Part is one piece of a message that has a limit.
type Part struct {
	Text string
	// Escape gives what stands for a character in the message's markup, "" for
	// the character itself. nil: the text is markup already, or the message has
	// none.
	Escape func(r rune) string
	// Limit is the most that this part may take, escapes included; 0: no limit
	// of its own.
	Limit int
}

// Size measures a text in the unit of a limit.
type Size func(s string) int

// Units of limits.
var (
	InBytes Size = func(s string) int { return len(s) }
	InRunes Size = utf8.RuneCountInString
)

// Render escapes a part and, where it is too long, cuts it, never inside an
// escape sequence.
func (p Part) Render(size Size) string {
	if p.Escape == nil && (p.Limit == 0 || size(p.Text) <= p.Limit) {
		return p.Text
	}
	var b strings.Builder
	b.Grow(len(p.Text))
	room := p.Limit - size(Truncated)
	used, fits := 0, 0 // fits: length of what leaves room for the mark
	for i, r := range p.Text {
		piece := p.piece(i, r)
		used += size(piece)
		if p.Limit > 0 && used > p.Limit {
			cut := b.String()[:fits]
			if room < 0 {
				return cut
			}
			return cut + Truncated
		}
		b.WriteString(piece)
		if used <= room {
			fits = b.Len()
		}
	}
	return b.String()
}

// piece is what stands for the character r at the byte i. What is not UTF-8
// becomes the replacement character.
func (p Part) piece(i int, r rune) string {
	if p.Escape != nil {
		if escaped := p.Escape(r); escaped != "" {
			return escaped
		}
	}
	width := utf8.RuneLen(r)
	if r == utf8.RuneError && !strings.HasPrefix(p.Text[i:], string(utf8.RuneError)) {
		return string(utf8.RuneError)
	}
	return p.Text[i : i+width]
}

// Fit renders parts that together have a limit. The first is shortened first,
// down to least; then the longest of the others, all to the same length.
func Fit(parts []Part, size Size, total, least int) []string {
	rendered := make([]string, len(parts))
	sum := 0
	for i, p := range parts {
		rendered[i] = p.Render(size)
		sum += size(rendered[i])
	}
	if sum <= total || len(parts) == 0 {
		return rendered
	}
	rest := sum - size(rendered[0])
	parts[0].Limit = max(total-rest, min(least, size(rendered[0])), 1) // 0 would be no limit
	rendered[0] = parts[0].Render(size)
	if rest+size(rendered[0]) <= total {
		return rendered
	}
	limit := level(rendered[1:], size, total-size(rendered[0]))
	for i := 1; i < len(parts); i++ {
		if size(rendered[i]) > limit {
			parts[i].Limit = limit
			rendered[i] = parts[i].Render(size)
		}
	}
	return rendered
}

// level is the length to which the longest of some texts must be cut for all
// of them to fit.
func level(texts []string, size Size, total int) int {
	lengths := make([]int, len(texts))
	for i, t := range texts {
		lengths[i] = size(t)
	}
	sort.Ints(lengths)
	for i, length := range lengths {
		share := max(total, 0) / (len(lengths) - i)
		if length > share {
			return max(share, 1)
		}
		total -= length
	}
	return max(total, 1)
}
