package kubernetes

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/fluxnotify/otelcol-flux/internal/source"
)

const (
	// secretDelay is the longest time between two tries to read a Secret.
	secretDelay = 15 * time.Second
	// secretPage is the number of Secrets in one answer. Each can have 1 MiB.
	secretPage = 50
	// manySecrets is the number of Secrets from which on one watch of the namespace
	// replaces their own, if it is allowed.
	manySecrets = 5
	// maxSecretSize bounds the memory of one Secret. Certificates of authorities are the
	// largest that are needed.
	maxSecretSize = 512 << 10
)

// notTheirs excludes Secrets that are large or many, and that no Provider names.
const notTheirs = "type!=helm.sh/release.v1,type!=kubernetes.io/service-account-token"

var (
	secretResource = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	reviewResource = schema.GroupVersionResource{Group: "authorization.k8s.io", Version: "v1", Resource: "selfsubjectaccessreviews"}
)

func isObjectName(name string) bool { return len(validation.IsDNS1123Subdomain(name)) == 0 }

// secret is one named Secret.
type secret struct {
	// from is the state of the feed that reads it.
	from *condition
	// known says that it was read, or that it does not exist. data is then its data, or
	// problem says why there is none.
	known   bool
	data    map[string][]byte
	problem string
	// added is when it was named first, in lists of its namespace.
	added int
	stop  context.CancelFunc
}

// secrets reads the named Secrets, and no others. Their data is only in memory.
type secrets struct {
	clients *clients
	signals *signals
	// spawn runs a function that ends with the context.
	spawn func(func())
	root  context.Context

	mu         sync.Mutex
	namespaces map[string]*secretNamespace
	everywhere access
}

// access remembers the answer of an access review.
type access struct {
	sync.Mutex
	known, allowed bool
}

func newSecrets(root context.Context, c *clients, s *signals, spawn func(func())) *secrets {
	return &secrets{clients: c, signals: s, spawn: spawn, root: root, namespaces: map[string]*secretNamespace{}}
}

// need is called with all Secrets that are named now.
func (s *secrets) need(names map[types.NamespacedName]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	byNamespace := map[string]map[string]bool{}
	for name := range names {
		if byNamespace[name.Namespace] == nil {
			byNamespace[name.Namespace] = map[string]bool{}
		}
		byNamespace[name.Namespace][name.Name] = true
	}
	for name, n := range s.namespaces {
		if byNamespace[name] == nil {
			n.stop()
			delete(s.namespaces, name)
		}
	}
	for name, secrets := range byNamespace {
		n, ok := s.namespaces[name]
		if !ok {
			n = &secretNamespace{secrets: s, name: name, entries: map[string]*secret{}}
			n.ctx, n.stop = context.WithCancel(s.root)
			s.namespaces[name] = n
		}
		n.need(secrets)
		if !ok {
			s.spawn(n.run)
		}
	}
}

// reading is the present state of all named Secrets.
type reading struct {
	data    map[types.NamespacedName]map[string][]byte
	missing map[types.NamespacedName]string
	faults  []source.Fault
	// pending is the number of Secrets that will probably be read soon.
	pending  int
	failures []*failure
}

func (s *secrets) read(now time.Time) reading {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := reading{data: map[types.NamespacedName]map[string][]byte{}, missing: map[types.NamespacedName]string{}}
	for _, n := range s.namespaces {
		n.mu.Lock()
		for name, entry := range n.entries {
			r.add(types.NamespacedName{Namespace: n.name, Name: name}, entry, now)
		}
		n.mu.Unlock()
	}
	return r
}

func (r *reading) add(name types.NamespacedName, entry *secret, now time.Time) {
	_, failing := entry.from.get()
	if failing != nil {
		r.failures = append(r.failures, failing)
	}
	switch {
	case entry.data != nil:
		r.data[name] = entry.data
		if failing.reported(now) && failing.kind != unavailable {
			r.faults = append(r.faults, source.Fault{
				Kind: kindSecret, Namespace: name.Namespace, Name: name.Name,
				Text: "cannot be read: " + failing.cause + "; the last values are used",
			})
		}
	case entry.known:
		r.missing[name] = entry.problem
	case failing == nil:
		r.missing[name] = "has not been read yet"
		r.pending++
	case failing.kind == unavailable:
		r.missing[name] = "cannot be read yet: the Kubernetes API server is not available: " + failing.cause
	default:
		r.missing[name] = "cannot be read: " + failing.cause
	}
}

