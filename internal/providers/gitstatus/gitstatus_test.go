package gitstatus_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/gitstatus"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// vendor is a repository in memory, which can be out of order.
type vendor struct {
	there          []gitstatus.Status // the newest last
	lists, posts   int
	onList, onPost error
}

func (v *vendor) Newest(_ context.Context, s gitstatus.Status) (gitstatus.Status, bool, error) {
	v.lists++
	if v.onList != nil {
		return gitstatus.Status{}, false, v.onList
	}
	for i := len(v.there) - 1; i >= 0; i-- {
		if v.there[i].Commit == s.Commit && v.there[i].Key == s.Key {
			return v.there[i], true, nil
		}
	}
	return gitstatus.Status{}, false, nil
}

func (v *vendor) Post(_ context.Context, s gitstatus.Status) error {
	v.posts++
	if v.onPost == nil {
		v.there = append(v.there, s)
	}
	return v.onPost
}

func (v *vendor) Check(context.Context) error { return notify.ErrUncheckable }

func provider(t *testing.T, v *vendor, change func(*notify.Settings, *gitstatus.Options)) *gitstatus.Provider {
	t.Helper()
	s := providertest.Complete(t, notify.Settings{Address: "https://example.com/owner/repository"})
	o := gitstatus.Options{Vendor: v, Repository: "https://example.com/owner/repository", Success: "success", Failure: "failure"}
	if change != nil {
		change(&s, &o)
	}
	p, err := gitstatus.New(s, o)
	require.NoError(t, err)
	return p
}

// told is an event of an object at a second, as a payload.
func told(t *testing.T, p *gitstatus.Provider, reason, severity string, second int) notify.Payload {
	t.Helper()
	e := providertest.Event(t, "kustomization-commit-status")
	e.Reason, e.Severity = reason, severity
	e.Timestamp = fluxevent.NewTime(providertest.Observed.Add(time.Duration(second)*time.Second - time.Hour))
	payloads, err := p.Render(providertest.Notification(t, e))
	require.NoError(t, err)
	require.Len(t, payloads, 1)
	return payloads[0]
}

func TestSkips(t *testing.T) {
	t.Parallel()
	const own = "kustomize.toolkit.fluxcd.io/"
	severity := "info"
	event := func(reason, revision string) *fluxevent.Event {
		return &fluxevent.Event{
			InvolvedObject: fluxevent.Object{Kind: "Kustomization", APIVersion: own + "v1"}, Reason: reason, Severity: severity,
			Metadata: map[string]string{own + "revision": revision},
		}
	}
	const commit = "main@sha1:5394cb7f48332b2de7c17dd8b8384bbc84b7e738"
	for _, c := range []struct {
		skips            func(*fluxevent.Event) (string, bool)
		reason, revision string
		rule             string
	}{
		{gitstatus.Rules{Progress: true}.Skips, "Progressing", commit, ""},
		{gitstatus.Rules{Progress: true}.Skips, "ReconciliationSucceeded", "6.5.0", "no_git_commit"},
		{gitstatus.Rules{}.Skips, "ReconciliationSucceeded", commit, ""},
		{gitstatus.Rules{}.Skips, "Progressing", commit, "progressing"},
		{gitstatus.Rules{}.Skips, "ReconciliationSucceeded", "6.5.0", "no_git_commit"},
	} {
		rule, skip := c.skips(event(c.reason, c.revision))
		assert.Equal(t, c.rule != "", skip)
		if skip {
			assert.Equal(t, c.rule, rule)
		}
	}
	for _, severity = range []string{"trace", "warning", ""} {
		rule, skip := gitstatus.Rules{}.Skips(event("ReconciliationSucceeded", commit))
		assert.True(t, skip, severity)
		assert.Equal(t, "no_state", rule)
	}
	severity = "error"
	_, skip := gitstatus.Rules{}.Skips(event("ReconciliationFailed", commit))
	assert.False(t, skip)
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	for uid, want := range map[string]string{
		"0C9C2E41-d2f9-4f9b": "kustomization/apps/0c9c2e41", "ABCDEF": "kustomization/apps/abcdef", "": "kustomization/apps/",
	} {
		p := provider(t, &vendor{}, func(s *notify.Settings, _ *gitstatus.Options) { s.UID = uid })
		payload := told(t, p, "ReconciliationSucceeded", "info", 0)
		assert.Equal(t, want, payload.Key)
		assert.Equal(t, "kustomization/apps.flux-system", payload.Object)
	}
}

