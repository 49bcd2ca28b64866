// Package text shortens and escapes what notifications are made of.
package text

import "strings"

// Truncated ends every text that was cut.
const Truncated = "… (truncated)"

// Shorten cuts s to a limit, at the border of a character.
func Shorten(s string, size Size, limit int) string {
	return Part{Text: s, Limit: limit}.Render(size)
}

// FirstLine is s up to its first line break.
func FirstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return strings.TrimSuffix(line, "\r")
}
