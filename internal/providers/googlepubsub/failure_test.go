package googlepubsub_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// Every code has its class, and is met once: nothing repeats under the
// exporter's own retry.
func TestCodes(t *testing.T) {
	t.Parallel()
	for code, want := range map[codes.Code]struct {
		class notify.Class
		word  string
		text  string
	}{
		codes.Canceled:           {notify.Retryable, "cancelled", ""},
		codes.Unknown:            {notify.Retryable, "unknown", ""},
		codes.InvalidArgument:    {notify.Permanent, "invalid_argument", ""},
		codes.DeadlineExceeded:   {notify.Retryable, "deadline_exceeded", ""},
		codes.NotFound:           {notify.Permanent, "not_found", `create the topic "flux-events"`},
		codes.AlreadyExists:      {notify.Permanent, "already_exists", ""},
		codes.PermissionDenied:   {notify.Permanent, "permission_denied", "roles/pubsub.publisher"},
		codes.ResourceExhausted:  {notify.Throttled, "resource_exhausted", ""},
		codes.FailedPrecondition: {notify.Permanent, "failed_precondition", ""},
		codes.Aborted:            {notify.Retryable, "aborted", ""},
		codes.OutOfRange:         {notify.Permanent, "out_of_range", ""},
		codes.Unimplemented:      {notify.Permanent, "unimplemented", ""},
		codes.Internal:           {notify.Retryable, "internal", ""},
		codes.Unavailable:        {notify.Retryable, "unavailable", ""},
		codes.DataLoss:           {notify.Permanent, "data_loss", ""},
		codes.Unauthenticated:    {notify.Permanent, "unauthenticated", "token"},
	} {
		t.Run(code.String(), func(t *testing.T) {
			t.Parallel()
			server := pstest.NewServerWithAddress("127.0.0.1:0", pstest.WithErrorInjection("Publish", code, "said by Pub/Sub"))
			t.Cleanup(func() { _ = server.Close() })
			p := provider(t, server.Addr, notify.Settings{})
			e := failure(t, deliver(t, p, "x"))
			assert.Equal(t, want.class, e.Class)
			assert.Equal(t, want.word, e.Type)
			assert.Zero(t, e.Delay)
			assert.Contains(t, e.Error(), strings.ToUpper(want.word)+": said by Pub/Sub")
			assert.Contains(t, e.Error(), want.text)
		})
	}
}

func TestNothingIsRepeated(t *testing.T) {
	t.Parallel()
	for _, code := range []codes.Code{codes.Unavailable, codes.Internal, codes.Aborted, codes.ResourceExhausted, codes.Unknown, codes.DeadlineExceeded, codes.Canceled} {
		var requests atomic.Int32
		server := serve(t, func(*pubsubpb.PublishRequest) error {
			requests.Add(1)
			return status.Error(code, "not now")
		})
		require.Error(t, deliver(t, provider(t, server.Addr, notify.Settings{}), "x"))
		assert.EqualValues(t, 1, requests.Load(), code)
	}
}

func TestDelays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		code  codes.Code
		asked time.Duration
		class notify.Class
		delay time.Duration
	}{
		{codes.ResourceExhausted, 7 * time.Second, notify.Throttled, 7 * time.Second},
		{codes.ResourceExhausted, 24 * time.Hour, notify.Throttled, time.Hour},
		{codes.ResourceExhausted, -time.Second, notify.Throttled, 0},
		{codes.Unavailable, 7 * time.Second, notify.Throttled, 7 * time.Second},
		{codes.NotFound, 7 * time.Second, notify.Permanent, 0},
	} {
		answer, err := status.New(c.code, "later").WithDetails(
			&errdetails.QuotaFailure{Violations: []*errdetails.QuotaFailure_Violation{{Subject: project}}},
			&errdetails.RetryInfo{RetryDelay: durationpb.New(c.asked)},
		)
		require.NoError(t, err)
		server := serve(t, func(*pubsubpb.PublishRequest) error { return answer.Err() })
		e := failure(t, deliver(t, provider(t, server.Addr, notify.Settings{}), "x"))
		assert.Equal(t, c.class, e.Class, c)
		assert.Equal(t, c.delay, e.Delay, c)
	}
}

func TestTopicIsMissing(t *testing.T) {
	t.Parallel()
	server := pstest.NewServerWithAddress("127.0.0.1:0")
	t.Cleanup(func() { _ = server.Close() })
	p := provider(t, server.Addr, notify.Settings{})
	e := failure(t, deliver(t, p, "x"))
	assert.Equal(t, notify.Permanent, e.Class)
	assert.Equal(t, "not_found", e.Type)
	assert.Contains(t, e.Error(), "correct channel")
	createTopic(t, server)
	require.NoError(t, deliver(t, p, "x"))
}

// What Pub/Sub says is quoted, but for what the operator keeps secret in it.
func TestAnswersShowNoSecret(t *testing.T) {
	t.Parallel()
	const secret = `s3cret/9b+2e&77"c0`
	for _, code := range []codes.Code{codes.InvalidArgument, codes.PermissionDenied, codes.Unavailable, codes.ResourceExhausted} {
		server := serve(t, func(r *pubsubpb.PublishRequest) error {
			m := r.Messages[0]
			return status.Errorf(code, "refused: %s %q %v\x1b[31m%s", m.Attributes["key"], m.Attributes["key"], m.Attributes, strings.Repeat("long", 1000))
		})
		p := provider(t, server.Addr, notify.Settings{Headers: []notify.Header{{Name: "key", Value: secret}}})
		e := failure(t, deliver(t, p, "x"))
		for _, shown := range []string{e.Error(), fmt.Sprintf("%+v", e), fmt.Sprintf("%+v", e.Unwrap())} {
			assert.Contains(t, shown, "refused: [REDACTED]")
			assert.NotContains(t, shown, "s3cret")
			assert.NotContains(t, shown, "\x1b")
			assert.Less(t, len(shown), 800)
		}
	}
}

func TestEndOfContext(t *testing.T) {
	t.Parallel()
	server := serve(t)
	p := provider(t, server.Addr, notify.Settings{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e := failure(t, p.Deliver(ctx, notify.Payload{Body: []byte("x")}))
	assert.Equal(t, notify.Retryable, e.Class)
	require.ErrorIs(t, e, context.Canceled)
	assert.Empty(t, server.Messages(), "what nobody waits for is not sent")
}
