package fluxnotifyexporter

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
)

// queueState is the queue's metadata as exporterhelper writes it.
func queueState(read, write uint64, dispatched ...uint64) []byte {
	b := protowire.AppendTag(nil, 1, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, 7) // items_size
	b = protowire.AppendTag(b, fieldReadIndex, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, read)
	b = protowire.AppendTag(b, 4, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, write)
	var packed []byte
	for _, index := range dispatched {
		packed = protowire.AppendFixed64(packed, index)
	}
	b = protowire.AppendTag(b, fieldDispatched, protowire.BytesType)
	return protowire.AppendBytes(b, packed)
}

func TestWhatWasInDeliveryIsPutBackInFront(t *testing.T) {
	t.Parallel()
	storage := &memory{values: map[string][]byte{
		queueMetadataKey: queueState(10, 12, 9, 3, 6),
		"3":              []byte("c"), "6": []byte("f"), "9": []byte("i"), "10": []byte("j"), "11": []byte("k"),
	}}
	require.NoError(t, putBackInFront(context.Background(), storage))
	metadata, err := parseQueueMetadata(storage.values[queueMetadataKey])
	require.NoError(t, err)
	assert.EqualValues(t, 7, metadata.readIndex)
	assert.Empty(t, metadata.dispatched)
	delete(storage.values, queueMetadataKey)
	assert.Equal(t, map[string][]byte{
		"7": []byte("c"), "8": []byte("f"), "9": []byte("i"), "10": []byte("j"), "11": []byte("k"),
	}, storage.values)
}

func TestAnUnknownQueueFormatIsLeftAlone(t *testing.T) {
	t.Parallel()
	for name, state := range map[string][]byte{
		"none":               nil,
		"garbage":            []byte("\xff\xff"),
		"nothing dispatched": queueState(3, 5),
		"impossible":         queueState(3, 5, 4),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			values := map[string][]byte{"4": []byte("d")}
			if state != nil {
				values[queueMetadataKey] = state
			}
			storage := &memory{values: values}
			require.NoError(t, putBackInFront(context.Background(), storage))
			assert.Equal(t, state, storage.values[queueMetadataKey])
			assert.Equal(t, []byte("d"), storage.values["4"])
		})
	}
}
