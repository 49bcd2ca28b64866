package fluxevent

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"

	"go.opentelemetry.io/collector/pdata/plog"
)

// RecordUID is the attribute log.record.uid of a record; empty when absent. Two
// records of the receiver with the same UID are the same event of the same
// cluster, sent twice.
func RecordUID(record plog.LogRecord) string {
	uid, found := record.Attributes().Get(attrRecordUID)
	if !found {
		return ""
	}
	return uid.AsString()
}

// uidOf is a hash of the whole event: every field, the time and the cluster. An
// event without a timestamp has the time of its arrival instead, because the
// same words without a time may well report something new. The keys are those
// of the metadata, sorted. A relapse, which the receiver recognises by a change of
// severity in between, has a number of its own: it may carry the same time.
func uidOf(e *Event, observed time.Time, relapse uint32, keys []string) string {
	buf := make([]byte, 0, 1024)
	buf = AppendParts(buf, e.Cluster, e.Severity, e.Message, e.Reason, e.Action, e.ReportingController, e.ReportingInstance)
	buf = appendObject(buf, &e.InvolvedObject)
	if e.RelatedObject == nil {
		buf = append(buf, 0)
	} else {
		buf = appendObject(append(buf, 1), e.RelatedObject)
	}
	if e.Timestamp.IsZero() {
		buf = appendTime(append(buf, 0), observed)
	} else {
		buf = appendTime(append(buf, 1), e.Timestamp.Time)
	}
	for _, key := range keys {
		buf = AppendParts(buf, key, e.Metadata[key])
	}
	if relapse > 0 {
		buf = binary.BigEndian.AppendUint32(append(buf, "relapse"...), relapse)
	}
	sum := sha256.Sum256(buf)
	return hex.EncodeToString(sum[:16])
}

func appendObject(buf []byte, o *Object) []byte {
	return AppendParts(buf, o.Kind, o.Namespace, o.Name, o.UID, o.APIVersion, o.ResourceVersion, o.FieldPath)
}

func appendTime(buf []byte, t time.Time) []byte {
	return binary.BigEndian.AppendUint64(buf, uint64(t.UnixNano()))
}

// AppendParts appends texts to what is to be hashed, each after its length, so
// that no two lists of texts give the same bytes.
func AppendParts(buf []byte, parts ...string) []byte {
	for _, part := range parts {
		buf = binary.AppendUvarint(buf, uint64(len(part)))
		buf = append(buf, part...)
	}
	return buf
}
