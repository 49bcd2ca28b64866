package fluxevent

import (
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

// EventName marks the log records that the receiver made.
const EventName = "flux.event"

// The attributes of a record. Where the collector's own Kubernetes event
// receivers have a name for something, it is theirs.
const (
	attrKind            = "k8s.object.kind"
	attrName            = "k8s.object.name"
	attrUID             = "k8s.object.uid"
	attrAPIVersion      = "k8s.object.api_version"
	attrResourceVersion = "k8s.object.resource_version"
	attrFieldPath       = "k8s.object.fieldpath"
	attrNamespace       = "k8s.namespace.name"
	attrController      = "service.name"
	attrInstance        = "service.instance.id"
	attrReason          = "k8s.event.reason"
	attrAction          = "k8s.event.action"

	prefixRelated  = "flux.related_object."
	prefixMetadata = "flux.event.metadata."
	prefixLabel    = "k8s.object.label."
)

// ToLogs makes the log record of an event that arrived at the given moment.
func ToLogs(e *Event, observed time.Time) plog.Logs {
	logs := plog.NewLogs()
	resourceLogs := logs.ResourceLogs().AppendEmpty()
	resource := resourceLogs.Resource().Attributes()
	resource.EnsureCapacity(9)
	object := e.InvolvedObject
	put(resource, attrKind, object.Kind)
	put(resource, attrName, object.Name)
	put(resource, attrUID, object.UID)
	put(resource, attrAPIVersion, object.APIVersion)
	put(resource, attrResourceVersion, object.ResourceVersion)
	put(resource, attrFieldPath, object.FieldPath)
	put(resource, attrNamespace, object.Namespace)
	put(resource, attrController, e.ReportingController)
	put(resource, attrInstance, e.ReportingInstance)

	record := resourceLogs.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	record.SetEventName(EventName)
	record.SetObservedTimestamp(pcommon.NewTimestampFromTime(observed))
	if !e.Timestamp.IsZero() {
		record.SetTimestamp(pcommon.NewTimestampFromTime(e.Timestamp.Time))
	}
	record.SetSeverityText(e.Severity)
	record.SetSeverityNumber(severityNumber(e.Severity))
	record.Body().SetStr(e.Message)

	attributes := record.Attributes()
	attributes.EnsureCapacity(len(e.Metadata) + 2)
	put(attributes, attrReason, e.Reason)
	put(attributes, attrAction, e.Action)
	if related := e.RelatedObject; related != nil {
		put(attributes, prefixRelated+"kind", related.Kind)
		put(attributes, prefixRelated+"namespace", related.Namespace)
		put(attributes, prefixRelated+"name", related.Name)
		put(attributes, prefixRelated+"uid", related.UID)
		put(attributes, prefixRelated+"api_version", related.APIVersion)
		put(attributes, prefixRelated+"resource_version", related.ResourceVersion)
		put(attributes, prefixRelated+"field_path", related.FieldPath)
	}
	for key, value := range e.Metadata {
		attributes.PutStr(prefixMetadata+key, value)
	}
	return logs
}

// put leaves empty values out: an absent field and an empty one are the same
// to Kubernetes, and a record's reader should not have to tell them apart.
func put(attributes pcommon.Map, key, value string) {
	if value != "" {
		attributes.PutStr(key, value)
	}
}

func severityNumber(severity string) plog.SeverityNumber {
	switch severity {
	case SeverityTrace:
		return plog.SeverityNumberTrace
	case SeverityError:
		return plog.SeverityNumberError
	default:
		return plog.SeverityNumberInfo
	}
}

// FromRecord reads an event out of a log record: exactly the one that ToLogs
// was given, or, of a record from elsewhere, the nearest thing to an event.
// Such a record is an error from the severity number errorFrom on.
func FromRecord(resource pcommon.Resource, record plog.LogRecord, errorFrom plog.SeverityNumber) *Event {
	f := &fields{foreign: record.EventName() != EventName}
	resource.Attributes().Range(f.read)
	record.Attributes().Range(f.read) // read last: the record's own wins

	e := &f.event
	e.Message = record.Body().AsString()
	e.Timestamp = NewTime(asTime(record.Timestamp()))
	e.Observed = asTime(record.ObservedTimestamp())
	if f.related != (Object{}) {
		e.RelatedObject = &f.related
	}
	e.InvolvedObject = f.object
	f.completeObject()
	if !f.foreign {
		e.Severity = record.SeverityText()
		return e
	}
	if e.Reason == "" {
		e.Reason = firstOf(record.EventName(), record.SeverityText())
	}
	e.Severity = severity(record, errorFrom)
	return e
}

// ObjectOf names the involved object of the event that FromRecord would give.
func ObjectOf(resource pcommon.Resource, record plog.LogRecord) Object {
	f := fields{foreign: record.EventName() != EventName}
	resource.Attributes().Range(f.readObject)
	record.Attributes().Range(f.readObject)
	f.event.InvolvedObject = f.object
	f.completeObject()
	return f.event.InvolvedObject
}

func asTime(t pcommon.Timestamp) time.Time {
	if t == 0 {
		return time.Time{}
	}
	return t.AsTime()
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// severity maps the number; a record without one is judged by its text.
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

func numberOf(text string) plog.SeverityNumber {
	switch strings.ToLower(text) {
	case "trace", "debug":
		return plog.SeverityNumberTrace
	case "warn", "warning":
		return plog.SeverityNumberWarn
	case "error", "fatal", "critical":
		return plog.SeverityNumberError
	default:
		return plog.SeverityNumberInfo
	}
}
