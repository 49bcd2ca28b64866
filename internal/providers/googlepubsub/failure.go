package googlepubsub

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// maxDelay is the longest wait that Pub/Sub may ask for.
const maxDelay = time.Hour

// failure gives an error its class, by its code:
// https://cloud.google.com/pubsub/docs/reference/error-codes
func (p *Provider) failure(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return notify.Retryablef("timeout", "Pub/Sub does not answer: %w", err)
	}
	var paused pubsub.ErrPublishingPaused
	if errors.As(err, &paused) {
		return notify.Retryablef("paused", "an earlier message of the same object has failed")
	}
	if errors.Is(err, pubsub.ErrPublisherStopped) {
		return notify.Retryablef("connection", "not connected")
	}
	answer := status.Convert(err)
	name := code.Code(answer.Code()).String()
	failed := notify.Error{
		Class: notify.Retryable,
		Type:  strings.ToLower(name),
		Err:   fmt.Errorf("Pub/Sub: %s: %s%s", name, p.quote(answer.Message()), p.advice(answer.Code())),
	}
	switch answer.Code() {
	case codes.ResourceExhausted:
		failed.Class = notify.Throttled
	case codes.NotFound, codes.PermissionDenied, codes.Unauthenticated, codes.InvalidArgument, codes.FailedPrecondition,
		codes.OutOfRange, codes.AlreadyExists, codes.Unimplemented, codes.DataLoss:
		failed.Class = notify.Permanent
		return &failed
	}
	for _, detail := range answer.Details() {
		if retry, ok := detail.(*errdetails.RetryInfo); ok {
			failed.Class = notify.Throttled
			failed.Delay = min(max(retry.GetRetryDelay().AsDuration(), 0), maxDelay)
		}
	}
	return &failed
}

func (p *Provider) advice(c codes.Code) string {
	switch c {
	case codes.NotFound:
		return fmt.Sprintf(": create the topic %q in the project that address names, or correct channel", p.topic)
	case codes.PermissionDenied:
		return fmt.Sprintf(": grant the role roles/pubsub.publisher on the topic %q to the identity", p.topic)
	case codes.Unauthenticated:
		return ": the credentials in token, or the ambient Google identity, are not accepted"
	}
	return ""
}
