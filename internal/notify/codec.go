package notify

import (
	"errors"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
)

// The stored form of a notification is a protocol buffer without a schema file. Field
// numbers keep their meaning; unknown fields are ignored, so that fields can be added.
const (
	fieldInvolvedObject protowire.Number = iota + 1 // an object
	fieldRelatedObject                              // an object
	fieldSeverity
	fieldTimestamp // nanoseconds since 1970
	fieldMessage
	fieldReason
	fieldAction
	fieldReportingController
	fieldReportingInstance
	fieldObserved // nanoseconds since 1970
	fieldMetadata // a key and a value, repeated: the event's own
	fieldField    // a key, a value and a mark, repeated: the combined metadata
	fieldAlertName
	fieldAlertNamespace
	fieldAlertUID
	fieldCluster
	fieldLabel // a key and a value, repeated
)

// Field numbers of an object, in the order of fluxevent.Object.
const (
	objectKind protowire.Number = iota + 1
	objectNamespace
	objectName
	objectUID
	objectAPIVersion
	objectResourceVersion
	objectFieldPath
)

// Field numbers of a pair.
const (
	pairKey protowire.Number = iota + 1
	pairValue
	pairOperator
)

// Marshal returns the stored form of a notification.
func (n *Notification) Marshal() []byte {
	e := &n.Event
	b := make([]byte, 0, 512+len(e.Message)+64*(len(n.Own)+len(n.Fields)))
	b = appendObject(b, fieldInvolvedObject, &e.InvolvedObject)
	if e.RelatedObject != nil {
		b = appendObject(b, fieldRelatedObject, e.RelatedObject)
	}
	b = appendText(b, fieldSeverity, e.Severity)
	b = appendTime(b, fieldTimestamp, e.Timestamp.Time)
	b = appendText(b, fieldMessage, e.Message)
	b = appendText(b, fieldReason, e.Reason)
	b = appendText(b, fieldAction, e.Action)
	b = appendText(b, fieldReportingController, e.ReportingController)
	b = appendText(b, fieldReportingInstance, e.ReportingInstance)
	b = appendTime(b, fieldObserved, e.Observed)
	b = appendPairs(b, fieldMetadata, n.Own)
	for _, f := range n.Fields {
		b = appendPair(b, fieldField, f.Key, f.Value, f.Operator)
	}
	b = appendText(b, fieldAlertName, n.Alert.Name)
	b = appendText(b, fieldAlertNamespace, n.Alert.Namespace)
	b = appendText(b, fieldAlertUID, n.Alert.UID)
	b = appendText(b, fieldCluster, e.Cluster)
	return appendPairs(b, fieldLabel, e.Labels)
}

// Unmarshal reads the stored form of a notification.
func Unmarshal(stored []byte) (*Notification, error) {
	n := &Notification{}
	e := &n.Event
	// One copy for all texts: they are parts of it.
	text := string(stored)
	err := eachField(stored, text, func(field protowire.Number, number uint64, raw []byte, text string) error {
		switch field {
		case fieldInvolvedObject:
			return unmarshalObject(raw, text, &e.InvolvedObject)
		case fieldRelatedObject:
			e.RelatedObject = &fluxevent.Object{}
			return unmarshalObject(raw, text, e.RelatedObject)
		case fieldSeverity:
			e.Severity = text
		case fieldTimestamp:
			e.Timestamp = fluxevent.Time{Time: time.Unix(0, int64(number)).UTC()}
		case fieldMessage:
			e.Message = text
		case fieldReason:
			e.Reason = text
		case fieldAction:
			e.Action = text
		case fieldReportingController:
			e.ReportingController = text
		case fieldReportingInstance:
			e.ReportingInstance = text
		case fieldObserved:
			e.Observed = time.Unix(0, int64(number)).UTC()
		case fieldMetadata:
			return unmarshalPair(raw, text, func(f Field) { put(&n.Own, f) })
		case fieldField:
			return unmarshalPair(raw, text, func(f Field) { n.Fields = append(n.Fields, f); put(&e.Metadata, f) })
		case fieldAlertName:
			n.Alert.Name = text
		case fieldAlertNamespace:
			n.Alert.Namespace = text
		case fieldAlertUID:
			n.Alert.UID = text
		case fieldCluster:
			e.Cluster = text
		case fieldLabel:
			return unmarshalPair(raw, text, func(f Field) { put(&e.Labels, f) })
		}
		return nil
	})
	if err != nil || e.InvolvedObject == (fluxevent.Object{}) {
		return nil, errors.New("the stored notification cannot be read")
	}
	return n, nil
}

