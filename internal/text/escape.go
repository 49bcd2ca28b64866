package text

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Printable makes a stranger's bytes fit for a line of a log: control and other
// invisible characters are written as Go escapes them, invalid bytes too.
func Printable(s string) string {
	clean := true
	for _, r := range s {
		if !shown(r) {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if shown(r) {
			b.WriteString(s[i : i+size])
		} else {
			quoted := strconv.Quote(s[i : i+size])
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		i += size
	}
	return b.String()
}

func shown(r rune) bool {
	return r != utf8.RuneError && unicode.IsPrint(r)
}
