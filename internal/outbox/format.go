package outbox

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// version is that of the stored format.
const version = 1

// headKey is the key of the head.
const headKey = "outbox"

// head describes the whole storage.
type head struct {
	// epoch grows with every start that writes something.
	epoch uint64
	// slots is an upper bound of the slots in use.
	slots uint32
}

// Field numbers of the head.
const (
	headVersion = 1
	headEpoch   = 2
	headSlots   = 3
)

// slotKey is the key of a slot's entry.
func slotKey(slot uint32) string { return fmt.Sprintf("n%08x", slot) }

func (h head) marshal() []byte {
	b := appendVarint(nil, headVersion, version)
	b = appendVarint(b, headEpoch, h.epoch)
	return appendVarint(b, headSlots, uint64(h.slots))
}

func unmarshalHead(b []byte) (head, error) {
	var h head
	var stored uint64
	err := eachField(b, func(field protowire.Number, number uint64, _ []byte) {
		switch field {
		case headVersion:
			stored = number
		case headEpoch:
			h.epoch = number
		case headSlots:
			h.slots = uint32(number)
		}
	})
	switch {
	case err != nil || stored == 0:
		return head{}, errors.New("the stored notifications have no readable version")
	case stored > version:
		return head{}, fmt.Errorf("the stored notifications have format version %d, this release reads version %d: use the release that wrote them, or a newer one", stored, version)
	}
	return h, nil
}

// state is what an entry is stored as.
type state uint64

const (
	stateWaiting state = 1
	stateFailed  state = 2
)

// record is the stored form of an entry.
type record struct {
	id       uint64
	seq      uint64 // the place in the order of acceptance
	state    state
	target   string
	lane     uint64
	accepted time.Time
	attempts uint64
	progress uint64
	err      string
	finished time.Time
	digest   Digest
	content  []byte
}

// Field numbers of an entry.
const (
	fieldID       = 1
	fieldState    = 2
	fieldTarget   = 3
	fieldLane     = 4
	fieldAccepted = 5 // nanoseconds since 1970
	fieldAttempts = 6
	fieldProgress = 7
	fieldError    = 8
	fieldFinished = 9 // nanoseconds since 1970
	fieldDigest   = 10
	fieldContent  = 11
	fieldSeq      = 12 // if it is not the ID: after a second try
)

func (r *record) marshal() []byte {
	b := make([]byte, 0, len(r.content)+len(r.target)+len(r.err)+len(r.digest)+64)
	b = appendVarint(b, fieldID, r.id)
	if r.seq != r.id {
		b = appendVarint(b, fieldSeq, r.seq)
	}
	b = appendVarint(b, fieldState, uint64(r.state))
	b = appendBytes(b, fieldTarget, r.target)
	b = appendVarint(b, fieldLane, r.lane)
	b = appendVarint(b, fieldAccepted, uint64(r.accepted.UnixNano()))
	b = appendVarint(b, fieldAttempts, r.attempts)
	b = appendVarint(b, fieldProgress, r.progress)
	b = appendBytes(b, fieldError, r.err)
	if !r.finished.IsZero() {
		b = appendVarint(b, fieldFinished, uint64(r.finished.UnixNano()))
	}
	if r.digest != (Digest{}) {
		b = appendBytes(b, fieldDigest, r.digest[:])
	}
	return appendBytes(b, fieldContent, r.content)
}

func unmarshalRecord(b []byte) (record, error) {
	var r record
	err := eachField(b, func(field protowire.Number, number uint64, bytes []byte) {
		switch field {
		case fieldID:
			r.id = number
		case fieldSeq:
			r.seq = number
		case fieldState:
			r.state = state(number)
		case fieldTarget:
			r.target = string(bytes)
		case fieldLane:
			r.lane = number
		case fieldAccepted:
			r.accepted = time.Unix(0, int64(number))
		case fieldAttempts:
			r.attempts = number
		case fieldProgress:
			r.progress = number
		case fieldError:
			r.err = string(bytes)
		case fieldFinished:
			r.finished = time.Unix(0, int64(number))
		case fieldDigest:
			copy(r.digest[:], bytes)
		case fieldContent:
			r.content = bytes
		}
	})
	if r.seq == 0 {
		r.seq = r.id
	}
	if err != nil || r.id == 0 || (r.state != stateWaiting && r.state != stateFailed) {
		return record{}, errors.New("the entry cannot be read")
	}
	return r, nil
}

// eachField calls visit for every field, with its number or its bytes.
func eachField(b []byte, visit func(field protowire.Number, number uint64, bytes []byte)) error {
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		var number uint64
		var bytes []byte
		switch kind {
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			bytes, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(field, kind, b)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		visit(field, number, bytes)
		b = b[n:]
	}
	return nil
}

func appendVarint(b []byte, field protowire.Number, number uint64) []byte {
	if number == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), number)
}

func appendBytes[T string | []byte](b []byte, field protowire.Number, bytes T) []byte {
	if len(bytes) == 0 {
		return b
	}
	b = protowire.AppendVarint(protowire.AppendTag(b, field, protowire.BytesType), uint64(len(bytes)))
	return append(b, bytes...)
}
