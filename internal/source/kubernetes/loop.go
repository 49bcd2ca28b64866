package kubernetes

import (
	"cmp"
	"context"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fluxnotify/otelcol-flux/internal/source"
)

// loop makes sets of what the feeds have read. All but the feeds is in one goroutine.
type loop struct {
	ctx     context.Context
	source  *Source
	options *Options
	log     *zap.Logger
	changed func(source.Set)

	group   sync.WaitGroup // the feeds
	signals *signals
	clients *clients
	feeds   []*objectFeed
	secrets *secrets
	labels  *labels
	events  *events
	keeper  keeper

	begun        time.Time
	saved        *saved
	pendingSince time.Time
	// given says that changed was called, the fields below with what.
	given   bool
	objects Objects
	set     source.Set // as translated
	faults  []source.Fault
	outage  string
}

func newLoop(ctx context.Context, s *Source, c *clients, changed func(source.Set)) *loop {
	l := &loop{
		ctx: ctx, source: s, options: &s.options, log: s.options.Logger, changed: changed,
		clients: c, signals: newSignals(), begun: time.Now(),
		keeper: keeper{state: s.options.State, log: s.options.Logger},
	}
	namespaces := s.options.namespaces()
	for _, namespace := range namespaces {
		for _, kind := range []string{kindProvider, kindAlert} {
			l.feeds = append(l.feeds, newObjectFeed(c, l.signals, kind, namespace))
		}
	}
	l.secrets = newSecrets(ctx, c, l.signals, l.group.Go)
	l.labels = newLabels(ctx, c, l.signals, l.group.Go, namespaces)
	if s.options.Events {
		l.events = newEvents(c, l.log)
	}
	return l
}

func (l *loop) run() {
	l.saved = l.keeper.load(l.ctx, l.options.namespaces())
	for _, f := range l.feeds {
		l.group.Go(func() { _ = f.run(l.ctx) })
	}
	if l.events != nil {
		l.group.Go(func() { l.events.run(l.ctx) })
	}
	l.serve()
	l.group.Wait()
	l.keeper.save(context.WithoutCancel(l.ctx))
	l.clients.close()
}

// serve evaluates after changes, and when time passes.
func (l *loop) serve() {
	timer := time.NewTimer(recheck)
	defer timer.Stop()
	sweep := time.NewTicker(sweepInterval)
	defer sweep.Stop()
	var first time.Time // the first change since the last evaluation
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-sweep.C:
			l.labels.sweep(time.Now())
		case <-l.signals.dirty:
			now := time.Now()
			if first.IsZero() {
				first = now
			}
			timer.Reset(min(quietTime, max(0, first.Add(maxQuiet).Sub(now))))
		case <-timer.C:
			first = time.Time{}
			if again := l.evaluate(time.Now()); again > 0 {
				timer.Reset(again)
			}
		}
	}
}

// evaluate calls changed if something has changed. It returns when it must be called
// again, 0 if only after a change.
func (l *loop) evaluate(now time.Time) time.Duration {
	objects, state := l.read(now)
	if state.complete {
		l.need(&objects)
		l.complete(&objects, &state, now)
	}
	faults := l.sourceFaults(&state, now)
	l.source.faults.Store(&faults)
	switch {
	case !state.complete || l.waits(&state, now):
		if !l.given {
			l.logFaults(faults)
		}
		return recheck
	case !l.given || !reflect.DeepEqual(objects, l.objects) || !reflect.DeepEqual(faults, l.faults):
		l.give(objects, faults)
		if state.live {
			l.keeper.keep(objects.Providers, objects.Alerts)
		}
		if l.events != nil && l.outage == "" {
			l.events.observe(l.set, subjects(&objects), now)
		}
	}
	return l.afterwards(&state, now)
}

// afterwards saves the state, and returns when evaluate must be called again.
func (l *loop) afterwards(state *state, now time.Time) time.Duration {
	var again time.Duration
	if due, needed := l.keeper.due(now); needed {
		if due == 0 {
			l.keeper.save(l.ctx)
			due = saveInterval
		}
		if _, needed = l.keeper.due(now); needed {
			again = due
		}
	}
	if l.events != nil && l.outage == "" {
		if wait := l.events.report(now); wait > 0 {
			again = recheck
		}
	}
	unreported := func(f *failure) bool { return !f.reported(now) }
	if state.pending > 0 || slices.ContainsFunc(state.failures, unreported) {
		again = recheck
	}
	return again
}

// give calls changed with a new set.
func (l *loop) give(objects Objects, faults []source.Fault) {
	if !l.given || !reflect.DeepEqual(objects, l.objects) {
		l.set = l.options.Translator.Translate(objects, l.options.NoCrossNamespaceRefs)
	}
	l.given, l.objects, l.faults = true, objects, faults
	set := l.set
	set.Faults = slices.Concat(set.Faults, faults)
	l.changed(set)
}

