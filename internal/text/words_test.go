package text_test

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"

	"github.com/fluxnotify/otelcol-flux/internal/text"
)

func TestTitle(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                      "",
		"HealthCheckFailed":     "Healthcheckfailed",
		"health check failed":   "Health Check Failed",
		"health-check failed":   "Health-Check Failed",
		"snake_case":            "Snake_case",
		"don't":                 "Don't",
		"HTTPError":             "Httperror",
		"équipe ÉQUIPE":         "Équipe Équipe",
		"ǆ":                     "ǅ", // the one letter has an upper and a title case
		"2nd try":               "2nd Try",
		"部署 failed":             "部署 Failed",
		"Progressing\nAgainNow": "Progressing\nAgainnow",
	} {
		assert.Equal(t, want, text.Title(in), in)
	}
}

func TestLabelName(t *testing.T) {
	t.Parallel()
	valid := regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
	for in, want := range map[string]string{
		"":                       "_",
		"revision":               "revision",
		"originRevision":         "originRevision",
		"app-version":            "app_version",
		"example.com/team":       "example_com_team",
		"équipe":                 "_quipe",
		"1st":                    "_1st",
		"__x9":                   "__x9",
		"日本":                     "__",
		"a\xffb":                 "a_b",
		strings.Repeat("é9", 20): strings.Repeat("_9", 20),
	} {
		got := text.LabelName(in)
		assert.Equal(t, want, got, in)
		assert.Regexp(t, valid, got)
	}
}

func TestPrintable(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                  "",
		"plain text, ünï 🚀": "plain text, ünï 🚀",
		"a\nb\tc":           `a\nb\tc`,
		"\x1b[31mred":       `\x1b[31mred`,
		"\xff":              `\xff`,
		"a\u202eb\u200bc":   `a\u202eb\u200bc`,
		"\u2028":            `\u2028`,
		"a\u2001b\u00a0c":   `a\u2001b\u00a0c`, // spaces that look like others
		`a"b\c`:             `a"b\c`,
		"\x00\"\x00":        `\x00"\x00`,
	} {
		assert.Equal(t, want, text.Printable(in), "%q", in)
	}
}

func FuzzPrintable(f *testing.F) {
	for _, seed := range []string{"", "a\nb", "\xff\xfe", "\u202e", "🚀é", strconv.Quote("\x00")} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := text.Printable(s)
		assert.True(t, utf8.ValidString(got))
		for _, r := range got {
			assert.True(t, unicode.IsPrint(r), "%U", r)
		}
		assert.Equal(t, got, text.Printable(got), "nothing is left to escape")
	})
}
