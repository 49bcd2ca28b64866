package fluxmanifest

import (
	"regexp"
	"regexp/syntax"
)

// Bounds of the regular expressions of an Alert. Flux has none: 128 KB of them need
// 780 MiB of memory.
const (
	maxExpressions    = 100      // of each list
	maxExpression     = 4 << 10  // of each, in bytes
	maxAllExpressions = 64 << 10 // together, in bytes
	// maxCompiled bounds what they become, in instructions and ranges of characters of
	// some 40 bytes each: x{1000} is 7 bytes long, and 1000 instructions.
	maxCompiled = 50_000
)

// readExpressions reads both lists of regular expressions.
func readExpressions(spec *fields) (inclusion, exclusion []string) {
	size, compiled := 0, 0
	read := func(name string) []string {
		items, _ := spec.list(name)
		if len(items) > maxExpressions {
			spec.object.fault(spec.pathOf(name), "lists %d expressions, the most is %d", len(items), maxExpressions)
			return nil
		}
		expressions := make([]string, 0, len(items))
		for _, item := range items {
			text, ok := item.text()
			if !ok {
				continue
			}
			size += len(text)
			if cost, ok := checkExpression(item, text); ok {
				compiled += cost
				expressions = append(expressions, text)
			}
		}
		return expressions
	}
	inclusion, exclusion = read("inclusionList"), read("exclusionList")
	switch {
	case size > maxAllExpressions:
		spec.object.fault(spec.path, "has inclusionList and exclusionList of %d bytes together, the most is %d", size, maxAllExpressions)
	case compiled > maxCompiled:
		spec.object.fault(spec.path, "has regular expressions in inclusionList and exclusionList that need too much memory: repeat less in them, as x{1000} does")
	}
	return inclusion, exclusion
}

// checkExpression checks an expression, and returns what it costs to compile.
func checkExpression(item value, text string) (cost int, ok bool) {
	if len(text) > maxExpression {
		item.object.fault(item.path, "is %d bytes long, the most is %d", len(text), maxExpression)
		return 0, false
	}
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		item.object.fault(item.path, "error parsing regexp: %s (the syntax is that of https://pkg.go.dev/regexp/syntax)", shortenedError(err))
		return 0, false
	}
	if cost = compiledSize(parsed); cost > maxCompiled {
		item.object.fault(item.path, "needs too much memory: repeat less in it, as x{1000} does")
		return 0, false
	}
	if _, err := regexp.Compile(text); err != nil {
		item.object.fault(item.path, "%s (the syntax is that of https://pkg.go.dev/regexp/syntax)", shortened(err.Error()))
		return 0, false
	}
	return cost, true
}

func shortenedError(err error) string {
	if bad, ok := err.(*syntax.Error); ok { //nolint:errorlint // syntax.Parse returns it as it is
		return string(bad.Code) + ": `" + shortened(bad.Expr) + "`"
	}
	return shortened(err.Error())
}

// compiledSize estimates the size of a compiled expression, in instructions. Classes of
// characters are shared by repetitions.
func compiledSize(re *syntax.Regexp) int {
	instructions, ranges := sizes(re)
	return instructions + ranges
}

func sizes(re *syntax.Regexp) (instructions, ranges int) {
	instructions = 1
	switch re.Op {
	case syntax.OpLiteral:
		instructions = len(re.Rune)
	case syntax.OpCharClass:
		ranges = len(re.Rune) / 2
	}
	for _, sub := range re.Sub {
		i, r := sizes(sub)
		instructions, ranges = instructions+i, ranges+r
	}
	if re.Op == syntax.OpRepeat {
		instructions *= max(re.Min, re.Max, 1)
	}
	return instructions, ranges
}
