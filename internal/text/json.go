package text

import "unicode/utf8"

// InJSON is the unit of limits on a whole request: the bytes that a text takes
// within a string of encoding/json, escapes included.
var InJSON Size = func(s string) int {
	n := len(s)
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, width := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && width == 1 || r == '\u2028' || r == '\u2029' {
				n += len(`\u2028`) - width
			}
			i += width
			continue
		}
		switch {
		case c == '"', c == '\\', c == '\n', c == '\r', c == '\t', c == '\b', c == '\f':
			n++
		case c < ' ', c == '<', c == '>', c == '&':
			n += len(`\u003c`) - 1
		}
		i++
	}
	return n
}
