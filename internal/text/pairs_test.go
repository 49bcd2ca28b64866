package text_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/text"
)

func TestLayoutProperties(t *testing.T) {
	t.Parallel()
	for name, size := range sizes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(5, 6))
			for range 3000 {
				l := text.Layout{Size: size, Total: rng.IntN(900), Each: rng.IntN(6), LeastText: rng.IntN(60), LeastValue: 1 + rng.IntN(30)}
				message := text.Part{Text: random(rng, rng.IntN(300)), Escape: escape}
				pairs := make([]text.Pair, rng.IntN(9))
				whole := size(message.Render(size))
				for i := range pairs {
					pairs[i] = text.Pair{
						Key:   text.Part{Text: fmt.Sprint("key-", i, random(rng, rng.IntN(30))), Escape: escape},
						Value: text.Part{Text: random(rng, rng.IntN(200)), Escape: escape},
						Whole: i == 3,
					}
					whole += size(pairs[i].Key.Render(size)) + size(pairs[i].Value.Render(size)) + l.Each
				}
				checkLayout(t, l, message, pairs, whole)
			}
		})
	}
}

// checkLayout says what holds of every text and its pairs.
func checkLayout(t *testing.T, l text.Layout, message text.Part, pairs []text.Pair, whole int) {
	t.Helper()
	got, entries := l.Fit(message, pairs)
	sum := l.Size(got)
	next := 0
	for _, e := range entries {
		sum += l.Size(e.Key) + l.Size(e.Value) + l.Each
		for next < len(pairs) && pairs[next].Key.Render(l.Size) != e.Key {
			next++
		}
		require.Less(t, next, len(pairs), "a key that was cut, or another order")
		full := pairs[next].Value.Render(l.Size)
		require.True(t, strings.HasPrefix(full, strings.TrimSuffix(e.Value, text.Truncated)), "%q of %q", e.Value, full)
		next++
	}
	if whole <= l.Total {
		require.Equal(t, message.Render(l.Size), got)
		require.Len(t, entries, len(pairs), "all fit, nothing is cut")
	}
	require.LessOrEqual(t, sum, l.Total)
}

func TestLayout(t *testing.T) {
	t.Parallel()
	x := func(n int) string { return strings.Repeat("x", n) }
	fit := func(l text.Layout, message int, values ...int) []int {
		l.Size = text.InRunes
		pairs := make([]text.Pair, len(values))
		for i, n := range values {
			pairs[i] = text.Pair{Key: text.Part{Text: fmt.Sprint("k", i)}, Value: text.Part{Text: x(n)}, Whole: i == 0}
		}
		got, entries := l.Fit(text.Part{Text: x(message)}, pairs)
		lengths := []int{utf8.RuneCountInString(got)}
		for _, e := range entries {
			lengths = append(lengths, utf8.RuneCountInString(e.Value))
		}
		return lengths
	}
	l := text.Layout{Total: 200, Each: 3, LeastText: 50, LeastValue: 20}
	assert.Equal(t, []int{50, 60, 40}, fit(l, 50, 60, 40), "all fit")
	assert.Equal(t, []int{90, 60, 40}, fit(l, 500, 60, 40), "the text gives way first")
	assert.Equal(t, []int{50, 60, 30, 45}, fit(l, 500, 60, 30, 300), "then the longest value, never the one that is to stay whole")
	assert.Equal(t, []int{51, 60, 37, 37}, fit(l, 500, 60, 300, 38), "all of them to one length")
	assert.Equal(t, []int{51, 60, 23, 23, 23}, fit(l, 60, 60, 300, 300, 300), "none below its least")
	assert.Equal(t, []int{51, 60, 21, 21, 21}, fit(text.Layout{Total: 194, Each: 3, LeastText: 50, LeastValue: 20}, 60, 60, 300, 300, 300, 300), "what has no room is left out")
	assert.Equal(t, []int{50, 145}, fit(l, 500, 400), "what is to stay whole is cut when it is alone")
	assert.Equal(t, []int{200}, fit(text.Layout{Total: 200, Each: 300, LeastText: 50, LeastValue: 20}, 500, 10, 10))
}
