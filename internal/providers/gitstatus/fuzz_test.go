package gitstatus_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/gitstatus"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

// bound is far above what an evaluation may take: a second, in steps between
// which the clock is looked at.
const bound = 20 * time.Second

// FuzzExpression proves of whatever is written as an expression that it makes a
// name or one line of an error, and comes to an end.
func FuzzExpression(f *testing.F) {
	for _, expression := range []string{
		"event.involvedObject.kind + '/' + event.involvedObject.name", "event.metadata[?'missing'].orValue('none')",
		"'%s-%d'.format([event.reason, size(event.message)])", "provider.metadata.uid.split('-').first().value()",
		"[1, 2].map(a, string(a)).join('-')", "event.message.replace('a', event.message)", "event.metadata.", "1 / 0 > 2 ? '' : ''",
		"base64.encode(bytes(event.message))", "event.message.matches('(a*)*b') ? 'a' : 'b'", "timestamp(event.timestamp).getFullYear()",
		"[1,2,3].all(a, [1,2,3].exists(b, a + b > size(event.message))) ? 'x' : 'y'", "has(event.metadata.x) && true || false",
	} {
		f.Add(expression, "Health check failed after 1m0s", "ReconciliationFailed")
	}
	f.Add("event.message", strings.Repeat("a", 2000), "\xff\x00")
	settings := providertest.Complete(f, notify.Settings{Address: "https://example.com/owner/repository"})
	event := providertest.Event(f, "kustomization-commit-status")
	f.Fuzz(func(t *testing.T, expression, message, reason string) {
		if expression == "" {
			return // there is none
		}
		begin := time.Now()
		defer func() { assert.Less(t, time.Since(begin), bound) }()
		s, e := settings, event
		s.CommitStatusExpr, e.Message, e.Reason = expression, message, reason
		p, err := gitstatus.New(s, gitstatus.Options{Vendor: &vendor{}, Success: "success", Failure: "failure"})
		if err != nil {
			oneLine(t, err)
			return
		}
		n := providertest.Notification(t, e)
		payloads, err := p.Render(n)
		if err != nil {
			oneLine(t, err)
			return
		}
		if assert.Len(t, payloads, 1) {
			assert.NotEmpty(t, strings.TrimSpace(payloads[0].Key))
		}
		again, err := p.Render(n)
		require.NoError(t, err)
		assert.Equal(t, payloads, again)
	})
}

func oneLine(t *testing.T, err error) {
	t.Helper()
	assert.Regexp(t, `^commit_status_expr: \S`, err.Error())
	assert.NotContains(t, err.Error(), "\n")
	assert.NotContains(t, err.Error(), "\r")
}
