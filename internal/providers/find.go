package providers

import (
	"slices"
	"strings"
)

// Find is the row of a type.
func Find(providerType string) (Row, bool) {
	for _, row := range Table {
		if row.Type == providerType {
			return row, true
		}
	}
	return Row{}, false
}

// Nearest lists every type, those first that the given word may have meant.
func Nearest(word string) []string {
	types := make([]string, len(Table))
	for i, row := range Table {
		types[i] = row.Type
	}
	if word != "" {
		slices.SortStableFunc(types, func(a, b string) int { return distance(word, a) - distance(word, b) })
	}
	return types
}

// distance is the number of edits between two words, letters alone counting.
func distance(a, b string) int {
	a, b = letters(a), letters(b)
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 'a' || r > 'z' {
			return -1
		}
		return r
	}, strings.ToLower(s))
}
