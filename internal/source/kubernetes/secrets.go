package kubernetes

import (
	"context"
	"sync"
	"time"

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
