package kubernetes

import (
	"context"
	"maps"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fluxnotify/otelcol-flux/internal/source"
)

const (
	// labelRetention is how long the labels of a deleted object are known. Events about
	// the deletion come later than the deletion.
	labelRetention = 10 * time.Minute
	// labelDelay is the longest time between two tries to read metadata.
	labelDelay = 15 * time.Second
)

// labelled are the labels of one object.
type labelled struct {
	labels  map[string]string
	deleted time.Time // zero if it exists
}

// labels holds the labels of all objects of some kinds.
type labels struct {
	clients    *clients
	signals    *signals
	spawn      func(func())
	root       context.Context
	namespaces []string

	mu    sync.RWMutex
	kinds map[string]*labelKind
}

// labelKind holds the labels of all objects of one kind.
type labelKind struct {
	stop    context.CancelFunc
	feeds   []*labelFeed
	objects map[types.NamespacedName]labelled
}

func newLabels(root context.Context, c *clients, s *signals, spawn func(func()), namespaces []string) *labels {
	return &labels{clients: c, signals: s, spawn: spawn, root: root, namespaces: namespaces, kinds: map[string]*labelKind{}}
}

// get returns the labels of an object, also for a while after its deletion.
func (l *labels) get(kind, namespace, name string) (map[string]string, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	k := l.kinds[kind]
	if k == nil {
		return nil, false
	}
	found, ok := k.objects[types.NamespacedName{Namespace: namespace, Name: name}]
	return maps.Clone(found.labels), ok
}

// need is called with all kinds whose labels are asked for now.
func (l *labels) need(kinds map[string]bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, kind := range l.kinds {
		if !kinds[name] {
			kind.stop()
			delete(l.kinds, name)
		}
	}
	for name := range kinds {
		if l.kinds[name] == nil {
			l.kinds[name] = l.start(name)
		}
	}
}

func (l *labels) start(kind string) *labelKind {
	var ctx context.Context
	k := &labelKind{objects: map[types.NamespacedName]labelled{}}
	ctx, k.stop = context.WithCancel(l.root)
	for _, namespace := range l.namespaces {
		f := &labelFeed{labels: l, kind: k, name: kind, namespace: namespace}
		f.feed = feed{
			sink: f, signals: l.signals, clients: l.clients, maxDelay: labelDelay,
			selector: metav1.ListOptions{Limit: objectPage},
			find: func(ctx context.Context) (resource, error) {
				found, err := l.clients.findKind(ctx, kind)
				if err != nil {
					return nil, err
				}
				return l.clients.metadataOf(found, namespace), nil
			},
		}
		k.feeds = append(k.feeds, f)
		l.spawn(func() { _ = f.run(ctx) })
	}
	return k
}

// read returns the faults, and how many kinds will probably be read soon.
func (l *labels) read(now time.Time) (faults []source.Fault, pending int, failures []*failure) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	for name, kind := range l.kinds {
		for _, f := range kind.feeds {
			synced, failing := f.get()
			if failing != nil {
				failures = append(failures, failing)
			}
			switch {
			case failing == nil && !synced:
				pending++
			case failing.reported(now) && failing.kind != unavailable:
				faults = append(faults, source.Fault{Text: "the labels of " + inNamespace("the kind "+name, f.namespace) + " cannot be read, so matchLabels may not match: " + failing.cause})
			}
		}
	}
	return faults, pending, failures
}

// sweep forgets objects that were deleted long ago.
func (l *labels) sweep(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, kind := range l.kinds {
		maps.DeleteFunc(kind.objects, func(_ types.NamespacedName, o labelled) bool {
			return !o.deleted.IsZero() && now.Sub(o.deleted) > labelRetention
		})
	}
}

// labelFeed reads the labels of one kind, in one namespace or in all.
type labelFeed struct {
	feed
	labels          *labels
	kind            *labelKind
	name, namespace string
}

func (f *labelFeed) begin() {}

func (f *labelFeed) trim(object metav1.Object) any {
	labels := object.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	return labels
}

func (f *labelFeed) replace(all map[types.NamespacedName]any) {
	f.labels.mu.Lock()
	defer f.labels.mu.Unlock()
	for name := range f.kind.objects {
		if _, ok := all[name]; !ok && (f.namespace == "" || f.namespace == name.Namespace) {
			f.put(name, nil)
		}
	}
	for name, object := range all {
		f.put(name, object)
	}
}

func (f *labelFeed) set(name types.NamespacedName, object any) {
	f.labels.mu.Lock()
	defer f.labels.mu.Unlock()
	f.put(name, object)
}

func (f *labelFeed) put(name types.NamespacedName, object any) {
	if labels, ok := object.(map[string]string); ok {
		f.kind.objects[name] = labelled{labels: labels}
		return
	}
	if before, ok := f.kind.objects[name]; ok && before.deleted.IsZero() {
		before.deleted = time.Now()
		f.kind.objects[name] = before
	}
}
