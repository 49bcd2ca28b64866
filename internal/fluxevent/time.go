package fluxevent

import (
	"encoding/json"
	"errors"
	"time"
)

// Time is a moment in UTC with its nanoseconds; zero when it is not known. Its
// JSON is the one that Flux writes: RFC 3339 in whole seconds, or null.
type Time struct{ time.Time }

// The moments that a log record can hold: its clock counts nanoseconds from
// 1970 in 64 bits, and 0 means unknown.
var (
	earliest = time.Unix(1, 0)
	latest   = time.Date(2262, time.January, 1, 0, 0, 0, 0, time.UTC)
)

var errTime = errors.New("timestamp is not a time in RFC 3339 between 1970 and 2262, such as 2026-03-02T01:07:13Z")

// NewTime is t in UTC, with its nanoseconds and without a monotonic clock.
func NewTime(t time.Time) Time {
	if t.IsZero() {
		return Time{}
	}
	return Time{t.UTC().Round(0)}
}

// MarshalJSON implements json.Marshaler.
func (t Time) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	b := make([]byte, 0, len(time.RFC3339)+2)
	b = append(b, '"')
	b = t.UTC().AppendFormat(b, time.RFC3339)
	return append(b, '"'), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *Time) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*t = Time{}
		return nil
	}
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return errTime
	}
	parsed, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return errTime
	}
	if parsed.IsZero() {
		*t = Time{}
		return nil
	}
	if parsed.Before(earliest) || parsed.After(latest) {
		return errTime
	}
	*t = NewTime(parsed)
	return nil
}
