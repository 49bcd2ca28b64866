package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// script is a resource that answers what it is made to answer.
type script struct {
	mu      sync.Mutex
	calls   []string // list, list=<continue>, watch=<version>
	lists   []func() (runtime.Object, error)
	watches []func() (watch.Interface, error)
}

func (s *script) list(_ context.Context, options metav1.ListOptions) (runtime.Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	call := "list"
	if options.Continue != "" {
		call += "=" + options.Continue
	}
	s.calls = append(s.calls, call)
	if len(s.lists) == 0 {
		return nil, errors.New("no more lists")
	}
	next := s.lists[0]
	s.lists = s.lists[1:]
	return next()
}

func (s *script) watch(_ context.Context, options metav1.ListOptions) (watch.Interface, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, "watch="+options.ResourceVersion)
	if len(s.watches) == 0 {
		return watch.NewFake(), nil // which never ends
	}
	next := s.watches[0]
	s.watches = s.watches[1:]
	return next()
}

func (s *script) called() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

func meta1(name, version string) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: name, ResourceVersion: version}}
}

func page(version, more string, names ...string) func() (runtime.Object, error) {
	return func() (runtime.Object, error) {
		list := &metav1.PartialObjectMetadataList{ListMeta: metav1.ListMeta{ResourceVersion: version, Continue: more}}
		for _, name := range names {
			list.Items = append(list.Items, *meta1(name, version))
		}
		return list, nil
	}
}

func listFails(err error) func() (runtime.Object, error) {
	return func() (runtime.Object, error) { return nil, err }
}

func watchFails(err error) func() (watch.Interface, error) {
	return func() (watch.Interface, error) { return nil, err }
}

// changes is a watch that ends after some events.
func changes(events ...watch.Event) func() (watch.Interface, error) {
	return func() (watch.Interface, error) {
		w := watch.NewFakeWithChanSize(len(events), false)
		for _, e := range events {
			w.Action(e.Type, e.Object)
		}
		w.Stop()
		return w, nil
	}
}

func failed(reason metav1.StatusReason, code int32) watch.Event {
	return watch.Event{Type: watch.Error, Object: &metav1.Status{Status: metav1.StatusFailure, Reason: reason, Code: code}}
}

// names is a sink that keeps names and their versions.
type names struct {
	mu   sync.Mutex
	held map[string]string
	// lists are the sizes of the lists.
	lists []int
}

func (n *names) begin() {}

func (n *names) trim(object metav1.Object) any { return object.GetResourceVersion() }

func (n *names) replace(all map[types.NamespacedName]any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.held = map[string]string{}
	n.lists = append(n.lists, len(all))
	for name, version := range all {
		n.held[name.Name], _ = version.(string)
	}
}

func (n *names) set(name types.NamespacedName, object any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if version, ok := object.(string); ok {
		n.held[name.Name] = version
	} else {
		delete(n.held, name.Name)
	}
}

func (n *names) get() map[string]string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return maps.Clone(n.held)
}

var (
	gone      = apierrors.NewResourceExpired("too old")
	forbidden = apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "", errors.New("no"))
	refusedIP = &url.Error{Op: "Get", URL: "https://user:password@host", Err: &net.OpError{Op: "dial", Net: "tcp", Source: &net.TCPAddr{Port: 40123}, Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}, Err: errors.New("connect: connection refused")}}
)

