package text_test

import (
	"html"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/fluxnotify/otelcol-flux/internal/text"
)

// zero is what nobody sees.
const zero = "\u200b"

func forGit(s string) string {
	return text.Part{Text: text.QuietGit(s), Escape: text.Git}.Render(text.InRunes)
}

func TestGit(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                      "",
		"apply failed: a-b_c.d": "apply failed: a-b_c.d",
		"main@sha1:5394cb7f48332b2de7c17dd8b8384bbc84b7e738": "main@sha1:5394cb7f48332b2de7c17dd8b8384bbc84b7e738",
		"https://e.com/a_b/c?d=1&e=2#f":                      "https://e.com/a_b/c?d=1&e=2#f",
		"system:serviceaccount:apps:flux at 12:30:45, ::1":   "system:serviceaccount:apps:flux at 12:30:45, ::1",
		"/clusters/prod": "/clusters/prod",
		"@org/team":      "@" + zero + "org/team",
		"see #12, org/repo#3, !4, $5, &6 and GH-7, gh-8":                      "see #" + zero + "12, org/repo#" + zero + "3, !" + zero + "4, &#36;" + zero + "5, &" + zero + "6 and GH-" + zero + "7, gh-" + zero + "8",
		"see https://github.com/o/r/issues/1, http://e.com/o/r/pull/23/files": "see https://github.com/o/r/issues/" + zero + "1, http://e.com/o/r/pull/" + zero + "23/files",
		"https://e.com/g/p/-/merge_requests/4 o/r/discussions//5 /PULLS/6":    "https://e.com/g/p/-/merge_requests/" + zero + "4 o/r/discussions//" + zero + "5 /PULLS/" + zero + "6",
		"/issues/new /tissues/1 issues/1 /api/v1/pods/2":                      "/issues/new /tissues/1 issues/1 /api/v1/pods/2",
		"high-7 # 1 !a":                "high-7 # 1 !a",
		"/close":                       zero + "/close",
		"a\n/label ~bug\n  /lgtm\nb":   "a\n" + zero + "/label \\~bug\n  " + zero + "/lgtm\nb",
		"a\r/merge":                    "a\n" + zero + "/merge",
		"/\rclose #\r1 @\rteam b\r\nc": "/\nclose #\n1 @\nteam b\nc",
		"a /close":                     "a /close",
		"&amp; &#35; &x; && &;":        "&amp;amp; &amp;#" + zero + "35; &amp;x; && &;",
		"[[wiki]] [a](b) [c]: d":       `\[` + zero + `\[wiki\]\] \[a\]` + zero + `(b) \[c\]` + zero + ": d",
		"<b> <!-- x --> <@U1>":         "&lt;b> &lt;!-- x --> &lt;@" + zero + "U1>",
		"$x$ ${a}${b}":                 "&#36;x&#36; &#36;{a}&#36;{b}",
		"ok :tada: :+1: :a:":           "ok :" + zero + "tada: :" + zero + "+1: :a:",
		"# h\n- l\n> q\n1. n":          zero + "# h\n" + zero + "- l\n" + zero + "> q\n" + zero + "1. n",
		"*b* `c` ~~s~~ |t|":            "\\*b\\* \\`c\\` \\~\\~s\\~\\~ \\|t\\|",
		"nul \x00, \ufdd1 and \ufdd0":  "nul \ufffd, \ufffd and \ufffd",
	} {
		assert.Equal(t, want, forGit(in), in)
	}
}

// character is a reference to one in markdown, which unlike HTML wants its end.
var character = regexp.MustCompile(`&[#\w]+;`)

var escaped = regexp.MustCompile(`\\([\\\[\]` + "`" + `*_~|])`)

// FuzzGit proves that people see what the event said, and nothing is obeyed.
func FuzzGit(f *testing.F) {
	for _, s := range []string{"#1 !2 :a_z: &amp;x;\n/close now", "@a [[b]](c) $d$ <e>", "&#x41;&lt", "/\ra #\r1", "GH-1\r\n/x", "https://e.com/o/r/issues/1 /pull/2/f /-/merge_requests/3#n", "\xff&\x00"} {
		f.Add(s)
	}
	command := regexp.MustCompile(`(?m)^[ \t]*/[A-Za-z]+[ \t]*$`)
	reference := regexp.MustCompile(`[#!]\d|\b(?i:GH-)\d|(^|[^\w])@\w|/(?i:issues|pulls?|discussions|merge_requests|work_items|epics|incidents)/+\d`)
	f.Fuzz(func(t *testing.T, s string) {
		got := forGit(s)
		shown := character.ReplaceAllStringFunc(escaped.ReplaceAllString(got, "$1"), html.UnescapeString)
		assert.NotContains(t, got, "\r")
		assert.NotRegexp(t, command, got)
		assert.NotRegexp(t, reference, shown)
		assert.NotContains(t, got, "<")
		assert.NotContains(t, got, "[[")
	})
}
