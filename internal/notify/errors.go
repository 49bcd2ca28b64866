package notify

import (
	"errors"
	"fmt"
	"time"
)

// Class says what to do about a failed delivery.
type Class int

// The classes of failure.
const (
	// Permanent: repeating it would fail again.
	Permanent Class = iota + 1
	// Retryable: the endpoint or the way to it is out of order.
	Retryable
	// Throttled: the endpoint is well and asks for patience.
	Throttled
)

func (c Class) String() string {
	switch c {
	case Permanent:
		return "permanent"
	case Retryable:
		return "retryable"
	case Throttled:
		return "throttled"
	}
	return fmt.Sprintf("Class(%d)", int(c))
}

// Error is a failed delivery. Its text is fit for a log: it holds no secret.
type Error struct {
	Class Class
	// Type is a short name for metrics, as semantic conventions' error.type:
	// a status code, or a word such as "timeout".
	Type string
	// Delay is how long a throttled delivery has to wait; 0: not said.
	Delay time.Duration
	Err   error
}

func (e *Error) Error() string { return e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// Permanentf makes the error of a delivery that is not worth repeating.
func Permanentf(errorType, format string, args ...any) *Error {
	return &Error{Class: Permanent, Type: errorType, Err: fmt.Errorf(format, args...)}
}

// Retryablef makes the error of a delivery that may succeed later.
func Retryablef(errorType, format string, args ...any) *Error {
	return &Error{Class: Retryable, Type: errorType, Err: fmt.Errorf(format, args...)}
}

// AsError finds the class of an error. What no provider has classified can be
// repeated: losing a notification is worse than trying once more.
func AsError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Class: Retryable, Type: "_OTHER", Err: err}
}