func TestFeed(t *testing.T) {
	t.Parallel()
	added := func(name, version string) watch.Event {
		return watch.Event{Type: watch.Added, Object: meta1(name, version)}
	}
	deleted := watch.Event{Type: watch.Deleted, Object: meta1("a", "9")}
	bookmark := watch.Event{Type: watch.Bookmark, Object: meta1("", "8")}
	for name, tc := range map[string]struct {
		script *script
		calls  []string
		held   map[string]string
	}{
		"pages": {
			&script{lists: []func() (runtime.Object, error){page("1", "more", "a"), page("1", "", "b")}},
			[]string{"list", "list=more", "watch=1"},
			map[string]string{"a": "1", "b": "1"},
		},
		"a page fails": {
			&script{lists: []func() (runtime.Object, error){page("1", "", "a", "b"), page("2", "more", "c"), listFails(refusedIP), listFails(gone), page("3", "", "d")}, watches: []func() (watch.Interface, error){watchFails(gone)}},
			[]string{"list", "watch=1", "list", "list=more", "list", "list", "watch=3"},
			map[string]string{"d": "3"},
		},
		"changes": {
			&script{lists: []func() (runtime.Object, error){page("1", "", "a")}, watches: []func() (watch.Interface, error){changes(added("b", "2"), added("a", "3"), deleted)}},
			[]string{"list", "watch=1", "watch=9"},
			map[string]string{"b": "2"},
		},
		"a bookmark": {
			&script{lists: []func() (runtime.Object, error){page("1", "", "a")}, watches: []func() (watch.Interface, error){changes(bookmark)}},
			[]string{"list", "watch=1", "watch=8"},
			map[string]string{"a": "1"},
		},
		"expired": {
			&script{lists: []func() (runtime.Object, error){page("1", "", "a"), page("5", "", "b")}, watches: []func() (watch.Interface, error){changes(failed(metav1.StatusReasonExpired, http.StatusGone))}},
			[]string{"list", "watch=1", "list", "watch=5"},
			map[string]string{"b": "5"},
		},
		"no connection for the watch": {
			&script{lists: []func() (runtime.Object, error){page("1", "", "a")}, watches: []func() (watch.Interface, error){watchFails(refusedIP), watchFails(apierrors.NewServiceUnavailable("busy"))}},
			[]string{"list", "watch=1", "watch=1", "watch=1"},
			map[string]string{"a": "1"},
		},
		"broken once": {
			&script{lists: []func() (runtime.Object, error){page("1", "", "a")}, watches: []func() (watch.Interface, error){changes(added("b", "2"), failed(metav1.StatusReasonInternalError, 500))}},
			[]string{"list", "watch=1", "watch=2"},
			map[string]string{"a": "1", "b": "2"},
		},
		"broken twice": {
			&script{lists: []func() (runtime.Object, error){page("1", "", "a"), page("2", "", "b")}, watches: []func() (watch.Interface, error){changes(failed("", 500)), changes(failed("", 500))}},
			[]string{"list", "watch=1", "watch=1", "list", "watch=2"},
			map[string]string{"b": "2"},
		},
		"the watch is forbidden": {
			&script{lists: []func() (runtime.Object, error){page("1", "", "a"), listFails(forbidden), page("2", "", "b")}, watches: []func() (watch.Interface, error){watchFails(forbidden)}},
			[]string{"list", "watch=1", "list", "list", "watch=2"},
			map[string]string{"b": "2"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kept := &names{}
			f := newFeed(tc.script, kept)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				_ = f.run(ctx)
			}()
			assert.Eventually(t, func() bool { return len(tc.script.called()) >= len(tc.calls) && maps.Equal(kept.get(), tc.held) }, 10*time.Second, time.Millisecond)
			time.Sleep(10 * time.Millisecond)
			cancel()
			<-done
			assert.Equal(t, tc.calls, tc.script.called())
			assert.Equal(t, tc.held, kept.get())
			if name == "a page fails" {
				assert.Equal(t, []int{2, 1}, kept.lists, "half a list is none")
			}
			synced, failing := f.get()
			assert.True(t, synced)
			assert.Nil(t, failing)
		})
	}
}

func newFeed(from resource, to sink) *feed {
	unlimited := rate.NewLimiter(rate.Inf, 1)
	return &feed{
		find: func(context.Context) (resource, error) { return from, nil },
		sink: to, signals: newSignals(), clients: &clients{limiter: unlimited, watches: unlimited}, maxDelay: 20 * time.Millisecond,
	}
}

// The end of an outage is noticed at once by all.
func TestFeedReturns(t *testing.T) {
	t.Parallel()
	signals := newSignals()
	far := newFeed(&script{lists: []func() (runtime.Object, error){listFails(refusedIP), page("1", "")}}, &names{})
	far.maxDelay, far.delay, far.signals = time.Hour, time.Hour, signals
	near := newFeed(&script{lists: []func() (runtime.Object, error){listFails(refusedIP), page("1", "")}}, &names{})
	near.maxDelay, near.delay, near.signals = 200*time.Millisecond, 200*time.Millisecond, signals
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	for _, f := range []*feed{far, near} {
		group.Go(func() { _ = f.run(ctx) })
	}
	assert.Eventually(t, func() bool { synced, _ := far.get(); return synced }, 10*time.Second, time.Millisecond)
}

func TestFeedEnds(t *testing.T) {
	t.Parallel()
	f := newFeed(&script{lists: []func() (runtime.Object, error){listFails(forbidden)}}, &names{})
	f.fatal = apierrors.IsForbidden
	assert.Equal(t, forbidden, f.run(t.Context()))
	f = newFeed(&script{lists: []func() (runtime.Object, error){page("1", "")}}, &names{})
	f.once = true
	assert.NoError(t, f.run(t.Context()))
}

func TestFailures(t *testing.T) {
	t.Parallel()
	for want, tc := range map[string]struct {
		err  error
		kind failureKind
	}{
		"dial 127.0.0.1:1: connect: connection refused": {refusedIP, unavailable},
		"no answer":                              {fmt.Errorf("x: %w", context.DeadlineExceeded), unavailable},
		"busy":                                   {apierrors.NewServiceUnavailable("busy"), unavailable},
		"expired":                                {apierrors.NewUnauthorized("expired"), unavailable},
		`secrets is forbidden: no`:               {forbidden, refused},
		"kind: the API server does not serve it": {fmt.Errorf("kind: %w", errNotServed), notServed},
		"secrets \"a\" not found":                {apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, "a"), notServed},
	} {
		assert.Equal(t, want, cause(tc.err))
		assert.Equal(t, tc.kind, classify(tc.err), want)
	}
	var c condition
	assert.True(t, c.failed(errors.New("one")))
	assert.False(t, c.failed(errors.New("two")), "the first cause is kept")
	assert.True(t, c.failed(forbidden))
	_, failing := c.get()
	require.NotNil(t, failing)
	assert.False(t, failing.reported(time.Now()))
	assert.True(t, failing.reported(time.Now().Add(failureGrace)))
	assert.False(t, (*failure)(nil).reported(time.Now()))
}
