package text

import (
	"strings"
	"unicode"
)

// Description makes words of the reason of an event: "HealthCheckFailed" →
// "health check failed". Capitals that follow each other are one word
// ("HTTPError" → "http error"), and so are digits. What separates words in a
// reason that is none of Kubernetes' style stays: "health-check failed".
func Description(reason string) string {
	var b strings.Builder
	b.Grow(len(reason) + 8)
	runes := []rune(reason)
	before := none
	for i, r := range runes {
		if unicode.IsSpace(r) {
			before = none
			continue
		}
		if unicode.IsMark(r) && before != none {
			b.WriteRune(r) // an accent belongs to its letter
			continue
		}
		now := kindOf(r)
		if b.Len() > 0 && (before == none || begins(before, now, runes[i+1:])) {
			b.WriteByte(' ')
		}
		b.WriteRune(unicode.ToLower(r))
		before = now
	}
	return b.String()
}

// kind is what a character is to the words around it.
type kind int

const (
	none kind = iota // nothing yet, or white space
	lower
	upper
	digit
	sign
)

func kindOf(r rune) kind {
	switch {
	case unicode.IsUpper(r), unicode.IsTitle(r):
		return upper
	case unicode.IsLetter(r):
		return lower
	case unicode.IsDigit(r):
		return digit
	}
	return sign
}

// begins tells whether a character of the kind now begins a word.
func begins(before, now kind, rest []rune) bool {
	switch {
	case before == sign, now == sign:
		return false
	case before == digit, now == digit:
		return before != now
	case now == upper && before == lower:
		return true
	case now == upper && before == upper:
		// The last capital of several begins the word that it leads.
		for len(rest) > 0 && unicode.IsMark(rest[0]) {
			rest = rest[1:]
		}
		return len(rest) > 0 && unicode.IsLower(rest[0])
	}
	return false
}
