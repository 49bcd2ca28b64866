// Package fluxevent holds the event that Flux controllers post, and its one
// mapping to and from an OpenTelemetry log record.
//
// The type is this project's own, not that of github.com/fluxcd/pkg/apis/event:
// it is small, and Flux's module ties whoever imports it to one release of
// k8s.io/api, which a component for other people's collectors must not do.
package fluxevent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// The severities that Flux controllers use.
const (
	SeverityTrace = "trace"
	SeverityInfo  = "info"
	SeverityError = "error"
)

// Group is the API group of Flux events. Metadata keys that begin with it and
// a slash are meant for whoever is notified.
const Group = "event.toolkit.fluxcd.io"

// ClusterKey is the metadata key under which an event can name its cluster.
const ClusterKey = Group + "/cluster"

// Object refers to a Kubernetes object. Its fields are those, and in the
// order, of Kubernetes' ObjectReference.
type Object struct {
	Kind            string `json:"kind,omitempty"`
	Namespace       string `json:"namespace,omitempty"`
	Name            string `json:"name,omitempty"`
	UID             string `json:"uid,omitempty"`
	APIVersion      string `json:"apiVersion,omitempty"`
	ResourceVersion string `json:"resourceVersion,omitempty"`
	FieldPath       string `json:"fieldPath,omitempty"`
}

// Group is the API group of the object, empty for the core group and where the
// API version is unknown.
func (o Object) Group() string {
	group, _, found := strings.Cut(o.APIVersion, "/")
	if !found {
		return ""
	}
	return group
}

// Event is what a Flux controller reports, in its v1beta1 form or in its v1
// form, which adds RelatedObject and Action. Marshalling it gives the bytes
// that Flux itself would send.
type Event struct {
	InvolvedObject      Object            `json:"involvedObject"`
	RelatedObject       *Object           `json:"relatedObject,omitempty"`
	Severity            string            `json:"severity"`
	Timestamp           Time              `json:"timestamp"`
	Message             string            `json:"message"`
	Reason              string            `json:"reason"`
	Action              string            `json:"action,omitempty"`
	Metadata            map[string]string `json:"metadata,omitempty"`
	ReportingController string            `json:"reportingController"`
	ReportingInstance   string            `json:"reportingInstance,omitempty"`

	// Cluster is the name of the cluster that the event comes from; empty when
	// it is unknown.
	Cluster string `json:"-"`
	// Observed is when the event arrived here.
	Observed time.Time `json:"-"`
	// Labels are those of the involved object, where a processor added them.
	Labels map[string]string `json:"-"`
}

// Time is when the event happened, or when it arrived if its timestamp is
// unknown or later than the arrival: a sender's clock may be ahead.
func (e *Event) Time() time.Time {
	if e.Timestamp.IsZero() || !e.Observed.IsZero() && e.Timestamp.After(e.Observed) {
		return e.Observed.UTC()
	}
	return e.Timestamp.Time
}

// IsError tells an error from everything else, as Flux does.
func (e *Event) IsError() bool { return e.Severity == SeverityError }

// MaxMetadata is the largest number of metadata keys that Parse accepts.
// Kubernetes limits the annotations of an object to 256 KiB in total.
const MaxMetadata = 1000

var errTooMuchMetadata = fmt.Errorf("not an event: metadata has more than %d keys", MaxMetadata)

// Parse reads the JSON of one event. Its errors are a single line that says
// what is wrong, and quote nothing of the body beyond a field's name.
func Parse(body []byte) (Event, error) {
	var e Event
	if len(bytes.TrimSpace(body)) == 0 {
		return Event{}, errors.New("the body is empty, expected one event as a JSON object")
	}
	if tooMuchMetadata(body) {
		return Event{}, errTooMuchMetadata
	}
	if err := json.Unmarshal(body, &e); err != nil {
		return Event{}, explain(err)
	}
	if e.InvolvedObject.Kind == "" {
		return Event{}, errors.New("not an event: involvedObject.kind is missing")
	}
	if e.InvolvedObject.Name == "" {
		return Event{}, errors.New("not an event: involvedObject.name is missing")
	}
	if e.RelatedObject != nil && *e.RelatedObject == (Object{}) {
		e.RelatedObject = nil
	}
	if len(e.Metadata) == 0 {
		e.Metadata = nil
	}
	return e, nil
}

// tooMuchMetadata reports whether the metadata has too many keys, before the
// costly decoding. A body with few colons cannot have many keys.
func tooMuchMetadata(body []byte) bool {
	if bytes.Count(body, []byte{':'}) <= MaxMetadata {
		return false
	}
	var probe struct {
		Metadata memberCount `json:"metadata"`
	}
	// The error is left to the decoding that follows. The members before it count.
	_ = json.Unmarshal(body, &probe)
	return probe.Metadata > MaxMetadata
}

// memberCount is the number of members of a JSON object, not of those nested
// in it. A repeated object adds to it, because encoding/json merges its keys.
type memberCount int

// UnmarshalJSON implements json.Unmarshaler. The JSON is valid.
func (c *memberCount) UnmarshalJSON(b []byte) error {
	depth, quoted := 0, false
	for i := 0; i < len(b); i++ {
		switch char := b[i]; {
		case quoted && char == '\\':
			i++
		case char == '"':
			quoted = !quoted
		case quoted:
		case char == '{' || char == '[':
			depth++
		case char == '}' || char == ']':
			depth--
		case char == ':' && depth == 1:
			*c++
		}
	}
	return nil
}

func explain(err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("not JSON: %s (at byte %d)", unquoted(syntax.Error()), syntax.Offset)
	}
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) {
		if mismatch.Field == "" {
			return fmt.Errorf("not an event: expected one JSON object, got %s", article(mismatch.Value))
		}
		field := mismatch.Field
		if field == "metadata" && want(mismatch) == "a string" {
			field = "a value of metadata" // encoding/json names no key of a map
		}
		return fmt.Errorf("not an event: %s is %s, expected %s", field, article(mismatch.Value), want(mismatch))
	}
	return fmt.Errorf("not an event: %w", err)
}

// unquoted leaves the character out that encoding/json quotes in "invalid
// character 'x' after array element": it is the body's.
func unquoted(message string) string {
	const quoting = "invalid character "
	if end := strings.LastIndex(message, "' "); end > len(quoting) && strings.HasPrefix(message, quoting) {
		return quoting + message[end+len("' "):]
	}
	return message
}

func want(mismatch *json.UnmarshalTypeError) string {
	if mismatch.Type.Kind().String() == "string" {
		return "a string"
	}
	return "an object"
}

func article(kind string) string {
	kind, _, _ = strings.Cut(kind, " ") // "number 1.5" would quote the body
	switch kind {
	case "array", "object":
		return "an " + kind
	case "bool":
		return "true or false"
	default:
		return "a " + kind
	}
}
