package fluxnotifyexporter

import (
	"cmp"
	"context"
	"sync"

	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/fluxnotify/otelcol-flux/internal/alert"
	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
)

// work is a record that somebody is to be told of.
type work struct {
	delivery *delivery
	place    *place
	resource pcommon.Resource
	scope    pcommon.InstrumentationScope
	record   plog.LogRecord
	err      error // set where the record was not delivered
	kept     bool  // it stays in storage for the next start
}

// dispatch takes a batch from the queue and returns when all of it is dealt
// with: those of one object one after the other, those of others at once.
func (e *notifyExporter) dispatch(ctx context.Context, logs plog.Logs) error {
	lanes := e.lanes(logs)
	if len(lanes) == 1 {
		e.follow(ctx, lanes[0])
	} else {
		var wg sync.WaitGroup
		for _, lane := range lanes {
			wg.Go(func() { e.follow(ctx, lane) })
		}
		wg.Wait()
	}
	return e.result(lanes)
}

// lanes sorts the records that are to be told by object, and lets the others
// go. It is called in the order of the queue.
func (e *notifyExporter) lanes(logs plog.Logs) [][]*work {
	var lanes [][]*work
	index := map[uint64]int{}
	for _, resourceLogs := range logs.ResourceLogs().All() {
		for _, scopeLogs := range resourceLogs.ScopeLogs().All() {
			for _, record := range scopeLogs.LogRecords().All() {
				w := e.enter(resourceLogs.Resource(), scopeLogs.Scope(), record)
				if w == nil {
					continue
				}
				i, known := index[w.place.lane]
				if !known {
					i = len(lanes)
					index[w.place.lane] = i
					lanes = append(lanes, nil)
				}
				lanes[i] = append(lanes[i], w)
			}
		}
	}
	return lanes
}

// enter gives a record its place in the order; nil where nobody is to be told.
func (e *notifyExporter) enter(resource pcommon.Resource, scope pcommon.InstrumentationScope, record plog.LogRecord) *work {
	event := fluxevent.FromRecord(resource, record, e.errorFrom)
	place := e.order.enter(keyOf(&event.InvolvedObject, record))
	d := e.decide(event)
	if d == nil {
		e.order.leave(place, false)
		return nil
	}
	return &work{delivery: d, place: place, resource: resource, scope: scope, record: record}
}

// decide says which notifications a record owes; nil if none.
func (e *notifyExporter) decide(event *fluxevent.Event) *delivery {
	verdicts, rule := e.verdicts(event)
	d := &delivery{event: event}
	for _, v := range verdicts {
		if v.notification != nil {
			d.owed = append(d.owed, &owed{notification: v.notification})
			continue
		}
		rule = alert.Nearer(cmp.Or(rule, alert.RuleSuspend), v.rule)
	}
	if len(d.owed) == 0 {
		e.report.filtered(rule)
		return nil
	}
	return d
}

// follow delivers one object's records in their order.
func (e *notifyExporter) follow(ctx context.Context, lane []*work) {
	for _, w := range lane {
		kept, err := e.order.wait(ctx, w.place)
		if err == nil {
			w.delivery.hold = kept
			err = e.retry.ConsumeLogs(context.WithValue(ctx, deliveryKey{}, w.delivery), token)
		}
		w.err = err
		w.kept = err != nil && e.keeps && e.halted.Load() && w.delivery.unfinished()
		switch {
		case err == nil || w.kept:
		case !e.queued && !consumererror.IsPermanent(err):
			e.report.handedBack(w.delivery, err) // nothing is lost: the sender has it still
		default:
			e.giveUp(w.delivery, err)
		}
		e.order.leave(w.place, w.kept)
	}
}

// token is what goes through the retry: the delivery itself travels in the
// context, where it remembers what is done from one attempt to the next.
var token = func() plog.Logs {
	logs := plog.NewLogs()
	logs.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	logs.MarkReadOnly()
	return logs
}()

// result is what the queue, or without one the pipeline, is told: the records
// that were not delivered, and those alone. Where some of them may come again,
// those that failed for good are left out.
func (e *notifyExporter) result(lanes [][]*work) error {
	var again, failed error
	kept := false
	remaining, refused := plog.NewLogs(), plog.NewLogs()
	for _, lane := range lanes {
		for _, w := range lane {
			switch {
			case w.err == nil:
			case consumererror.IsPermanent(w.err):
				failed = w.err
				w.copyTo(refused)
			default:
				again = w.err
				kept = kept || w.kept
				w.copyTo(remaining)
			}
		}
	}
	switch {
	case kept:
		return consumererror.NewLogs(e.toStorage, remaining)
	case e.queued:
		return nil // reported and counted record by record; the queue has nothing to add
	case again != nil:
		return consumererror.NewLogs(again, remaining)
	case failed != nil:
		return consumererror.NewLogs(failed, refused)
	}
	return nil
}

func (w *work) copyTo(logs plog.Logs) {
	resourceLogs := logs.ResourceLogs().AppendEmpty()
	w.resource.CopyTo(resourceLogs.Resource())
	scopeLogs := resourceLogs.ScopeLogs().AppendEmpty()
	w.scope.CopyTo(scopeLogs.Scope())
	w.record.CopyTo(scopeLogs.LogRecords().AppendEmpty())
}
