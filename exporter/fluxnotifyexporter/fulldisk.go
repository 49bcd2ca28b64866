package fluxnotifyexporter

import (
	"context"
	"errors"
	"maps"
	"slices"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/zap"
)

// exporterhelper's persistent queue gives up an item when it cannot note that
// it has taken it out: on a full disk, what was accepted while there was still
// room would be gone. Those notes can wait, so here they do: a write that comes
// with a reading, or that says that an item is done, or that puts items back in
// front, is made up for by the next one that succeeds. If the collector dies
// before, items are delivered twice.
//
// A new item is another matter. Where it cannot be written, it is refused.
type patientStorage struct {
	storage.Extension
	logger *zap.Logger
}

// patientHost is a host whose storage is patient.
type patientHost struct {
	component.Host
	extensions map[component.ID]component.Component
}

func newPatientHost(host component.Host, id component.ID, logger *zap.Logger) component.Host {
	extension, ok := host.GetExtensions()[id].(storage.Extension)
	if !ok {
		return host // the queue says what is wrong with it
	}
	extensions := maps.Clone(host.GetExtensions())
	extensions[id] = patientStorage{extension, logger}
	return patientHost{host, extensions}
}

// GetExtensions implements component.Host.
func (h patientHost) GetExtensions() map[component.ID]component.Component { return h.extensions }

// GetClient implements storage.Extension.
func (s patientStorage) GetClient(ctx context.Context, kind component.Kind, id component.ID, name string) (storage.Client, error) {
	client, err := s.Extension.GetClient(ctx, kind, id, name)
	if err != nil {
		return nil, err
	}
	patient := &patientClient{Client: client, logger: s.logger}
	if err := putBackInFront(ctx, patient); err != nil {
		return nil, errors.Join(err, client.Close(ctx))
	}
	return patient, nil
}

// patientClient is used by the queue alone, which calls it under its own lock.
type patientClient struct {
	storage.Client
	logger *zap.Logger
	// overdue are the writes that failed, the oldest first.
	overdue []*storage.Operation
}

// Get implements storage.Client.
func (c *patientClient) Get(ctx context.Context, key string) ([]byte, error) {
	if write := c.overdueOf(key); write != nil {
		return write.Value, nil
	}
	return c.Client.Get(ctx, key)
}

// Batch implements storage.Client.
func (c *patientClient) Batch(ctx context.Context, ops ...*storage.Operation) error {
	err := c.Client.Batch(ctx, append(slices.Clip(c.overdue), ops...)...)
	if err == nil {
		if len(c.overdue) > 0 {
			c.logger.Info("sending_queue::storage can be written again")
			c.overdue = nil
		}
		return nil
	}
	var reads, writes []*storage.Operation
	isNew := true
	for _, op := range ops {
		isNew = isNew && op.Type == storage.Set
		switch {
		case op.Type != storage.Get:
			writes = append(writes, op)
		case c.overdueOf(op.Key) != nil:
			op.Value = c.overdueOf(op.Key).Value
		default:
			reads = append(reads, op)
		}
	}
	if isNew {
		return err
	}
	if len(reads) > 0 {
		if err := c.Client.Batch(ctx, reads...); err != nil {
			c.logger.Error("sending_queue::storage cannot be read, so the queue gives up what it accepted", zap.Error(err))
			return err
		}
	}
	if len(c.overdue) == 0 {
		c.logger.Warn("sending_queue::storage cannot be written: new notifications are refused, and those delivered now are delivered again if the collector ends before it can", zap.Error(err))
	}
	c.putOff(writes)
	return nil
}

// overdueOf is what is still to be written of a key: a deletion has no value. The
// last holds, since one transaction may delete a key and set it.
func (c *patientClient) overdueOf(key string) *storage.Operation {
	for _, write := range slices.Backward(c.overdue) {
		if write.Key == key {
			return write
		}
	}
	return nil
}

// putOff keeps writes for later, of each key the last.
func (c *patientClient) putOff(writes []*storage.Operation) {
	for _, write := range writes {
		c.overdue = slices.DeleteFunc(c.overdue, func(op *storage.Operation) bool { return op.Key == write.Key })
	}
	c.overdue = append(c.overdue, writes...)
}

// Close implements storage.Client.
func (c *patientClient) Close(ctx context.Context) error {
	if len(c.overdue) > 0 {
		if err := c.Client.Batch(ctx, c.overdue...); err != nil {
			c.logger.Warn("sending_queue::storage could not be written: notifications that were delivered will be delivered again", zap.Error(err))
		}
	}
	return c.Client.Close(ctx)
}
