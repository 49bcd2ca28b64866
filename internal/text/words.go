package text

import (
	"strings"
	"unicode"
)

// Title writes every word of s with an upper-case initial and the rest of it in
// lower case, as Flux names alerts: "HealthCheckFailed" → "Healthcheckfailed".
func Title(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	inWord := false
	for _, r := range s {
		if inWord {
			b.WriteRune(unicode.ToLower(r))
		} else {
			b.WriteRune(unicode.ToTitle(r))
		}
		inWord = isWord(r, inWord)
	}
	return b.String()
}

// isWord tells whether the next rune continues a word that r began or is in.
func isWord(r rune, inWord bool) bool {
	if unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' {
		return true
	}
	return inWord && (unicode.IsMark(r) || r == '\'' || r == '’' || r == '.')
}

// LabelName makes s a name that Prometheus takes for a label: [a-zA-Z_][a-zA-Z0-9_]*.
func LabelName(s string) string {
	var b strings.Builder
	b.Grow(len(s) + 1)
	for i, r := range s {
		digit := r >= '0' && r <= '9'
		if i == 0 && digit {
			b.WriteByte('_')
		}
		if digit || r == '_' || (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z') {
			b.WriteRune(r)
		} else {
			b.WriteByte('_')
		}
	}
	if b.Len() == 0 {
		return "_"
	}
	return b.String()
}
