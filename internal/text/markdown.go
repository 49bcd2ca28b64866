package text

import "strings"

// zeroWidth is a space that nobody sees: it parts what would be markup together.
const zeroWidth = "\u200b"

// Markdown is a Part's Escape for CommonMark and its relatives: emphasis, code,
// links, images, HTML, character references and mentions in angle brackets are
// shown as they were written. What begins a block is a matter of Inert.
func Markdown(r rune) string {
	switch r {
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
	case '[':
		return `\[`
	case ']':
		return `\]`
	case '&':
		return "&amp;"
	case '<':
		return "<" + zeroWidth // \< would still be found by those who look for <@…> before markdown
	}
	return ""
}

// Inert takes from a text what is markdown by its place alone, and no single
// character's escape could take: lists, headings, quotes, tables, rules and
// indented code at the beginning of a line, and the border between a link's
// text and its address, for renderers that know no backslash. It is for a
// Part's Text, before Markdown.
func Inert(s string) string {
	s = strings.ReplaceAll(s, "](", "]"+zeroWidth+"(")
	var b strings.Builder
	done := 0
	for start := 0; start < len(s); {
		if beginsBlock(s[start:]) {
			b.WriteString(s[done:start])
			b.WriteString(zeroWidth)
			done = start
		}
		end := strings.IndexAny(s[start:], "\r\n")
		if end < 0 {
			break
		}
		start += end + 1
	}
	if done == 0 && b.Len() == 0 {
		return s
	}
	b.WriteString(s[done:])
	return b.String()
}

// beginsBlock tells whether markdown would make more than a line of text of
// what begins here.
func beginsBlock(s string) bool {
	line := strings.TrimLeft(s, " ")
	if len(s)-len(line) >= 4 {
		return true
	}
	if line == "" {
		return false
	}
	switch c := line[0]; c {
	case '\t', '>':
		return true
	case '-', '+', '#', '=', '|', ':':
		rest := strings.TrimLeft(line, line[:1])
		return rest == "" || strings.IndexByte(" \t\r\n-:|", rest[0]) >= 0
	}
	rest := strings.TrimLeft(line, "0123456789")
	if len(rest) == len(line) || rest == "" || rest[0] != '.' && rest[0] != ')' {
		return false
	}
	return len(rest) == 1 || strings.IndexByte(" \t\r\n", rest[1]) >= 0
}
