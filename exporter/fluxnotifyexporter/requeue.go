package fluxnotifyexporter

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strconv"

	"go.opentelemetry.io/collector/extension/xextension/storage"
	"google.golang.org/protobuf/encoding/protowire"
)

// exporterhelper's persistent queue, at its start, puts what was in delivery
// when the collector ended behind what was waiting: later events would overtake
// earlier ones. It also deletes those items before it writes them again, so a
// second crash at that moment, or a full disk, would lose them. putBackInFront
// does the same before the queue starts, in front, and in one transaction, which
// can wait until there is room.
//
// What the queue stores is its own business. This was written for the format
// named here; anything else is left to the queue.
const (
	queueMetadataKey = "qmv0"
	fieldReadIndex   = 3 // fixed64
	fieldDispatched  = 5 // repeated fixed64
)

// queueMetadata is what concerns us of the queue's metadata.
type queueMetadata struct {
	readIndex  uint64
	dispatched []uint64
	rest       []byte // the other fields, encoded
}

var errQueueFormat = errors.New("unknown format")

// putBackInFront is given the client before the queue is.
func putBackInFront(ctx context.Context, client storage.Client) error {
	encoded, err := client.Get(ctx, queueMetadataKey)
	if err != nil || len(encoded) == 0 {
		return err
	}
	metadata, err := parseQueueMetadata(encoded)
	if err != nil || len(metadata.dispatched) == 0 {
		return nil // nothing was in delivery, or the queue knows better
	}
	slices.Sort(metadata.dispatched)
	var items [][]byte
	for _, index := range metadata.dispatched {
		item, err := client.Get(ctx, itemKey(index))
		if err != nil {
			return err
		}
		if item != nil {
			items = append(items, item)
		}
	}
	return client.Batch(ctx, moves(metadata, items)...)
}

// moves puts the items into the places right before the first that waits. Those
// places are their own or, since each was taken before, free.
func moves(metadata queueMetadata, items [][]byte) []*storage.Operation {
	first := metadata.readIndex - uint64(len(items))
	var ops []*storage.Operation
	for _, index := range metadata.dispatched {
		ops = append(ops, storage.DeleteOperation(itemKey(index)))
	}
	for i, item := range items {
		ops = append(ops, storage.SetOperation(itemKey(first+uint64(i)), item))
	}
	metadata.readIndex, metadata.dispatched = first, nil
	return append(ops, storage.SetOperation(queueMetadataKey, metadata.encode()))
}

func itemKey(index uint64) string { return strconv.FormatUint(index, 10) }

func (m queueMetadata) encode() []byte {
	b := slices.Clone(m.rest)
	b = protowire.AppendTag(b, fieldReadIndex, protowire.Fixed64Type)
	return protowire.AppendFixed64(b, m.readIndex)
}

func parseQueueMetadata(b []byte) (queueMetadata, error) {
	var m queueMetadata
	for len(b) > 0 {
		number, kind, tag := protowire.ConsumeTag(b)
		if tag < 0 {
			return m, errQueueFormat
		}
		size := protowire.ConsumeFieldValue(number, kind, b[tag:])
		if size < 0 {
			return m, errQueueFormat
		}
		value := b[tag : tag+size]
		switch {
		case number == fieldReadIndex && kind == protowire.Fixed64Type:
			m.readIndex, _ = protowire.ConsumeFixed64(value)
		case number == fieldDispatched && kind == protowire.Fixed64Type:
			index, _ := protowire.ConsumeFixed64(value)
			m.dispatched = append(m.dispatched, index)
		case number == fieldDispatched && kind == protowire.BytesType:
			packed, _ := protowire.ConsumeBytes(value)
			for ; len(packed) >= 8; packed = packed[8:] {
				m.dispatched = append(m.dispatched, binary.LittleEndian.Uint64(packed))
			}
		default:
			m.rest = append(m.rest, b[:tag+size]...)
		}
		b = b[tag+size:]
	}
	for _, index := range m.dispatched {
		if index >= m.readIndex {
			return m, errQueueFormat
		}
	}
	return m, nil
}
