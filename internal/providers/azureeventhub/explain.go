package azureeventhub

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/Azure/go-amqp"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// busyDelay is the least wait when the service is busy and does not say how long:
// https://learn.microsoft.com/java/api/com.microsoft.azure.eventhubs.serverbusyexception
const busyDelay = 4 * time.Second

// Conditions that Event Hubs adds to AMQP's own:
// https://learn.microsoft.com/java/api/com.azure.core.amqp.exception.amqperrorcondition
const (
	serverBusy     amqp.ErrCond = "com.microsoft:server-busy"
	entityDisabled amqp.ErrCond = "com.microsoft:entity-disabled"
	argumentError  amqp.ErrCond = "com.microsoft:argument-error"
)

var (
	// busySeconds is how the service says how long: "… Please wait 4 seconds and
	// try again."
	busySeconds = regexp.MustCompile(`(?i)wait (\d{1,4}) seconds?`)
	// conditionInWords is how the SDK writes what a service has said.
	conditionInWords = regexp.MustCompile(`(?s)Condition: ([a-z0-9.:-]+), Description: (.*), Info: map\[`)
	// signature is the part of a shared access signature that gives access.
	signature = regexp.MustCompile(`(?i)\bsig=[^&\s"']+`)
)

// explain says in words what went wrong, and what to do about it. nil stays nil.
func (p *Provider) explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	var (
		ours   *notify.Error
		answer interface {
			error
			RPCCode() int
		}
		known *azeventhubs.Error
	)
	switch {
	case errors.As(err, &ours):
		return ours
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return notify.Retryablef("timeout", "%s does not answer: %w", p.endpoint.host, err)
	case errors.As(err, &answer) && answer.RPCCode() == http.StatusNotFound:
		return p.refused(amqp.ErrCondNotFound, answer.Error())
	case errors.As(err, &known) && known.Code == azeventhubs.ErrorCodeUnauthorizedAccess:
		_, description := conditionOf(err)
		return p.refused(amqp.ErrCondUnauthorizedAccess, cmp.Or(description, known.Error()))
	}
	condition, description := conditionOf(err)
	if e := p.refused(condition, description); e != nil {
		return e
	}
	var direct *amqp.Error
	if errors.As(err, &direct) {
		said := p.quote(string(condition) + ": " + description)
		return notify.Retryablef(p.quote(string(condition)), "%s cannot take the event now: %s", p.endpoint.host, said)
	}
	// The SDK makes a limit of the connection of the context's, which may be first.
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		return notify.Retryablef("timeout", "%s does not answer: %s", p.endpoint.host, p.quote(err.Error()))
	}
	return notify.Retryablef("connection", "%s: the connection was lost: %s", p.endpoint.host, p.quote(err.Error()))
}

// conditionOf is what the service itself has said. What the SDK takes for a lost
// connection holds it in its text alone.
func conditionOf(err error) (condition amqp.ErrCond, description string) {
	var said *amqp.Error
	if errors.As(err, &said) {
		return said.Condition, said.Description
	}
	if found := conditionInWords.FindStringSubmatch(err.Error()); found != nil {
		return amqp.ErrCond(found[1]), found[2]
	}
	return "", ""
}

// refused is what the service says no to, or not now; nil where the condition
// says nothing of what to do.
func (p *Provider) refused(condition amqp.ErrCond, description string) *notify.Error {
	host, said := p.endpoint.host, p.quote(description)
	switch condition {
	case amqp.ErrCondUnauthorizedAccess:
		return notify.Permanentf("401", "%s does not let these credentials send to %q: a key needs the right Send, an identity the role Azure Event Hubs Data Sender: %s", host, p.endpoint.hub, said)
	case amqp.ErrCondNotFound:
		return notify.Permanentf("404", "%s has no event hub %q: create it, or correct the name: %s", host, p.endpoint.hub, said)
	case amqp.ErrCondMessageSizeExceeded:
		return notify.Permanentf("too_large", "%s takes no event of this size: %s", host, said)
	case serverBusy:
		e := notify.Retryablef("429", "%s is busy: %s", host, said)
		e.Class, e.Delay = notify.Throttled, busyFor(description)
		return e
	case entityDisabled, argumentError, amqp.ErrCondNotAllowed, amqp.ErrCondNotImplemented, amqp.ErrCondDecodeError, amqp.ErrCondInvalidField:
		return notify.Permanentf(string(condition), "%s refuses the event: %s: %s", host, condition, said)
	}
	return nil
}

// busyFor is how long the service asks to be left alone.
func busyFor(description string) time.Duration {
	found := busySeconds.FindStringSubmatch(description)
	if found == nil {
		return busyDelay
	}
	seconds, _ := strconv.Atoi(found[1]) // four digits at most
	return min(time.Duration(seconds)*time.Second, time.Hour)
}

// quote is what an error shows of a stranger's words.
func (p *Provider) quote(said string) string {
	said = signature.ReplaceAllString(said, "sig=[REDACTED]")
	if token := p.line.token.Load(); token != nil {
		said = strings.ReplaceAll(said, *token, "[REDACTED]")
	}
	return p.line.quote(said)
}
