package text

import (
	"strconv"
	"strings"
)

// InUTF16 is the unit of limits that are kept by programs whose strings are
// UTF-16: a character outside the basic plane counts twice.
var InUTF16 Size = func(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r > 0xFFFF {
			n++
		}
	}
	return n
}

// apart is the space that nobody sees.
const apart = "\u200b"

// inner stands for an underscore within a word between Quiet and Chat. It is a
// noncharacter, which Unicode keeps free for such use.
const inner = '\uFDD0'

// Quiet makes a stranger's text ready for the Escape Chat: blocks do not begin,
// brackets get no address, nobody is mentioned, and underscores within words are
// left alone, since a chat would make a backslash part of the link that it finds
// around them.
func Quiet(s string) string {
	s = strings.ReplaceAll(Inert(s), "]:", "]"+apart+":")
	return innerUnderscores(Unmention(s))
}

// Chat is an Escape for the markdown of chats, for what Quiet has made ready.
// Unlike Markdown's, such markdown knows spoilers and no character references.
func Chat(r rune) string {
	switch r {
	case inner:
		return "_"
	case '\\':
		return `\\`
	case '`':
		return "\\`"
	case '*':
		return `\*`
	case '_':
		return `\_`
	case '~':
		return `\~`
	case '|':
		return `\|`
	case '<':
		return "<" + apart // a chat looks for <@…> before it looks for backslashes
	}
	return ""
}

func innerUnderscores(s string) string {
	s = strings.ReplaceAll(s, string(inner), "\uFFFD")
	var b strings.Builder
	done := 0
	for i := 1; i+1 < len(s); i++ {
		if s[i] == '_' && alphanumeric(s[i-1]) && alphanumeric(s[i+1]) {
			b.WriteString(s[done:i])
			b.WriteRune(inner)
			done = i + 1
		}
	}
	if done == 0 {
		return s
	}
	b.WriteString(s[done:])
	return b.String()
}

// Unmention parts an @ from what follows where a chat would take both for a
// mention. Any other @ stays, so that a revision can still be copied.
func Unmention(s string) string {
	var b strings.Builder
	done := 0
	for i := range len(s) {
		if s[i] == '@' && mentions(s[:i], s[i+1:]) {
			b.WriteString(s[done : i+1])
			b.WriteString(apart)
			done = i + 1
		}
	}
	if done == 0 {
		return s
	}
	b.WriteString(s[done:])
	return b.String()
}

// everybody are the names by which chats call all people at once. Some find
// them within words, too.
var everybody = []string{"everyone", "here", "all", "channel"}

func mentions(before, after string) bool {
	if before == "" || !alphanumeric(before[len(before)-1]) {
		return after != "" && strings.IndexByte(" \t\r\n", after[0]) < 0
	}
	for _, name := range everybody {
		rest, found := strings.CutPrefix(after, name)
		if found && (rest == "" || !alphanumeric(rest[0])) {
			return true
		}
	}
	return false
}

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// noteRoom is what FitMost's word on the others takes at most, in any unit.
const noteRoom = 64

// FitMost is Fit for so many pairs at most, 0 being any number. Where some are
// left out, those that stay Whole are not among them, and a last pair says how
// many there were.
func (l Layout) FitMost(message Part, pairs []Pair, most int) (string, []Entry) {
	kept, left := few(pairs, most)
	if left == 0 {
		if rendered, entries := l.Fit(message, kept); len(entries) == len(kept) {
			return rendered, entries
		}
	}
	l.Total -= noteRoom + l.Each
	rendered, entries := l.Fit(message, kept)
	left += len(kept) - len(entries)
	return rendered, append(entries, Entry{Key: "…", Value: strconv.Itoa(left) + " more left out"})
}

// few are the first of the pairs and those that stay Whole, one fewer than most
// where some are left out.
func few(pairs []Pair, most int) (kept []Pair, left int) {
	if most == 0 || len(pairs) <= most {
		return pairs, 0
	}
	room := most - 1
	for _, p := range pairs {
		if p.Whole {
			room--
		}
	}
	for _, p := range pairs {
		switch {
		case p.Whole:
			kept = append(kept, p)
		case room > 0:
			kept = append(kept, p)
			room--
		default:
			left++
		}
	}
	return kept, left
}