// secretNamespace reads the Secrets of one namespace.
type secretNamespace struct {
	secrets *secrets
	name    string
	ctx     context.Context
	stop    context.CancelFunc

	mu      sync.Mutex
	entries map[string]*secret
	// started says that the way of reading is known. whole is then the feed of all
	// Secrets of the namespace, nil if each has its own.
	started bool
	whole   *feed
	// lists counts the lists of the namespace, listing is the number of the present one.
	lists int
	// waiting is the state before it is started.
	waiting condition
}

// need is called with the names of all Secrets that are named now.
func (n *secretNamespace) need(names map[string]bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for name, entry := range n.entries {
		if !names[name] {
			if entry.stop != nil {
				entry.stop()
			}
			delete(n.entries, name)
		}
	}
	for name := range names {
		if n.entries[name] == nil {
			entry := &secret{from: &n.waiting, added: n.lists}
			n.entries[name] = entry
			if n.started {
				n.start(name, entry)
			}
		}
	}
}

// run decides how the Secrets are read.
func (n *secretNamespace) run() {
	n.mu.Lock()
	many := len(n.entries) >= manySecrets
	n.mu.Unlock()
	if many && n.mayReadAll() {
		if err := n.readAll(); err == nil {
			return
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.started, n.whole = true, nil
	for name, entry := range n.entries {
		n.start(name, entry)
	}
}

// readAll reads all Secrets of the namespace, and keeps the named ones. It returns an
// error if that is not allowed.
func (n *secretNamespace) readAll() error {
	whole := n.feed(n, notTheirs)
	whole.fatal = apierrors.IsForbidden
	n.mu.Lock()
	n.started, n.whole = true, whole
	for _, entry := range n.entries {
		entry.from = &whole.condition
	}
	n.mu.Unlock()
	return whole.run(n.ctx)
}

// start reads one Secret: as long as it is named, or only once if all are watched.
func (n *secretNamespace) start(name string, entry *secret) {
	if entry.stop != nil {
		entry.stop()
	}
	sink := &secretSink{namespace: n, name: name, entry: entry}
	one := n.feed(sink, fields.OneTermEqualSelector(metav1.ObjectNameField, name).String())
	one.once = n.whole != nil
	entry.from = &one.condition
	var ctx context.Context
	ctx, entry.stop = context.WithCancel(n.ctx)
	n.secrets.spawn(func() { _ = one.run(ctx) })
}

func (n *secretNamespace) feed(to sink, selector string) *feed {
	from := n.secrets.clients.objects(secretResource, n.name)
	return &feed{
		find:     func(context.Context) (resource, error) { return from, nil },
		selector: metav1.ListOptions{FieldSelector: selector, Limit: secretPage},
		sink:     to, signals: n.secrets.signals, clients: n.secrets.clients, maxDelay: secretDelay,
	}
}

// mayReadAll asks whether all Secrets may be listed and watched, everywhere or in the
// namespace.
func (n *secretNamespace) mayReadAll() bool {
	delay := minDelay
	for {
		allowed, err := n.review()
		if err == nil || classify(err) != unavailable {
			return allowed && err == nil
		}
		if n.waiting.failed(err) {
			n.secrets.signals.changed()
		}
		n.secrets.signals.pause(n.ctx, delay, true)
		if n.ctx.Err() != nil {
			return false
		}
		delay = min(2*delay, secretDelay)
	}
}

func (n *secretNamespace) review() (bool, error) {
	everywhere := &n.secrets.everywhere
	everywhere.Lock()
	defer everywhere.Unlock()
	if !everywhere.known {
		allowed, err := n.secrets.clients.may(n.ctx, "")
		if err != nil {
			return false, err
		}
		everywhere.known, everywhere.allowed = true, allowed
	}
	if everywhere.allowed {
		return true, nil
	}
	return n.secrets.clients.may(n.ctx, n.name)
}

// may asks the API server whether the Secrets of a namespace, or of all, may be listed
// and watched.
func (c *clients) may(ctx context.Context, namespace string) (bool, error) {
	for _, verb := range []string{"list", "watch"} {
		if err := c.limiter.Wait(ctx); err != nil {
			return false, err
		}
		review := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
			"spec": map[string]any{"resourceAttributes": map[string]any{"namespace": namespace, "verb": verb, "resource": "secrets"}},
		}}
		requestCtx, cancel := context.WithTimeout(ctx, requestTimeout)
		answer, err := c.dynamic.Resource(reviewResource).Create(requestCtx, review, metav1.CreateOptions{})
		cancel()
		if err != nil {
			return false, err
		}
		if allowed, _, _ := unstructured.NestedBool(answer.Object, "status", "allowed"); !allowed {
			return false, nil
		}
	}
	return true, nil
}

