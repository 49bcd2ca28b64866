package text_test

import (
	"html"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/text"
)

var sizes = map[string]text.Size{"bytes": text.InBytes, "runes": text.InRunes}

// alphabet has characters of one to four bytes, some of which are escaped.
var alphabet = []rune("ab<>& é€部署🚀\u200d\u0301")

func escape(r rune) string {
	switch r {
	case '<':
		return "&lt;"
	case '>':
		return "&gt;"
	case '&':
		return "&amp;"
	}
	return string(r)
}

func random(rng *rand.Rand, length int) string {
	var b strings.Builder
	for range length {
		b.WriteRune(alphabet[rng.IntN(len(alphabet))])
	}
	return b.String()
}

// checkCut says what holds of any text that was rendered with a limit.
func checkCut(t *testing.T, p text.Part, size text.Size, got string) {
	t.Helper()
	full := text.Part{Text: p.Text, Escape: p.Escape}.Render(size)
	if p.Limit == 0 || size(full) <= p.Limit {
		require.Equal(t, full, got, "what fits stays whole")
		return
	}
	require.LessOrEqual(t, size(got), p.Limit)
	require.True(t, utf8.ValidString(got))
	kept, marked := strings.CutSuffix(got, text.Truncated)
	require.Equal(t, p.Limit >= size(text.Truncated), marked, "the mark is there where it has room")
	require.True(t, strings.HasPrefix(full, kept))
	if p.Escape != nil {
		require.True(t, strings.HasPrefix(p.Text, html.UnescapeString(kept)), "cut inside an escape: %q", kept)
	}
	if marked {
		widest := 5 // of "&amp;"
		require.Greater(t, size(got), p.Limit-widest, "no more is cut than must be")
	}
}

func TestRenderProperties(t *testing.T) {
	t.Parallel()
	for name, size := range sizes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(1, 2))
			for range 3000 {
				p := text.Part{Text: random(rng, rng.IntN(60)), Limit: rng.IntN(80)}
				if rng.IntN(2) == 0 {
					p.Escape = escape
				}
				checkCut(t, p, size, p.Render(size))
			}
		})
	}
}

func TestRender(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		part text.Part
		size text.Size
		want string
	}{
		{"no limit", text.Part{Text: "a<b", Escape: escape}, text.InRunes, "a&lt;b"},
		{"fits exactly", text.Part{Text: "a<b", Escape: escape, Limit: 6}, text.InRunes, "a&lt;b"},
		{"one too many", text.Part{Text: strings.Repeat("x", 21), Limit: 20}, text.InRunes, "xxxxxxx" + text.Truncated},
		{"wide runes", text.Part{Text: strings.Repeat("🚀", 21), Limit: 20}, text.InRunes, "🚀🚀🚀🚀🚀🚀🚀" + text.Truncated},
		{"wide runes in bytes", text.Part{Text: strings.Repeat("🚀", 21), Limit: 25}, text.InBytes, "🚀🚀" + text.Truncated},
		{"before an escape", text.Part{Text: "xxx<<<<<<<<", Escape: escape, Limit: 19}, text.InRunes, "xxx" + text.Truncated},
		{"after an escape", text.Part{Text: "xxx<<<<<<<<", Escape: escape, Limit: 20}, text.InRunes, "xxx&lt;" + text.Truncated},
		{"no room for the mark", text.Part{Text: "0123456789", Limit: 5}, text.InRunes, ""},
		{"not UTF-8", text.Part{Text: "a\xffb", Escape: escape}, text.InRunes, "a\uFFFDb"},
	} {
		assert.Equal(t, c.want, c.part.Render(c.size), c.name)
	}
}

func TestFitProperties(t *testing.T) {
	t.Parallel()
	for name, size := range sizes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(3, 4))
			for range 3000 {
				parts := make([]text.Part, 1+rng.IntN(8))
				whole := 0
				for i := range parts {
					parts[i] = text.Part{Text: random(rng, rng.IntN(200)), Limit: rng.IntN(150)}
					if rng.IntN(2) == 0 {
						parts[i].Escape = escape
					}
					whole += size(parts[i].Render(size))
				}
				least := rng.IntN(40)
				total := least + len(parts) + rng.IntN(800)
				given := append([]text.Part(nil), parts...)
				got := text.Fit(parts, size, total, least)
				require.Len(t, got, len(given))
				sum := 0
				for i, s := range got {
					sum += size(s)
					full := text.Part{Text: given[i].Text, Escape: given[i].Escape}.Render(size)
					require.True(t, strings.HasPrefix(full, strings.TrimSuffix(s, text.Truncated)), "%q of %q", s, full)
					if given[i].Limit > 0 {
						require.LessOrEqual(t, size(s), given[i].Limit)
					}
					if whole <= total {
						require.Equal(t, given[i].Render(size), s, "all fit, nothing is cut")
					}
				}
				require.LessOrEqual(t, sum, total, "least %d", least)
			}
		})
	}
}

func TestFit(t *testing.T) {
	t.Parallel()
	fit := func(total, least int, texts ...string) []int {
		parts := make([]text.Part, len(texts))
		for i, s := range texts {
			parts[i] = text.Part{Text: s}
		}
		lengths := []int{}
		for _, s := range text.Fit(parts, text.InRunes, total, least) {
			lengths = append(lengths, utf8.RuneCountInString(s))
		}
		return lengths
	}
	x := func(n int) string { return strings.Repeat("x", n) }
	assert.Equal(t, []int{100, 20, 30}, fit(150, 50, x(100), x(20), x(30)), "all fit")
	assert.Equal(t, []int{70, 20, 30}, fit(120, 50, x(100), x(20), x(30)), "the first gives way")
	assert.Equal(t, []int{50, 20, 40, 40}, fit(150, 50, x(100), x(20), x(200), x(300)), "down to its least, then the longest of the rest")
	assert.Equal(t, []int{30, 20, 100}, fit(150, 50, x(30), x(20), x(300)), "a first that is short already stays whole")
	assert.Equal(t, []int{0, 20}, fit(20, 0, x(100), x(20)), "nothing of the first need remain")
	assert.Empty(t, fit(10, 5))
}

func TestShorten(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "short", text.Shorten("short", text.InRunes, 5))
	assert.Equal(t, "0123"+text.Truncated, text.Shorten(strings.Repeat("0123456789", 9), text.InRunes, 17))
}

func TestFirstLine(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"": "", "a": "a", "a\nb\nc": "a", "a\r\nb": "a", "\na": ""} {
		assert.Equal(t, want, text.FirstLine(in))
	}
}
