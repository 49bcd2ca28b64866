package fluxevent

import (
	"math"
	"slices"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/xpdata"
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
	attrCluster         = "k8s.cluster.name"
	attrRecordUID       = "log.record.uid"

	prefixRelated  = "flux.related_object."
	prefixMetadata = "flux.event.metadata."
	prefixLabel    = "k8s.object.label."
)

// ToLogs makes the log record of an event that arrived at the given moment.
func ToLogs(e *Event, observed time.Time) plog.Logs {
	var few [16]string
	return toLogs(e, observed, sortedKeys(few[:0], e.Metadata), "")
}

// ToLogsWithUID makes the same record as ToLogs, and adds its UID. relapse is 0, or the
// number of the relapse that repeats an earlier event.
func ToLogsWithUID(e *Event, observed time.Time, relapse uint32) plog.Logs {
	var few [16]string
	keys := sortedKeys(few[:0], e.Metadata)
	return toLogs(e, observed, keys, uidOf(e, observed, relapse, keys))
}

// sortedKeys appends the keys of a map to an empty slice.
func sortedKeys(keys []string, m map[string]string) []string {
	keys = slices.Grow(keys, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// toLogs adds the metadata in the order of its keys, so that an event always
// makes the same record.
func toLogs(e *Event, observed time.Time, keys []string, uid string) plog.Logs {
	logs := plog.NewLogs()
	resourceLogs := logs.ResourceLogs().AppendEmpty()
	resource := resourceLogs.Resource().Attributes()
	resource.EnsureCapacity(10)
	object := &e.InvolvedObject
	put(resource, attrCluster, e.Cluster)
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
	putAll(record.Attributes(), e, keys, uid)
	return logs
}

// putAll sets the attributes of a record. pcommon.Map's own methods search all
// keys before they add one; the builder does not, and these keys differ.
func putAll(attributes pcommon.Map, e *Event, keys []string, uid string) {
	b := &xpdata.MapBuilder{}
	b.EnsureCapacity(len(keys) + 3)
	add(b, attrRecordUID, uid)
	add(b, attrReason, e.Reason)
	add(b, attrAction, e.Action)
	if related := e.RelatedObject; related != nil {
		add(b, prefixRelated+"kind", related.Kind)
		add(b, prefixRelated+"namespace", related.Namespace)
		add(b, prefixRelated+"name", related.Name)
		add(b, prefixRelated+"uid", related.UID)
		add(b, prefixRelated+"api_version", related.APIVersion)
		add(b, prefixRelated+"resource_version", related.ResourceVersion)
		add(b, prefixRelated+"field_path", related.FieldPath)
	}
	for _, key := range keys {
		b.AppendEmpty(prefixMetadata + key).SetStr(e.Metadata[key])
	}
	b.UnsafeIntoMap(attributes)
}

// add leaves empty values out, as put does.
func add(b *xpdata.MapBuilder, key, value string) {
	if value != "" {
		b.AppendEmpty(key).SetStr(value)
	}
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
// Such a record is an error from the severity number errorFrom on. A record
// without any time gets the current one as its time of arrival.
func FromRecord(resource pcommon.Resource, record plog.LogRecord, errorFrom plog.SeverityNumber) *Event {
	f := &fields{foreign: record.EventName() != EventName}
	resource.Attributes().Range(f.read)
	record.Attributes().Range(f.read) // read last: the record's own wins

	e := &f.event
	e.Message = textOf(record.Body())
	e.Timestamp = NewTime(asTime(record.Timestamp()))
	e.Observed = asTime(record.ObservedTimestamp())
	if e.Observed.IsZero() && e.Timestamp.IsZero() {
		e.Observed = time.Now().UTC()
	}
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

// asTime is the zero time for an unknown moment, and for one past the range of
// time.Time's nanoseconds, which would read as one before 1970.
func asTime(t pcommon.Timestamp) time.Time {
	if t == 0 || t > math.MaxInt64 {
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
