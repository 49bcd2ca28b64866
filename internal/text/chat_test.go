package text_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/fluxnotify/otelcol-flux/internal/text"
)

func TestInUTF16(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]int{"": 0, "abc": 3, "é": 1, "部署": 2, "🚀": 2, "a\xff": 2} {
		assert.Equal(t, want, text.InUTF16(s), s)
	}
}

func TestUnmention(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"":                          "",
		"main@sha1:5394cb7f":        "main@sha1:5394cb7f",
		"jane@example.com":          "jane@example.com",
		"jane@allied.example":       "jane@allied.example",
		"at @ noon":                 "at @ noon",
		"@jane":                     "@\u200bjane",
		"ask @jane, (@joe)":         "ask @\u200bjane, (@\u200bjoe)",
		"@everyone":                 "@\u200beveryone",
		"x@everyone y@here. z@all":  "x@\u200beveryone y@\u200bhere. z@\u200ball",
		"<@U1> <@&1> @**all** @_**": "<@\u200bU1> <@\u200b&1> @\u200b**all** @\u200b_**",
		"é@all":                     "é@\u200ball",
		"@@here":                    "@\u200b@\u200bhere",
	} {
		assert.Equal(t, want, text.Unmention(s), s)
	}
}

func TestQuietChat(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"Reconciliation finished in 1.5s":  "Reconciliation finished in 1.5s",
		"https://example.com/a_b_c?x_y=1":  "https://example.com/a_b_c?x_y=1",
		"_a_ __b__ c_ _d a__b é_a":         `\_a\_ \_\_b\_\_ c\_ \_d a\_\_b é\_a`,
		"*b* ~~c~~ `d`":                    "\\*b\\* \\~\\~c\\~\\~ \\`d\\`",
		"@here <@U1>":                      "@\u200bhere <\u200b@\u200bU1>",
		"a noncharacter: \uFDD0a\uFDD0":    "a noncharacter: \uFFFDa\uFFFD",
		"a && b &amp; &#60; ||c|| C:\\d":   `a && b &amp; &#60; \|\|c\|\| C:\\d`,
		"# heading":                        "\u200b# heading",
		"[click](https://evil.example/?a)": "[click]\u200b(https://evil.example/?a)",
		"[a]: https://evil.example\n[a]":   "[a]\u200b: https://evil.example\n[a]",
		"spec.containers[0].image: [x y]":  "spec.containers[0].image: [x y]",
	} {
		assert.Equal(t, want, text.Part{Text: text.Quiet(s), Escape: text.Chat}.Render(text.InRunes), s)
	}
}

func TestFitMost(t *testing.T) {
	t.Parallel()
	layout := text.Layout{Size: text.InRunes, Total: 1000, LeastText: 100, LeastValue: 10}
	message := text.Part{Text: strings.Repeat("m", 2000)}
	var pairs []text.Pair
	for _, key := range strings.Split("abcdefs", "") {
		pairs = append(pairs, text.Pair{Key: text.Part{Text: key}, Value: text.Part{Text: "v" + key}, Whole: key == "s"})
	}
	for most, want := range map[int]string{0: "abcdefs", 7: "abcdefs", 6: "abcds…2", 3: "as…5", 2: "s…6"} {
		rendered, entries := layout.FitMost(message, pairs, most)
		got := ""
		for _, e := range entries {
			got += e.Key
		}
		if number, found := strings.CutSuffix(entries[len(entries)-1].Value, " more left out"); found {
			got += number
		}
		assert.Equal(t, want, got, most)
		assert.Greater(t, len(rendered), 900)
	}
	for i := range pairs {
		pairs[i].Value.Text = strings.Repeat("v", 900)
	}
	layout.LeastValue = 250
	rendered, entries := layout.FitMost(message, pairs, 0)
	assert.Equal(t, text.Entry{Key: "…", Value: "6 more left out"}, entries[len(entries)-1], "what stays whole is not among them")
	size := text.InRunes(rendered)
	for _, e := range entries {
		size += text.InRunes(e.Key + e.Value)
	}
	assert.LessOrEqual(t, size, 1000)
}
