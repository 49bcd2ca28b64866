package notify

import (
	"context"
	"errors"
)

// Checker is a provider whose endpoint can be asked, by a call that its vendor
// documents for that or that only reads, whether it would take notifications.
// Nobody is notified by it.
type Checker interface {
	// Check asks once, on the way and with the credentials of a delivery. It may
	// be called before Start, obeys the context, and its error is like that of
	// Deliver: an *Error that says what to do and holds no secret. It is
	// ErrUncheckable where these settings, unlike others of the type, leave
	// nothing to ask.
	Check(ctx context.Context) error
}

// ErrUncheckable says that there is nothing to ask an endpoint.
var ErrUncheckable = errors.New("the endpoint knows no call that would notify nobody")
