package kubernetes

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// failureKind decides how a failure is reported.
type failureKind int

const (
	// unavailable: the API server did not answer, or could not. It affects everything.
	unavailable failureKind = iota
	// refused: the API server answered that this request is not allowed.
	refused
	// notServed: the API server does not have the kind.
	notServed
)

// failureGrace is how long a failure lasts before it is reported. API servers restart.
const failureGrace = time.Second

// failure is why something could not be read.
type failure struct {
	kind  failureKind
	cause string
	since time.Time
}

// reported says whether a failure has lasted long enough to be reported.
func (f *failure) reported(now time.Time) bool {
	return f != nil && now.Sub(f.since) >= failureGrace
}

// errNotServed says that the API server does not have a kind.
var errNotServed = errors.New("the API server does not serve it")

func classify(err error) failureKind {
	var status apierrors.APIStatus
	switch {
	case errors.Is(err, errNotServed), apierrors.IsNotFound(err), apierrors.IsMethodNotSupported(err):
		return notServed
	case !errors.As(err, &status):
		return unavailable
	}
	code := status.Status().Code
	if code >= http.StatusInternalServerError || code == http.StatusTooManyRequests || code == http.StatusUnauthorized || code == http.StatusRequestTimeout {
		return unavailable
	}
	return refused
}

// cause is the text of an error without what differs from one try to the next.
func cause(err error) string {
	var request *url.Error
	if errors.As(err, &request) {
		err = request.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer"
	}
	var operation *net.OpError
	if errors.As(err, &operation) && operation.Addr != nil {
		return operation.Op + " " + operation.Addr.String() + ": " + operation.Err.Error()
	}
	return err.Error()
}

func isExpired(err error) bool {
	return apierrors.IsResourceExpired(err) || apierrors.IsGone(err)
}

// condition is the present state of something that is read again and again.
type condition struct {
	mu      sync.Mutex
	synced  bool
	failing *failure
}

// failed says whether the failure is a new one. Of failures that differ only in words the
// first is kept, so that the report does not change with each try.
func (c *condition) failed(err error) (news bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := failure{kind: classify(err), cause: cause(err), since: time.Now()}
	if before := c.failing; before != nil {
		if before.kind == now.kind && (now.kind == unavailable || before.cause == now.cause) {
			return false
		}
		now.since = before.since
	}
	c.failing = &now
	return true
}

// succeeded returns the failure that has ended.
func (c *condition) succeeded() *failure {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.failing
	c.synced, c.failing = true, nil
	return was
}

// get returns whether it was read once, and why it cannot be read now.
func (c *condition) get() (synced bool, failing *failure) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.synced, c.failing
}

// signals connect the readers with the loop of the source.
type signals struct {
	// dirty has a value when the loop has something to do.
	dirty chan struct{}

	mu sync.Mutex
	// back is closed when the API server is available again.
	back   chan struct{}
	backAt time.Time
}

func newSignals() *signals {
	return &signals{dirty: make(chan struct{}, 1), back: make(chan struct{})}
}

// changed starts an evaluation, after a short delay.
func (s *signals) changed() {
	select {
	case s.dirty <- struct{}{}:
	default:
	}
}

// available makes all that wait for the API server try at once.
func (s *signals) available() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); now.Sub(s.backAt) > time.Second {
		s.backAt = now
		close(s.back)
		s.back = make(chan struct{})
	}
}

func (s *signals) returned() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.back
}

// pause waits. With early set it ends when the API server is available again.
func (s *signals) pause(ctx context.Context, d time.Duration, early bool) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	var returned <-chan struct{}
	if early {
		returned = s.returned()
	}
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-returned:
	}
}