func put(to *map[string]string, f Field) {
	if *to == nil {
		*to = map[string]string{}
	}
	(*to)[f.Key] = f.Value
}

func appendObject(b []byte, field protowire.Number, o *fluxevent.Object) []byte {
	var inner [256]byte
	object := inner[:0]
	object = appendText(object, objectKind, o.Kind)
	object = appendText(object, objectNamespace, o.Namespace)
	object = appendText(object, objectName, o.Name)
	object = appendText(object, objectUID, o.UID)
	object = appendText(object, objectAPIVersion, o.APIVersion)
	object = appendText(object, objectResourceVersion, o.ResourceVersion)
	object = appendText(object, objectFieldPath, o.FieldPath)
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), object)
}

func unmarshalObject(raw []byte, text string, o *fluxevent.Object) error {
	return eachField(raw, text, func(field protowire.Number, _ uint64, _ []byte, text string) error {
		switch field {
		case objectKind:
			o.Kind = text
		case objectNamespace:
			o.Namespace = text
		case objectName:
			o.Name = text
		case objectUID:
			o.UID = text
		case objectAPIVersion:
			o.APIVersion = text
		case objectResourceVersion:
			o.ResourceVersion = text
		case objectFieldPath:
			o.FieldPath = text
		}
		return nil
	})
}

// appendPairs appends a map in the order of its keys, so that equal notifications have
// equal stored forms.
func appendPairs(b []byte, field protowire.Number, pairs map[string]string) []byte {
	keys := make([]string, 0, len(pairs))
	for key := range pairs {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		b = appendPair(b, field, key, pairs[key], false)
	}
	return b
}

func appendPair(b []byte, field protowire.Number, key, value string, operator bool) []byte {
	size := protowire.SizeTag(pairKey) + protowire.SizeBytes(len(key)) + protowire.SizeTag(pairValue) + protowire.SizeBytes(len(value))
	if operator {
		size += protowire.SizeTag(pairOperator) + protowire.SizeVarint(1)
	}
	b = protowire.AppendVarint(protowire.AppendTag(b, field, protowire.BytesType), uint64(size))
	b = protowire.AppendString(protowire.AppendTag(b, pairKey, protowire.BytesType), key)
	b = protowire.AppendString(protowire.AppendTag(b, pairValue, protowire.BytesType), value)
	if operator {
		b = protowire.AppendVarint(protowire.AppendTag(b, pairOperator, protowire.VarintType), 1)
	}
	return b
}

func unmarshalPair(raw []byte, text string, add func(Field)) error {
	var f Field
	err := eachField(raw, text, func(field protowire.Number, number uint64, _ []byte, text string) error {
		switch field {
		case pairKey:
			f.Key = text
		case pairValue:
			f.Value = text
		case pairOperator:
			f.Operator = number != 0
		}
		return nil
	})
	if err == nil {
		add(f)
	}
	return err
}

func appendText(b []byte, field protowire.Number, text string) []byte {
	if text == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), text)
}

func appendTime(b []byte, field protowire.Number, t time.Time) []byte {
	if t.IsZero() {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), uint64(t.UnixNano()))
}

// eachField calls visit for every field of b. text has the same bytes as b.
func eachField(b []byte, text string, visit func(field protowire.Number, number uint64, raw []byte, text string) error) error {
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b, text = b[n:], text[n:]
		var number uint64
		var raw []byte
		switch kind {
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			raw, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(field, kind, b)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		if err := visit(field, number, raw, text[n-len(raw):n]); err != nil {
			return err
		}
		b, text = b[n:], text[n:]
	}
	return nil
}
