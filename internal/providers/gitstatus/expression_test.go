package gitstatus_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fluxnotify/otelcol-flux/internal/alert"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/gitstatus"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

// named gives the name that an expression makes of an event.
func named(t *testing.T, expression string, n *notify.Notification) (string, error) {
	t.Helper()
	p := provider(t, &vendor{}, func(s *notify.Settings, _ *gitstatus.Options) {
		s.CommitStatusExpr, s.Type, s.UID = expression, "github", "0c9c2e41-d2f9-4f9b-9c41-bebc1984d67a"
	})
	payloads, err := p.Render(n)
	if err != nil {
		return "", err
	}
	require.Len(t, payloads, 1)
	return payloads[0].Key, nil
}

func TestExpressions(t *testing.T) {
	t.Parallel()
	n := providertest.Notification(t, providertest.Event(t, "kustomization-commit-status"))
	for expression, want := range map[string]string{
		"event.involvedObject.kind + '/' + event.involvedObject.name + '/' + event.reason":      "Kustomization/apps/ReconciliationSucceeded",
		"provider.metadata.name + '/' + alert.metadata.name + '/' + provider.spec.type":         "production/apps/github",
		"alert.metadata.namespace + ' ' + alert.metadata.uid":                                   "flux-system 0b54a0a2-8a0e-4f6c-9f27-5a3f6a0c1d11",
		"event.severity == 'error' ? 'failed' : 'ok'":                                           "ok",
		"'flux é/🚀 ' + event.involvedObject.namespace":                                          "flux é/🚀 flux-system",
		"'%s-%s'.format([event.involvedObject.kind, event.involvedObject.name])":                "Kustomization-apps",
		"has(event.metadata.missing) ? event.metadata.missing : 'default'":                      "default",
		"event.metadata.cluster + '/' + event.metadata.revision":                                "prod-eu/main@sha1:5394cb7f48332b2de7c17dd8b8384bbc84b7e738",
		"event.metadata[?'missing'].orValue('none')":                                            "none",
		"provider.metadata.uid.split('-')[0]":                                                   "0c9c2e41",
		"string(event.involvedObject.name)":                                                     "apps",
		"event.involvedObject.name":                                                             "apps",
		"string(size(event.message)) + (sets.contains(['info'], [event.severity]) ? '!' : '?')": "51!",
		"base64.encode(bytes(event.involvedObject.name))":                                       "YXBwcw==",
		"provider.spec.address.replace('https://', '')":                                         "example.com/owner/repository",
		"(event.involvedObject.kind + '/' + event.involvedObject.name + '/' + event.metadata.cluster + '/' + provider.metadata.uid.split('-').first().value()).lowerAscii()": "kustomization/apps/prod-eu/0c9c2e41",
	} {
		got, err := named(t, expression, n)
		require.NoError(t, err, expression)
		assert.Equal(t, want, got, expression)
	}
}

func TestExpressionsFailForOneEvent(t *testing.T) {
	t.Parallel()
	e := providertest.Event(t, "kustomization-commit-status")
	e.Message = strings.Repeat("x", 10_000)
	for expression, want := range map[string]string{
		"event.metadata.missing":             "no such key: missing",
		"'' + event.involvedObject.missing":  "no such key: missing",
		"''":                                 "gave an empty string",
		"' '":                                "gave an empty string",
		"event.involvedObject":               "gave a value of the type map",
		"event.reason + 1":                   "no such overload", // what a dynamic value is shows itself when it is there
		"event.metadata[?'missing'].value()": "optional.none()",
		strings.Repeat("(event.message + ", 20) + "event.message" + strings.Repeat(")", 20): "",
		"[1,2,3,4,5,6,7,8,9].exists(a, [1,2,3,4,5,6,7,8,9].exists(b, [1,2,3,4,5,6,7,8,9].exists(c, [1,2,3,4,5,6,7,8,9].exists(d, [1,2,3,4,5,6,7,8,9].exists(e, a + b + c + d + e > size(event.message)))))) ? 'x' : 'y'": "cost limit exceeded",
	} {
		_, err := named(t, expression, providertest.Notification(t, e))
		if want == "" {
			require.NoError(t, err, "ten kilobytes are no reason to give up")
			continue
		}
		require.ErrorContains(t, err, want, expression)
		assert.Regexp(t, "^commit_status_expr: ", err.Error())
		assert.NotContains(t, err.Error(), "\n")
	}
}

func TestExpressionsThatCannotBe(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]string{
		"event.metadata.":      "Syntax error",
		"objct.name":           "undeclared reference to 'objct'",
		"event.reason.shout()": "undeclared reference to 'shout'",
		strings.Repeat("(", 300) + "''" + strings.Repeat(")", 300): "commit_status_expr: ",
	} {
		s := providertest.Complete(t, notify.Settings{CommitStatusExpr: expression})
		_, err := gitstatus.New(s, gitstatus.Options{})
		require.ErrorContains(t, err, want, expression)
		assert.Regexp(t, "^commit_status_expr: ", err.Error())
		assert.NotContains(t, err.Error(), "\n")
	}
}

// What can never give a string is warned of at the start, and fails each
// notification.
func TestExpressionsOfAnotherType(t *testing.T) {
	t.Parallel()
	n := providertest.Notification(t, providertest.Event(t, "kustomization-commit-status"))
	for expression, want := range map[string]string{
		"1 + 1":          "type int",
		"true":           "type bool",
		"event":          "type map",
		"[event.reason]": "type list",
		"provider.metadata.uid.split('-').first()": "type optional_type",
	} {
		core, logs := observer.New(zap.WarnLevel)
		s := providertest.Complete(t, notify.Settings{CommitStatusExpr: expression})
		s.Logger = zap.New(core)
		_, err := gitstatus.New(s, gitstatus.Options{})
		require.NoError(t, err, expression)
		require.Equal(t, 1, logs.Len(), expression)
		assert.Contains(t, logs.All()[0].Message, "commit_status_expr: gives a value of the "+want)
		_, err = named(t, expression, n)
		require.ErrorContains(t, err, want, expression)
		assert.ErrorContains(t, err, "must give a string")
	}
}

func TestExpressionWithoutAlert(t *testing.T) {
	t.Parallel()
	e := providertest.Event(t, "kustomization-commit-status")
	got, err := named(t, "event.involvedObject.name + '[' + alert.metadata.name + ']'", alert.Everything(&e))
	require.NoError(t, err)
	assert.Equal(t, "apps[]", got)
}
