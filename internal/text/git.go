package text

import (
	"slices"
	"strings"
)

// reference stands for an ampersand that begins a character reference between
// QuietGit and Git. It is a noncharacter, as inner is.
const reference = '\uFDD1'

var lineBreaks = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// QuietGit makes a stranger's text ready for the Escape Git: what Quiet does, and
// nothing refers to an issue, which would be told of it, by its number or by its
// address, no line is a command to the host or to its bots, and no word becomes a
// picture. References are found after markdown has been resolved, so that only a
// space which nobody sees keeps them apart. GitLab drops carriage returns, which would join what they part
// (https://gitlab.com/gitlab-org/gitlab/-/blob/master/lib/gitlab/quick_actions/extractor.rb):
// they become line breaks.
func QuietGit(s string) string {
	s = lineBreaks.Replace(s)
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\x00", "\uFFFD"), string(reference), "\uFFFD")
	var b strings.Builder
	done := 0
	for i := range len(s) {
		switch rest := s[i+1:]; {
		case s[i] == '/' && command(s[:i], rest):
			b.WriteString(s[done:i])
			b.WriteString(apart)
			done = i
		case s[i] == '&' && refers(rest):
			b.WriteString(s[done:i])
			b.WriteRune(reference)
			done = i + 1
		case startsWithDigit(rest) && (sigil(s[:i], s[i]) || numbered(s[:i], s[i])), s[i] == '[' && strings.HasPrefix(rest, "["), s[i] == ':' && picture(s[:i], rest):
			b.WriteString(s[done : i+1])
			b.WriteString(apart)
			done = i + 1
		}
	}
	if done > 0 || b.Len() > 0 {
		b.WriteString(s[done:])
		s = b.String()
	}
	return Quiet(s)
}

// Git is an Escape for the markdown of Git hosts' comments, for what QuietGit has
// made ready. Such markdown knows formulas between dollar signs, which are no
// less dollar signs as character references.
func Git(r rune) string {
	switch r {
	case reference:
		return "&amp;"
	case '<':
		return "&lt;"
	case '$':
		return "&#36;"
	case '[':
		return `\[`
	case ']':
		return `\]`
	}
	return Chat(r)
}

// sigil tells what makes a reference of a number: #1 and GH-1 of GitHub, !1, $1
// and &1 of GitLab.
func sigil(before string, c byte) bool {
	if c == '-' {
		n := len(before) - 2
		return n >= 0 && strings.EqualFold(before[n:], "GH") && (n == 0 || !alphanumeric(before[n-1]))
	}
	return strings.IndexByte("#!$&", c) >= 0
}

// places are the parts of addresses before the number of what would be told of
// them: an address of an issue is a reference no less than its number
// (https://docs.github.com/en/get-started/writing-on-github/working-with-advanced-formatting/autolinked-references-and-urls,
// https://docs.gitlab.com/user/project/issues/crosslinking_issues/).
var places = []string{"issues", "pull", "pulls", "discussions", "merge_requests", "work_items", "epics", "incidents"}

// numbered tells that a slash stands between such a part and its number.
func numbered(before string, c byte) bool {
	before = strings.TrimRight(before, "/")
	slash := strings.LastIndexByte(before, '/')
	return c == '/' && slash >= 0 && slices.ContainsFunc(places, func(place string) bool { return strings.EqualFold(before[slash+1:], place) })
}

func startsWithDigit(s string) bool {
	return s != "" && s[0] >= '0' && s[0] <= '9'
}

// command tells whether a slash begins a line that is one, such as /close.
func command(before, after string) bool {
	before = strings.TrimRight(before, " \t")
	if before != "" && before[len(before)-1] != '\n' {
		return false
	}
	rest := strings.TrimLeft(after, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
	return len(rest) < len(after) && (rest == "" || strings.IndexByte(" \t\n", rest[0]) >= 0)
}

// maxReference is longer than the name of any character, in bytes.
const maxReference = 40

// refers tells whether what follows an ampersand makes it a character reference.
// Markdown wants all of one, but browsers are content with the beginning of a
// number: whatever looks like that is none.
func refers(after string) bool {
	if strings.HasPrefix(after, "#") {
		return true
	}
	name, _, found := strings.Cut(after[:min(len(after), maxReference)], ";")
	if !found || name == "" {
		return false
	}
	for i := range len(name) {
		if !alphanumeric(name[i]) {
			return false
		}
	}
	return true
}

// picture tells whether what follows a colon makes an emoji of it, such as
// :tada:. Times, addresses of networks and the names of Kubernetes' accounts do
// not.
func picture(before, after string) bool {
	if before != "" && alphanumeric(before[len(before)-1]) {
		return false
	}
	name, _, found := strings.Cut(after[:min(len(after), maxReference)], ":")
	rest := strings.Trim(name, "0123456789abcdef")
	if !found || rest == "" {
		return false
	}
	for i := range len(rest) {
		if !alphanumeric(rest[i]) && strings.IndexByte("_+-", rest[i]) < 0 {
			return false
		}
	}
	return true
}