func TestAnAlertDoesNotChooseTheCommit(t *testing.T) {
	t.Parallel()
	p := provider(t, &vendor{}, nil)
	e := providertest.Event(t, "kustomization-commit-status")
	other := strings.Repeat("a", 40)
	payloads, err := p.Render(providertest.NotificationWith(t, e, map[string]string{"commit": other, "originRevision": other, "revision": other}))
	require.NoError(t, err)
	require.Len(t, payloads, 1)
	assert.Contains(t, string(payloads[0].Body), "5394cb7f48332b2de7c17dd8b8384bbc84b7e738")
	assert.NotContains(t, string(payloads[0].Body), other)
}

func TestStates(t *testing.T) {
	t.Parallel()
	plain, patient := provider(t, &vendor{}, nil), provider(t, &vendor{}, func(_ *notify.Settings, o *gitstatus.Options) { o.Pending = "pending" })
	for _, c := range []struct {
		p                *gitstatus.Provider
		reason, severity string
		want             string
	}{
		{plain, "ReconciliationSucceeded", "info", "success"},
		{plain, "HealthCheckFailed", "error", "failure"},
		{plain, "Progressing", "info", "success"},
		{patient, "Progressing", "info", "pending"},
		{patient, "Progressing", "error", "failure"},
		{patient, "ReconciliationSucceeded", "trace", "success"},
	} {
		var s gitstatus.Status
		require.NoError(t, json.Unmarshal(told(t, c.p, c.reason, c.severity, 0).Body, &s))
		assert.Equal(t, c.want, s.State, c.reason)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	p := provider(t, &vendor{}, func(_ *notify.Settings, o *gitstatus.Options) {
		o.MaxKey, o.MaxDescription = 100, 50
		o.Complete = func(s *gitstatus.Status, _ *notify.Notification, identity string) { s.Name = identity }
	})
	seen := map[string]bool{}
	for _, unit := range []string{"n", "é", "部", "🚀"} {
		for _, end := range []string{"1", "2"} {
			e := providertest.Event(t, "kustomization-commit-status")
			e.InvolvedObject.Name = strings.Repeat(unit, 253) + end
			e.Reason = strings.Repeat(unit, 300)
			payloads, err := p.Render(providertest.Notification(t, e))
			require.NoError(t, err)
			var s gitstatus.Status
			require.NoError(t, json.Unmarshal(payloads[0].Body, &s))
			assert.Equal(t, 100, utf8.RuneCountInString(s.Key))
			assert.Contains(t, s.Key, "… (truncated)")
			assert.Equal(t, 50, utf8.RuneCountInString(s.Description))
			assert.Equal(t, "kustomization/"+e.InvolvedObject.Name+"/prod", s.Name, "the identity is whole")
			assert.False(t, seen[s.Key], "long names that begin alike stay apart")
			seen[s.Key] = true
		}
	}
}

func TestTheSameIsNotWrittenAgain(t *testing.T) {
	t.Parallel()
	v := &vendor{}
	p := provider(t, v, nil)
	for second, reason := range []string{"ReconciliationSucceeded", "ReconciliationSucceeded", "HealthCheckFailed", "ReconciliationSucceeded"} {
		severity := "info"
		if reason == "HealthCheckFailed" {
			severity = "error"
		}
		require.NoError(t, p.Deliver(t.Context(), told(t, p, reason, severity, second)))
	}
	assert.Equal(t, 4, v.lists, "somebody else may have written meanwhile")
	assert.Equal(t, 3, v.posts)
	require.NoError(t, p.Deliver(t.Context(), told(t, p, "InstallSucceeded", "info", 9)))
	assert.Equal(t, 4, v.posts, "another description is another status")
}

func TestOlderEventsAreLate(t *testing.T) {
	t.Parallel()
	v := &vendor{}
	p := provider(t, v, nil)
	require.NoError(t, p.Deliver(t.Context(), told(t, p, "ReconciliationSucceeded", "info", 2)))
	require.NoError(t, p.Deliver(t.Context(), told(t, p, "HealthCheckFailed", "error", 1)), "there is nothing left to do")
	assert.Equal(t, 1, v.posts)
	require.NoError(t, p.Deliver(t.Context(), told(t, p, "HealthCheckFailed", "error", 2)), "of one second the last counts")
	assert.Equal(t, 2, v.posts)

	e := providertest.Event(t, "kustomization-commit-status")
	e.Timestamp = fluxevent.NewTime(providertest.Observed)
	e.Metadata = map[string]string{"kustomize.toolkit.fluxcd.io/revision": "main@sha1:" + strings.Repeat("b", 40)}
	payloads, err := p.Render(providertest.Notification(t, e))
	require.NoError(t, err)
	require.NoError(t, p.Deliver(t.Context(), payloads[0]))
	assert.Equal(t, 3, v.posts, "another commit")
}

// A clock that is ahead for one event does not make what comes after it look older.
func TestAnEventOfTheFuture(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.DebugLevel)
	v := &vendor{}
	p := provider(t, v, func(s *notify.Settings, _ *gitstatus.Options) { s.Logger = zap.New(core) })
	ahead := told(t, p, "ReconciliationSucceeded", "info", 365*24*3600)
	assert.Equal(t, providertest.Observed, ahead.Time, "it had arrived by then")
	require.NoError(t, p.Deliver(t.Context(), ahead))
	e := providertest.Event(t, "kustomization-commit-status")
	e.Reason, e.Severity, e.Observed = "HealthCheckFailed", "error", providertest.Observed.Add(2*time.Second)
	e.Timestamp = fluxevent.NewTime(providertest.Observed.Add(time.Second))
	payloads, err := p.Render(providertest.Notification(t, e))
	require.NoError(t, err)
	require.NoError(t, p.Deliver(t.Context(), payloads[0]))
	assert.Equal(t, 2, v.posts)
	assert.Empty(t, logs.All())
	require.NoError(t, p.Deliver(t.Context(), ahead))
	assert.Equal(t, 2, v.posts)
	require.Equal(t, 1, logs.FilterMessageSnippet("superseded").Len())
	assert.Equal(t, "kustomization/apps.flux-system", logs.All()[0].ContextMap()["object"])
}