// The methods below are those of the sink of all Secrets of the namespace.

func (n *secretNamespace) begin() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lists++
}

func (n *secretNamespace) trim(object metav1.Object) any {
	n.mu.Lock()
	named := n.entries[object.GetName()] != nil
	n.mu.Unlock()
	if !named {
		return nil
	}
	return secretData(object)
}

func (n *secretNamespace) replace(all map[types.NamespacedName]any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for name, entry := range n.entries {
		if entry.added < n.lists { // else it may have been passed over
			n.put(entry, all[types.NamespacedName{Namespace: n.name, Name: name}])
		}
	}
}

func (n *secretNamespace) set(name types.NamespacedName, object any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if entry := n.entries[name.Name]; entry != nil {
		n.put(entry, object)
	}
}

// put stores what was read of a Secret.
func (n *secretNamespace) put(entry *secret, object any) {
	data, _ := object.(map[string][]byte)
	problem := "does not exist"
	switch size := sizeOf(data); {
	case data == nil:
	case size > maxSecretSize:
		data, problem = nil, fmt.Sprintf("has %d KiB of data, and at most %d KiB are accepted", size>>10, maxSecretSize>>10)
	default:
		problem = ""
	}
	if n.whole != nil {
		entry.from = &n.whole.condition
	}
	if !entry.known || problem != entry.problem || !reflect.DeepEqual(data, entry.data) {
		entry.known, entry.data, entry.problem = true, data, problem
		n.secrets.signals.changed()
	}
}

// secretSink is the sink of one Secret.
type secretSink struct {
	namespace *secretNamespace
	name      string
	entry     *secret
}

func (s *secretSink) begin() {}

func (s *secretSink) trim(object metav1.Object) any {
	if object.GetName() != s.name {
		return nil
	}
	return secretData(object)
}

func (s *secretSink) replace(all map[types.NamespacedName]any) {
	name := types.NamespacedName{Namespace: s.namespace.name, Name: s.name}
	s.set(name, all[name])
}

func (s *secretSink) set(name types.NamespacedName, object any) {
	s.namespace.mu.Lock()
	defer s.namespace.mu.Unlock()
	// The watch of the namespace is newer than a list of one Secret.
	if s.name == name.Name && (s.namespace.whole == nil || !s.entry.known) {
		s.namespace.put(s.entry, object)
	}
}

// secretData decodes the data of a Secret. It is never nil.
func secretData(object metav1.Object) map[string][]byte {
	data := map[string][]byte{}
	whole, ok := object.(*unstructured.Unstructured)
	if !ok {
		return data
	}
	encoded, _, _ := unstructured.NestedStringMap(whole.Object, "data")
	for _, key := range slices.Sorted(maps.Keys(encoded)) {
		if value, err := base64.StdEncoding.DecodeString(encoded[key]); err == nil {
			data[key] = value
		}
	}
	return data
}

func sizeOf(data map[string][]byte) int {
	size := 0
	for key, value := range data {
		size += len(key) + len(value)
	}
	return size
}