// state is what is known about the reading of objects.
type state struct {
	// complete says that there are Providers and Alerts of each namespace, live that
	// none of them are saved ones.
	complete, live bool
	pending        int
	failures       []*failure
	faults         []source.Fault
}

// read collects the Providers and Alerts.
func (l *loop) read(now time.Time) (objects Objects, s state) {
	s.complete, s.live = true, true
	for _, f := range l.feeds {
		synced, failing := f.get()
		if failing != nil {
			s.failures = append(s.failures, failing)
			if fault := f.fault(failing, synced || l.saved != nil); failing.kind != unavailable && (failing.reported(now) || !synced) {
				s.faults = append(s.faults, fault)
			}
		}
		var found []map[string]any
		switch {
		case synced:
			found = f.all()
		case l.saved != nil && (failing != nil || now.Sub(l.begun) >= startGrace):
			s.live = false
			found = l.saved.of(f.kind, f.namespace)
		default:
			s.complete = false
		}
		if f.kind == kindProvider {
			objects.Providers = append(objects.Providers, found...)
		} else {
			objects.Alerts = append(objects.Alerts, found...)
		}
	}
	sortObjects(objects.Providers)
	sortObjects(objects.Alerts)
	return objects, s
}

// fault describes why a feed cannot read.
func (o *objectFeed) fault(failing *failure, used bool) source.Fault {
	text := inNamespace(o.kind+"s", o.namespace) + " cannot be read: " + failing.cause
	if failing.kind == notServed {
		text += "; install the CRDs of Flux's notification-controller"
	}
	if used {
		text += "; the last ones are used"
	}
	return source.Fault{Text: text}
}

// need starts to read what the objects name.
func (l *loop) need(objects *Objects) {
	secrets, kinds := map[types.NamespacedName]bool{}, map[string]bool{}
	for _, provider := range objects.Providers {
		for _, name := range secretsOf(provider) {
			secrets[name] = true
		}
	}
	for _, alert := range objects.Alerts {
		for _, kind := range labelKinds(alert) {
			kinds[kind] = true
		}
	}
	l.secrets.need(secrets)
	l.labels.need(kinds)
}

// complete adds the Secrets.
func (l *loop) complete(objects *Objects, s *state, now time.Time) {
	r := l.secrets.read(now)
	objects.Secrets, objects.MissingSecrets = r.data, r.missing
	faults, pending, failures := l.labels.read(now)
	s.pending = r.pending + pending
	s.failures = slices.Concat(s.failures, r.failures, failures)
	s.faults = slices.Concat(s.faults, r.faults, faults)
}

// waits says whether Secrets and labels that are being read may be waited for.
func (l *loop) waits(s *state, now time.Time) bool {
	if s.pending == 0 {
		l.pendingSince = time.Time{}
		return false
	}
	if l.pendingSince.IsZero() {
		l.pendingSince = now
	}
	grace := pendingGrace
	if !l.given {
		grace = startGrace
	}
	return now.Sub(l.pendingSince) < grace
}

// sourceFaults are the faults of no object.
func (l *loop) sourceFaults(s *state, now time.Time) []source.Fault {
	faults := s.faults
	outage := ""
	for _, failing := range s.failures {
		if failing.kind != unavailable || (l.given && l.outage == "" && !failing.reported(now)) {
			continue
		}
		if outage == "" || failing.cause == l.outage {
			outage = failing.cause
		}
	}
	l.outage = outage
	if outage != "" {
		text := "the Kubernetes API server is not available: " + outage
		if s.complete {
			text += "; the last Providers and Alerts are used"
		}
		faults = append(faults, source.Fault{Text: text})
	}
	slices.SortFunc(faults, func(a, b source.Fault) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name), strings.Compare(a.Text, b.Text))
	})
	return faults
}

// logFaults logs what the first set waits for. Later the faults are in the sets.
func (l *loop) logFaults(faults []source.Fault) {
	for _, fault := range faults {
		if !slices.Contains(l.faults, fault) {
			l.log.Warn("waiting for the Providers and Alerts of the cluster", zap.String("cause", fault.String()))
		}
	}
	l.faults = faults
}

// subjects are the objects that Events can be about.
func subjects(objects *Objects) map[subject]map[string]any {
	found := make(map[subject]map[string]any, len(objects.Providers)+len(objects.Alerts))
	for _, provider := range objects.Providers {
		found[subject{kindProvider, identity(provider)}] = provider
	}
	for _, alert := range objects.Alerts {
		found[subject{kindAlert, identity(alert)}] = alert
	}
	return found
}
