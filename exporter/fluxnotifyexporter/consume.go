package fluxnotifyexporter

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"hash/fnv"
	"io"
	"sync"

	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/outbox"
)

// consumption is one call of consume.
type consumption struct {
	records []outbox.Record
	origins []origin
}

// origin is where a record came from, for those that go back to the sender.
type origin struct {
	resource pcommon.Resource
	scope    pcommon.InstrumentationScope
	record   plog.LogRecord
}

// consume stores the notifications of log records. It returns once they are durable,
// or without a queue once they are delivered. The error holds the records that were
// not accepted.
func (e *notifyExporter) consume(ctx context.Context, logs plog.Logs) error {
	active := e.active.Load()
	if active == nil {
		return errUnknown
	}
	var c consumption
	for _, resourceLogs := range logs.ResourceLogs().All() {
		for _, scopeLogs := range resourceLogs.ScopeLogs().All() {
			for _, record := range scopeLogs.LogRecords().All() {
				drafts, digest := e.match(*active, resourceLogs.Resource(), record)
				if len(drafts) == 0 {
					continue
				}
				c.records = append(c.records, outbox.Record{Digest: digest, Drafts: drafts})
				c.origins = append(c.origins, origin{resourceLogs.Resource(), scopeLogs.Scope(), record})
			}
		}
	}
	if len(c.records) == 0 {
		return nil
	}
	if !e.config.QueueConfig.Enabled {
		return e.deliverNow(ctx, &c)
	}
	return c.refused(e.outbox.Accept(ctx, c.records))
}

// match makes the notifications that a record leads to. A record that no alert wants
// is counted, and leads to none.
func (e *notifyExporter) match(active []*running, resource pcommon.Resource, record plog.LogRecord) ([]outbox.Draft, outbox.Digest) {
	event := fluxevent.FromRecord(resource, record, e.errorFrom)
	if e.labels != nil && event.Labels == nil {
		o := &event.InvolvedObject
		event.Labels, _ = e.labels.Labels(o.Kind, o.Namespace, o.Name)
	}
	var drafts []outbox.Draft
	for _, r := range active {
		matcher := r.matcher.Load()
		if matcher == nil {
			continue // it has just been removed
		}
		wanted, rule := matcher.Match(event)
		if len(wanted) == 0 {
			r.report.filtered(rule)
			continue
		}
		for _, n := range wanted {
			drafts = append(drafts, outbox.Draft{Queue: r.queue, Lane: lane(n), Content: n.Marshal()})
		}
	}
	return drafts, digest(record)
}

// digest recognises a record that a sender repeats, by its log.record.uid.
func digest(record plog.LogRecord) outbox.Digest {
	uid := fluxevent.RecordUID(record)
	if uid == "" {
		return outbox.Digest{}
	}
	sum := sha256.Sum256([]byte(uid))
	return outbox.Digest(sum[:len(outbox.Digest{})])
}

// lane is the order that a notification is part of: that of its object, for one alert.
func lane(n *notify.Notification) uint64 {
	hash := fnv.New64a()
	o := &n.Event.InvolvedObject
	for _, part := range []string{n.Event.Cluster, o.Kind, o.Namespace, o.Name, n.Alert.UID} {
		var size [4]byte
		binary.LittleEndian.PutUint32(size[:], uint32(len(part)))
		_, _ = hash.Write(size[:])
		_, _ = io.WriteString(hash, part)
	}
	return hash.Sum64()
}

// refused returns the records that were not accepted to the sender.
func (c *consumption) refused(errs []error) error {
	back := plog.NewLogs()
	var cause error
	for i, err := range errs {
		if err != nil {
			cause = err
			c.origins[i].copyTo(back)
		}
	}
	if cause == nil {
		return nil
	}
	return consumererror.NewLogs(cause, back)
}

// deliverNow delivers while the sender waits. A record that was delivered is
// remembered, so that a sender's repetition is not delivered again.
func (e *notifyExporter) deliverNow(ctx context.Context, c *consumption) error {
	outcomes := make([]outcome, len(c.records))
	digests := make([]outbox.Digest, len(c.records))
	var waiting sync.WaitGroup
	for i := range c.records {
		r := &c.records[i]
		digests[i], r.Digest = r.Digest, outbox.Digest{}
		if e.outbox.Known(digests[i]) {
			r.Drafts = nil
		}
		waiting.Add(len(r.Drafts))
		for j := range r.Drafts {
			r.Drafts[j].Caller = &outbox.Caller{Context: ctx, Done: func(err error) {
				outcomes[i].add(err)
				waiting.Done()
			}}
		}
	}
	stop := context.AfterFunc(ctx, func() {
		for _, r := range e.all() {
			r.queue.CallersLeft()
		}
	})
	defer stop()
	for i, err := range e.outbox.Accept(ctx, c.records) {
		for range c.records[i].Drafts {
			if err != nil {
				c.records[i].Drafts[0].Caller.Done(err)
			}
		}
	}
	waiting.Wait()
	return e.settleNow(c, outcomes, digests)
}

// outcome is what became of a record's notifications.
type outcome struct {
	mu        sync.Mutex
	permanent error
	again     error
}

func (o *outcome) add(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case err == nil:
	case notify.AsError(err).Class == notify.Permanent:
		o.permanent = err
	default:
		o.again = err
	}
}

// settleNow returns the records that were not delivered. If some of them may be sent
// again, those that failed for good are left out.
func (e *notifyExporter) settleNow(c *consumption, outcomes []outcome, digests []outbox.Digest) error {
	var again, failed error
	remaining, refused := plog.NewLogs(), plog.NewLogs()
	for i := range outcomes {
		o := &outcomes[i]
		switch {
		case o.again != nil:
			again = o.again
			c.origins[i].copyTo(remaining)
		case o.permanent != nil:
			failed = o.permanent
			c.origins[i].copyTo(refused)
		default:
			e.outbox.Remember(digests[i])
		}
	}
	switch {
	case again != nil:
		return consumererror.NewLogs(again, remaining)
	case failed != nil:
		return consumererror.NewPermanent(consumererror.NewLogs(failed, refused))
	}
	return nil
}

func (o *origin) copyTo(logs plog.Logs) {
	resourceLogs := logs.ResourceLogs().AppendEmpty()
	o.resource.CopyTo(resourceLogs.Resource())
	scopeLogs := resourceLogs.ScopeLogs().AppendEmpty()
	o.scope.CopyTo(scopeLogs.Scope())
	o.record.CopyTo(scopeLogs.LogRecords().AppendEmpty())
}
