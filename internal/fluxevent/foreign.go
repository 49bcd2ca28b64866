package fluxevent

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

// severity maps the number of a record; one without a number is read from its
// text.
func severity(record plog.LogRecord, errorFrom plog.SeverityNumber) string {
	number := record.SeverityNumber()
	if number == plog.SeverityNumberUnspecified {
		number = numberOf(record.SeverityText())
	}
	switch {
	case number >= errorFrom:
		return SeverityError
	case number < plog.SeverityNumberInfo:
		return SeverityTrace
	default:
		return SeverityInfo
	}
}

// numberOf reads the names of severities that are in common use: those of
// OpenTelemetry (with its levels, such as ERROR2), syslog, klog, log4j,
// java.util.logging, Python, .NET, zerolog and PostgreSQL. An unknown name is
// info.
func numberOf(text string) plog.SeverityNumber {
	name := strings.TrimRight(strings.ToLower(strings.Trim(text, " \t\r\n[]<>:")), "0123456789")
	switch name {
	case "t", "v", "trace", "trc", "trce", "verbose", "vrb", "finest", "finer", "all":
		return plog.SeverityNumberTrace
	case "d", "debug", "dbg", "dbug", "fine", "config":
		return plog.SeverityNumberDebug
	case "w", "warn", "warning", "wrn":
		return plog.SeverityNumberWarn
	case "e", "error", "err", "fail", "failure", "failed", "severe", "dpanic":
		return plog.SeverityNumberError
	case "c", "f", "fatal", "ftl", "critical", "crit", "crt", "alert", "emerg", "emergency", "panic", "pnc":
		return plog.SeverityNumberFatal
	default:
		return plog.SeverityNumberInfo
	}
}

// textOf is the text of a value: a string as it is, readable bytes as the text
// that they are, and lists and maps as JSON.
func textOf(value pcommon.Value) string {
	switch value.Type() {
	case pcommon.ValueTypeStr:
		return value.Str()
	case pcommon.ValueTypeBytes:
		if b := value.Bytes().AsRaw(); readable(b) {
			return string(b)
		}
	case pcommon.ValueTypeMap, pcommon.ValueTypeSlice:
		return jsonOf(value.AsRaw())
	}
	return value.AsString()
}

func jsonOf(value any) string {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	// Nothing is left in the value that JSON could not express.
	_ = encoder.Encode(expressible(value))
	return strings.TrimSuffix(b.String(), "\n")
}

// expressible replaces, in place, what JSON has no number for by strings, with
// the names that protobuf's JSON uses, and readable bytes by their text.
func expressible(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key, element := range v {
			v[key] = expressible(element)
		}
	case []any:
		for i, element := range v {
			v[i] = expressible(element)
		}
	case float64:
		switch {
		case math.IsNaN(v):
			return "NaN"
		case math.IsInf(v, 1):
			return "Infinity"
		case math.IsInf(v, -1):
			return "-Infinity"
		}
	case []byte:
		if readable(v) {
			return string(v)
		}
	}
	return value
}

// readable reports whether bytes are text: UTF-8 without control characters
// other than white space.
func readable(b []byte) bool {
	return utf8.Valid(b) && !bytes.ContainsFunc(b, func(r rune) bool {
		return unicode.IsControl(r) && !unicode.IsSpace(r)
	})
}