func TestFailuresBetweenTheCalls(t *testing.T) {
	t.Parallel()
	v := &vendor{}
	p := provider(t, v, nil)
	broken := notify.Retryablef("503", "broken")
	newer, older := told(t, p, "ReconciliationSucceeded", "info", 2), told(t, p, "HealthCheckFailed", "error", 1)
	v.onList = broken
	require.ErrorIs(t, p.Deliver(t.Context(), newer), broken)
	v.onList, v.onPost = nil, broken
	require.ErrorIs(t, p.Deliver(t.Context(), newer), broken)
	v.onPost = nil
	require.NoError(t, p.Deliver(t.Context(), older), "what failed was not written")
	require.NoError(t, p.Deliver(t.Context(), newer))
	require.NoError(t, p.Deliver(t.Context(), older))
	require.Len(t, v.there, 2)
	assert.Equal(t, "success", v.there[1].State)
}

func TestRotatedSecrets(t *testing.T) {
	t.Parallel()
	v, memory := &vendor{}, &notify.Memory{}
	with := func(s *notify.Settings, _ *gitstatus.Options) { s.Memory = memory }
	before, after := provider(t, v, with), provider(t, v, with)
	require.NoError(t, before.Deliver(t.Context(), told(t, before, "ReconciliationSucceeded", "info", 2)))
	require.NoError(t, after.Deliver(t.Context(), told(t, after, "HealthCheckFailed", "error", 1)))
	assert.Equal(t, 1, v.posts, "the successor knows what its predecessor wrote")

	elsewhere := provider(t, v, func(s *notify.Settings, o *gitstatus.Options) {
		with(s, o)
		o.Repository = "https://example.com/owner/other"
	})
	require.NoError(t, elsewhere.Deliver(t.Context(), told(t, elsewhere, "HealthCheckFailed", "error", 1)))
	assert.Equal(t, 2, v.posts, "the new secret has another address")
}

func TestMissingCredentials(t *testing.T) {
	t.Parallel()
	v := &vendor{}
	p := provider(t, v, func(_ *notify.Settings, o *gitstatus.Options) { o.Missing = "token: must be set" })
	var e *notify.Error
	require.ErrorAs(t, p.Deliver(t.Context(), told(t, p, "ReconciliationSucceeded", "info", 0)), &e)
	assert.Equal(t, notify.Permanent, e.Class)
	assert.Equal(t, "configuration", e.Type)
	assert.Equal(t, "token: must be set", e.Error())
	assert.Zero(t, v.lists)
}

func TestNotAStatus(t *testing.T) {
	t.Parallel()
	var e *notify.Error
	require.ErrorAs(t, provider(t, &vendor{}, nil).Deliver(t.Context(), notify.Payload{Body: []byte("{")}), &e)
	assert.Equal(t, notify.Permanent, e.Class)
	var syntax *json.SyntaxError
	assert.ErrorAs(t, e, &syntax)
}

func TestCheck(t *testing.T) {
	t.Parallel()
	require.ErrorIs(t, provider(t, &vendor{}, nil).Check(t.Context()), notify.ErrUncheckable)
	var e *notify.Error
	missing := provider(t, &vendor{}, func(_ *notify.Settings, o *gitstatus.Options) { o.Missing = "token: must be set" })
	require.ErrorAs(t, missing.Check(t.Context()), &e)
	assert.Equal(t, "configuration", e.Type)
}
