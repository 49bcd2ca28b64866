package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

const (
	// requestTimeout bounds a request that is not a watch.
	requestTimeout = 30 * time.Second
	// watchTimeout is how long the API server keeps a watch open, at least.
	watchTimeout = 5 * time.Minute
	// minDelay and the maxDelay of a feed are the limits of the time between two tries.
	minDelay = 100 * time.Millisecond
	// shortWatch is the duration of a watch that counts as a failed try.
	shortWatch = time.Second
)

// resource lists and watches the objects of one resource.
type resource interface {
	list(ctx context.Context, options metav1.ListOptions) (runtime.Object, error)
	watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error)
}

// sink receives the objects of a feed. Its methods are called one at a time.
type sink interface {
	// begin is called before a list.
	begin()
	// trim returns the part of an object that is kept, nil if nothing is.
	trim(object metav1.Object) any
	// replace receives what a complete list has of trimmed objects.
	replace(objects map[types.NamespacedName]any)
	// set receives a changed object. It is nil if the object was deleted.
	set(name types.NamespacedName, object any)
}

// feed reads the objects of one resource, and follows their changes. What could not be
// read is tried again. A failure changes nothing in the sink.
type feed struct {
	condition
	// find returns the resource. It is called before each list.
	find func(ctx context.Context) (resource, error)
	// selector has the field selector, and the limit of a page.
	selector metav1.ListOptions
	sink     sink
	signals  *signals
	clients  *clients
	maxDelay time.Duration
	// once ends the feed after the first list.
	once bool
	// fatal decides which errors end the feed. Optional.
	fatal func(error) bool

	delay time.Duration
}

// run returns when the context is done, or with a fatal error.
func (f *feed) run(ctx context.Context) error {
	for ctx.Err() == nil {
		from, version, err := f.read(ctx)
		if err == nil {
			if f.once {
				return nil
			}
			err = f.follow(ctx, from, version)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil, isExpired(err):
			f.signals.pause(ctx, f.backoff(), false)
			continue
		case f.fatal != nil && f.fatal(err):
			return err
		}
		f.fail(ctx, err)
	}
	return nil
}

// fail reports an error, and waits.
func (f *feed) fail(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	if f.failed(err) {
		f.signals.changed()
	}
	f.signals.pause(ctx, f.backoff(), classify(err) == unavailable)
}

// ok reports a success.
func (f *feed) ok() {
	synced, _ := f.get()
	was := f.succeeded()
	if was != nil && was.kind == unavailable {
		f.signals.available()
	}
	if was != nil || !synced {
		f.signals.changed()
	}
}

func (f *feed) backoff() time.Duration {
	f.delay = min(max(2*f.delay, minDelay), f.maxDelay)
	return f.delay/2 + rand.N(f.delay/2+1) //nolint:gosec // spreads requests
}

// read lists all objects, page by page.
func (f *feed) read(ctx context.Context) (from resource, version string, err error) {
	if from, err = f.find(ctx); err != nil {
		return nil, "", err
	}
	f.sink.begin()
	kept := map[types.NamespacedName]any{}
	options := f.selector
	for {
		page, err := f.page(ctx, from, options, kept)
		if err != nil {
			return nil, "", err
		}
		if options.Continue = page.GetContinue(); options.Continue == "" {
			f.sink.replace(kept)
			f.ok()
			return from, page.GetResourceVersion(), nil
		}
	}
}

func (f *feed) page(ctx context.Context, from resource, options metav1.ListOptions, kept map[types.NamespacedName]any) (metav1.ListInterface, error) {
	if err := f.clients.limiter.Wait(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	list, err := from.list(ctx, options)
	if err != nil {
		return nil, err
	}
	err = meta.EachListItem(list, func(item runtime.Object) error {
		object, err := meta.Accessor(item)
		if err != nil {
			return err
		}
		if trimmed := f.sink.trim(object); trimmed != nil {
			kept[nameOf(object)] = trimmed
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return meta.ListAccessor(list)
}

// follow watches, again and again. It returns when a list is needed: with nil or an
// error that says why.
func (f *feed) follow(ctx context.Context, from resource, version string) error {
	broken := false
	for {
		if err := f.clients.watches.Wait(ctx); err != nil {
			return err
		}
		begun := time.Now()
		seconds := int64((watchTimeout + rand.N(watchTimeout)).Seconds()) //nolint:gosec // spreads requests
		options := metav1.ListOptions{
			FieldSelector: f.selector.FieldSelector, ResourceVersion: version,
			AllowWatchBookmarks: true, TimeoutSeconds: &seconds,
		}
		changes, err := from.watch(ctx, options)
		if err != nil {
			if ctx.Err() != nil || classify(err) != unavailable || isTooLarge(err) {
				return err
			}
			f.fail(ctx, err)
			continue
		}
		f.ok()
		last, err := f.consume(ctx, changes, version)
		changes.Stop()
		switch {
		case ctx.Err() != nil, isExpired(err):
			return err
		case err != nil && broken && last == version:
			return nil
		}
		broken, version = err != nil, last
		if time.Since(begun) < shortWatch {
			f.signals.pause(ctx, f.backoff(), false)
		} else {
			f.delay = 0
		}
	}
}

// consume passes changes on until the watch ends. It returns the version of the last.
func (f *feed) consume(ctx context.Context, changes watch.Interface, version string) (string, error) {
	for {
		select {
		case <-ctx.Done():
			return version, ctx.Err()
		case change, more := <-changes.ResultChan():
			if !more {
				return version, nil
			}
			if change.Type == watch.Error {
				return version, apierrors.FromObject(change.Object)
			}
			object, err := meta.Accessor(change.Object)
			if err != nil {
				return version, fmt.Errorf("unexpected object in a watch: %w", err)
			}
			version = object.GetResourceVersion()
			switch change.Type {
			case watch.Added, watch.Modified:
				f.sink.set(nameOf(object), f.sink.trim(object))
			case watch.Deleted:
				f.sink.set(nameOf(object), nil)
			}
		}
	}
}

// isTooLarge says that the API server's data is older than what was read from it, for
// example because a backup was restored.
func isTooLarge(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status) && apierrors.HasStatusCause(err, metav1.CauseTypeResourceVersionTooLarge)
}

func nameOf(object metav1.Object) types.NamespacedName {
	return types.NamespacedName{Namespace: object.GetNamespace(), Name: object.GetName()}
}
