package text_test

import (
	"encoding/json"
	"html"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	render "github.com/yuin/goldmark/renderer/html"

	"github.com/fluxnotify/otelcol-flux/internal/text"
)

// markdown obeys all that it knows: GitHub's additions and raw HTML too.
var markdown = goldmark.New(goldmark.WithExtensions(extension.Table, extension.Strikethrough, extension.TaskList, extension.Footnote),
	goldmark.WithRendererOptions(render.WithUnsafe()))

// tags are what is there of a text that has no markup: paragraphs and lines.
var tags = regexp.MustCompile(`</?p>|<br>`)

// white is what markdown makes one blank of.
var white = regexp.MustCompile(`[ \t\r\n]+`)

// words is a text without what a reader does not see.
func words(s string) string {
	return strings.TrimSpace(white.ReplaceAllString(strings.ReplaceAll(s, "\u200b", ""), " "))
}

// read is a text as a reader of markdown sees it.
func read(t *testing.T, source string) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, markdown.Convert([]byte(source), &b))
	plain := tags.ReplaceAllString(b.String(), "\n")
	require.NotContains(t, plain, "<", "markup is obeyed: %q makes %s", source, b.String())
	return words(html.UnescapeString(plain))
}

func shownAs(t *testing.T, s string) {
	t.Helper()
	escaped := text.Part{Text: text.Inert(s), Escape: text.Markdown}.Render(text.InBytes)
	require.Equal(t, words(s), read(t, escaped), "%q as %q", s, escaped)
}

func TestMarkdownIsShown(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", "plain", "a_b_c *d* **e** `f` ~g~ ~~h~~", "[x](https://evil.example)", "![x](https://evil.example/y.png)",
		"<b>&amp;</b> <script>alert(1)</script> a<b && c>d &lt; &#60;", "<https://evil.example>", "<@all> <@personEmail:a@b.c> <at>x</at>",
		"- a\n- b", "+ a", "1. a\n2) b", "> a", "# a", "a\n===", "a\n---", "***", "___", "a | b\n--- | ---\nc | d", "|a|\n|:-|\n|b|",
		"```\ncode\n```", "~~~\ncode\n~~~", "    code", "\tcode", "a\n\n    code", "[a]: https://evil.example\n\n[a] [a][a]",
		"- [ ] a", "[^1]\n\n[^1]: note", `\`, `\*a\*`, `a\`, "\\\n\\[x](y)", "a\r\n- b\r- c", "  - a", "   # a", "-", "#", "1.", "\n\n- a",
	} {
		shownAs(t, s)
	}
	rng := rand.New(rand.NewPCG(5, 6))
	alphabet := []string{"-", "+", "#", "=", "|", ":", "1", ".", ")", "(", "[", "]", "!", "<", ">", "&", "amp;", "`", "*", "_", "~", "\\", " ", "  ", "\t", "\n", "\r\n", "a", "é", "{", "\""}
	for range 5000 {
		var b strings.Builder
		for range rng.IntN(12) {
			b.WriteString(alphabet[rng.IntN(len(alphabet))])
		}
		shownAs(t, b.String())
	}
}

func TestInertLeavesPlainTextAlone(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", "apply failed", "-1", "--flag", "6.5.0+3b6cdcc7adcc", "#123", ":8080", "+1", "10", "main@sha1:5394", "a\nb\n\nc", "a - b", "[x] (y)",
		"health check failed: [Deployment/apps/podinfo status: 'InProgress',\n StatefulSet/apps/redis]",
	} {
		assert.Equal(t, s, text.Inert(s))
	}
}

func TestInJSON(t *testing.T) {
	t.Parallel()
	all := make([]rune, 0, 0x3000)
	for r := range rune(0x3000) {
		all = append(all, r)
	}
	for _, s := range []string{"", "plain", `"\/`, "\n\r\t\b\f\x00\x1f\x7f", "<>&", "\u2028\u2029", "é部🚀", "a\xffb\xed\xa0\x80", "\uFFFD", string(all)} {
		encoded, err := json.Marshal(s)
		require.NoError(t, err)
		assert.Equal(t, len(encoded)-2, text.InJSON(s), "%q", s)
	}
}
