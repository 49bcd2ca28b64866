package gitcomment_test

import (
	"context"
	"encoding/json"
	"iter"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/gitcomment"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
	"github.com/fluxnotify/otelcol-flux/internal/text"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// vendor is a repository in memory, which can be out of order.
type vendor struct {
	mu                     sync.Mutex
	self                   string
	there                  []gitcomment.There
	asked, creates, edits  int
	onSelf, onList, onEdit error
	onCreate               error // after the comment was made, as when the answer is lost
}

func (v *vendor) Self(context.Context) (string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.asked++
	return v.self, v.onSelf
}

func (v *vendor) Comments(context.Context, int) iter.Seq2[gitcomment.There, error] {
	return func(yield func(gitcomment.There, error) bool) {
		for _, there := range v.there {
			if !yield(there, nil) {
				return
			}
		}
		if v.onList != nil {
			yield(gitcomment.There{}, v.onList)
		}
	}
}

func (v *vendor) Create(_ context.Context, _ int, body string) error {
	v.creates++
	v.there = append(v.there, gitcomment.There{ID: int64(len(v.there) + 1), Author: v.self, Body: body})
	return v.onCreate
}

func (v *vendor) Edit(_ context.Context, _ int, id int64, body string) error {
	v.edits++
	if v.onEdit == nil {
		v.there[id-1].Body = body
	}
	return v.onEdit
}

func (v *vendor) Check(context.Context) error { return notify.ErrUncheckable }

func provider(t *testing.T, v *vendor, change func(*notify.Settings, *gitcomment.Options)) *gitcomment.Provider {
	t.Helper()
	s := providertest.Complete(t, notify.Settings{Address: "https://example.com/owner/repository"})
	o := gitcomment.Options{Vendor: v, Repository: "https://example.com/owner/repository", Word: "flux-pr-comment-key", Size: text.InRunes, Max: 5000}
	if change != nil {
		change(&s, &o)
	}
	p, err := gitcomment.New(s, o)
	require.NoError(t, err)
	return p
}

func event(t *testing.T, request string) fluxevent.Event {
	t.Helper()
	e := providertest.Event(t, "kustomization-failed")
	e.Metadata[notify.ChangeRequestKey] = request
	return e
}

// told is an event at a second, as a payload.
func told(t *testing.T, p *gitcomment.Provider, message string, second int) (notify.Payload, gitcomment.Comment) {
	t.Helper()
	e := event(t, "42")
	e.Message = message
	e.Timestamp = fluxevent.NewTime(providertest.Observed.Add(time.Duration(second)*time.Second - time.Hour))
	return rendered(t, p, e)
}

func rendered(t *testing.T, p *gitcomment.Provider, e fluxevent.Event) (notify.Payload, gitcomment.Comment) {
	t.Helper()
	payloads, err := p.Render(providertest.NotificationWith(t, e, map[string]string{"change_request": "7"}))
	require.NoError(t, err)
	require.Len(t, payloads, 1)
	var c gitcomment.Comment
	require.NoError(t, json.Unmarshal(payloads[0].Body, &c))
	return payloads[0], c
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	p := provider(t, &vendor{}, nil)
	for number, want := range map[string]int{
		"1": 1, "42": 42, "9007199254740993": 9007199254740993,
		"": 0, "0": 0, "-3": 0, "+7": 0, "07": 0, "#42": 0, "4 2": 0, " 42": 0, "42\n": 0, "1e3": 0, "0x2a": 0, "٤٢": 0, "42/../7": 0,
		"99999999999999999999": 0,
	} {
		e := event(t, number)
		rule, skip := gitcomment.Skips(&e)
		assert.Equal(t, want == 0, skip, number)
		if skip {
			assert.Equal(t, "change_request_not_a_number", rule)
			payloads, err := p.Render(providertest.NotificationWith(t, e, map[string]string{"change_request": "7"}))
			require.NoError(t, err)
			assert.Empty(t, payloads, number)
			continue
		}
		_, c := rendered(t, p, e)
		assert.Equal(t, want, c.Request, "an alert does not choose it")
		assert.NotContains(t, c.Body, "change_request")
	}
	e := event(t, "42")
	e.Metadata["kustomize.toolkit.fluxcd.io/change_request"] = "43"
	_, c := rendered(t, p, e)
	assert.Equal(t, 42, c.Request)
}

func TestBody(t *testing.T) {
	t.Parallel()
	p := provider(t, &vendor{}, nil)
	e := event(t, "42")
	e.Metadata[fluxevent.Group+"/link"] = "[a](https://example.com)"
	n := providertest.NotificationWith(t, e, map[string]string{"runbook": "[a](https://example.com) @team"})
	payloads, err := p.Render(n)
	require.NoError(t, err)
	var c gitcomment.Comment
	require.NoError(t, json.Unmarshal(payloads[0].Body, &c))
	assert.Equal(t, strings.ReplaceAll(`<!-- flux-pr-comment-key:prod-eu-1/Kustomization/flux-system/apps -->

## Flux Status

⚠️ Kustomization/flux-system/apps

`+e.Message+`

Metadata:
* 'link': \[a\]`+"\u200b"+`(https://example.com)
* 'revision': main@sha1:5394cb7f48332b2de7c17dd8b8384bbc84b7e738
* 'runbook': [a](https://example.com) @team
`, "'", "`"), c.Body)
	assert.True(t, strings.HasPrefix(c.Body, c.Marker+"\n"))
}

// TestMarkers proves that no name ends the marker, and that no two objects have
// the same.
func TestMarkers(t *testing.T) {
	t.Parallel()
	p := provider(t, &vendor{}, nil)
	seen := map[string]string{}
	long := strings.Repeat("n", 2000)
	for _, o := range []fluxevent.Object{
		{Kind: "Kustomization", Namespace: "a", Name: "b"},
		{Kind: "Kustomization", Namespace: "a/b", Name: ""},
		{Kind: "Kustomization", Namespace: "", Name: "a/b"},
		{Kind: "Kustomization", Namespace: "a", Name: "b --> @everyone"},
		{Kind: "Kustomization", Namespace: "a", Name: "b --!><script>"},
		{Kind: "Kustomization", Namespace: "a", Name: "b\n\n/close"},
		{Kind: "Kustomization", Namespace: "a", Name: "b%20"},
		{Kind: "Kustomization", Namespace: "a", Name: "b "},
		{Kind: "Kustomization", Namespace: "a", Name: long + "1"},
		{Kind: "Kustomization", Namespace: "a", Name: long + "2"},
	} {
		e := event(t, "42")
		o.APIVersion = e.InvolvedObject.APIVersion
		e.InvolvedObject = o
		_, c := rendered(t, p, e)
		assert.Regexp(t, `^<!-- flux-pr-comment-key:[^<>\s]+ -->$`, c.Marker)
		assert.Less(t, len(c.Marker), 1100)
		assert.Empty(t, seen[c.Marker])
		seen[c.Marker] = o.Name
		for other := range seen {
			assert.True(t, other == c.Marker || !strings.HasPrefix(c.Body, other), "one is the beginning of the other")
		}
	}
}

func TestOurOwnByMarkerAndAuthor(t *testing.T) {
	t.Parallel()
	_, c := told(t, provider(t, &vendor{}, nil), "old", 0)
	for name, there := range map[string]gitcomment.There{
		"another author": {Author: "somebody", Body: c.Body},
		"quoted":         {Author: "flux", Body: "> " + c.Body},
		"another object": {Author: "flux", Body: strings.Replace(c.Body, "/apps -->", "/app -->", 1)},
		"nobody's":       {Author: "", Body: c.Body},
	} {
		v := &vendor{self: "flux", there: []gitcomment.There{there}}
		p := provider(t, v, nil)
		payload, _ := told(t, p, "new", 1)
		require.NoError(t, p.Deliver(t.Context(), payload))
		assert.Equal(t, 1, v.creates, name)
		assert.Zero(t, v.edits, name)
		assert.Equal(t, there.Body, v.there[0].Body)
	}
	v := &vendor{self: "flux", there: []gitcomment.There{{ID: 1, Author: "somebody", Body: c.Body}, {ID: 2, Author: "flux", Body: c.Body}}}
	p := provider(t, v, nil)
	payload, said := told(t, p, "new", 1)
	require.NoError(t, p.Deliver(t.Context(), payload))
	assert.Zero(t, v.creates)
	assert.Equal(t, said.Body, v.there[1].Body)
	assert.Equal(t, c.Body, v.there[0].Body)
}

func TestTheSameIsNotWrittenAgain(t *testing.T) {
	t.Parallel()
	v := &vendor{self: "flux"}
	p := provider(t, v, nil)
	payload, c := told(t, p, "two\nlines", 1)
	require.NoError(t, p.Deliver(t.Context(), payload))
	for _, kept := range []string{c.Body, strings.TrimRight(c.Body, "\n"), strings.ReplaceAll(c.Body, "\n", "\r\n")} {
		v.there[0].Body = kept
		require.NoError(t, p.Deliver(t.Context(), payload))
	}
	assert.Equal(t, 1, v.creates)
	assert.Zero(t, v.edits)
	assert.Equal(t, 1, v.asked, "the account is asked for once")
	payload, _ = told(t, p, "other\nlines", 2)
	require.NoError(t, p.Deliver(t.Context(), payload))
	assert.Equal(t, 1, v.edits)
}

func TestOlderEventsAreLate(t *testing.T) {
	t.Parallel()
	v := &vendor{self: "flux"}
	p := provider(t, v, nil)
	newer, c := told(t, p, "newer", 2)
	older, _ := told(t, p, "older", 1)
	require.NoError(t, p.Deliver(t.Context(), newer))
	require.NoError(t, p.Deliver(t.Context(), older), "there is nothing left to do")
	require.Len(t, v.there, 1)
	assert.Equal(t, c.Body, v.there[0].Body)

	e := event(t, "43")
	e.Timestamp = fluxevent.NewTime(providertest.Observed)
	elsewhere, _ := rendered(t, p, e)
	v.there = nil
	require.NoError(t, p.Deliver(t.Context(), elsewhere))
	assert.Equal(t, 2, v.creates, "another change request")
}

func TestFailuresBetweenTheCalls(t *testing.T) {
	t.Parallel()
	v := &vendor{self: "flux"}
	p := provider(t, v, nil)
	broken := notify.Retryablef("503", "broken")
	payload, c := told(t, p, "told", 2)
	v.onSelf = broken
	require.ErrorIs(t, p.Deliver(t.Context(), payload), broken)
	v.onSelf, v.onList = nil, broken
	require.ErrorIs(t, p.Deliver(t.Context(), payload), broken)
	assert.Zero(t, v.creates, "it may be on the page that failed")
	v.onList, v.onCreate = nil, broken
	require.ErrorIs(t, p.Deliver(t.Context(), payload), broken)
	v.onCreate = nil
	require.NoError(t, p.Deliver(t.Context(), payload))
	assert.Equal(t, 1, v.creates, "found by its marker")
	require.Len(t, v.there, 1)
	assert.Equal(t, c.Body, v.there[0].Body)

	later, _ := told(t, p, "later", 3)
	v.onEdit = broken
	require.ErrorIs(t, p.Deliver(t.Context(), later), broken)
	v.onEdit = nil
	require.NoError(t, p.Deliver(t.Context(), later))
	assert.Contains(t, v.there[0].Body, "later")
	assert.Equal(t, 2, v.asked, "the first time it failed")
}

func TestRenamedAccount(t *testing.T) {
	t.Parallel()
	v := &vendor{self: "flux"}
	p := provider(t, v, nil)
	payload, _ := told(t, p, "before", 1)
	require.NoError(t, p.Deliver(t.Context(), payload))
	v.self, v.there[0].Author = "flux-bot", "flux-bot"
	payload, c := told(t, p, "after", 2)
	require.NoError(t, p.Deliver(t.Context(), payload))
	assert.Equal(t, 1, v.creates)
	assert.Equal(t, c.Body, v.there[0].Body)
	assert.Equal(t, 2, v.asked)
}

func TestRotatedSecrets(t *testing.T) {
	t.Parallel()
	v, memory := &vendor{self: "flux"}, &notify.Memory{}
	with := func(s *notify.Settings, _ *gitcomment.Options) { s.Memory = memory }
	before := provider(t, v, with)
	newer, _ := told(t, before, "newer", 2)
	require.NoError(t, before.Deliver(t.Context(), newer))

	after := provider(t, v, with)
	older, _ := told(t, after, "older", 1)
	require.NoError(t, after.Deliver(t.Context(), older))
	assert.Equal(t, 1, v.creates+v.edits, "the successor knows what its predecessor wrote")

	v.self = "robot" // the token is another account's now
	other := provider(t, v, with)
	latest, c := told(t, other, "latest", 3)
	require.NoError(t, other.Deliver(t.Context(), latest))
	require.Len(t, v.there, 2, "nobody may edit what another has written")
	assert.Equal(t, gitcomment.There{ID: 2, Author: "robot", Body: c.Body}, v.there[1])
}

func TestNoAccount(t *testing.T) {
	t.Parallel()
	v := &vendor{}
	p := provider(t, v, nil)
	payload, c := told(t, p, "told", 1)
	v.there = []gitcomment.There{{ID: 1, Body: c.Body + "by an account that was deleted"}}
	var e *notify.Error
	require.ErrorAs(t, p.Deliver(t.Context(), payload), &e)
	assert.Equal(t, notify.Retryable, e.Class)
	assert.Zero(t, v.creates+v.edits)
}

// TestWaitingForTheAccount proves that who waits for another's question is not
// held up longer than its own time.
func TestWaitingForTheAccount(t *testing.T) {
	t.Parallel()
	asked, answer := make(chan struct{}), make(chan struct{})
	v := &slow{vendor: &vendor{self: "flux"}, asked: asked, answer: answer}
	p := provider(t, v.vendor, func(_ *notify.Settings, o *gitcomment.Options) { o.Vendor = v })
	first, _ := told(t, p, "first", 1)
	done := make(chan error)
	go func() { done <- p.Deliver(t.Context(), first) }()
	<-asked
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e := event(t, "43")
	second, _ := rendered(t, p, e)
	var failed *notify.Error
	require.ErrorAs(t, p.Deliver(ctx, second), &failed)
	assert.Equal(t, notify.Retryable, failed.Class)
	close(answer)
	require.NoError(t, <-done)
}

// slow answers when it is let.
type slow struct {
	*vendor
	asked, answer chan struct{}
}

func (s *slow) Self(ctx context.Context) (string, error) {
	close(s.asked)
	<-s.answer
	return s.vendor.Self(ctx)
}

func TestLimits(t *testing.T) {
	t.Parallel()
	for _, size := range []text.Size{text.InRunes, text.InBytes} {
		p := provider(t, &vendor{}, func(_ *notify.Settings, o *gitcomment.Options) { o.Size = size })
		for _, unit := range []string{"n", "é", "部", "🚀", "&amp;", "*", "$", "#1", "[[", "\n/close"} {
			e := event(t, "42")
			e.Message = strings.Repeat(unit, 6000)
			e.Metadata[fluxevent.Group+"/long"] = strings.Repeat(unit, 6000)
			e.Metadata[fluxevent.Group+"/summary"] = "kept"
			_, c := rendered(t, p, e)
			assert.LessOrEqual(t, size(c.Body), 5000, unit)
			assert.Greater(t, size(c.Body), 4800, unit)
			assert.Equal(t, 2, strings.Count(c.Body, "… (truncated)"), unit)
			assert.Contains(t, c.Body, "`summary`: kept\n")
			assert.NotRegexp(t, `&[a-z#0-9]*…|\\…`, c.Body, "cut within an escape")
		}
	}
}

func TestMissingCredentials(t *testing.T) {
	t.Parallel()
	v := &vendor{}
	p := provider(t, v, func(_ *notify.Settings, o *gitcomment.Options) { o.Missing = "token: must be set" })
	payload, _ := told(t, p, "told", 1)
	var e *notify.Error
	require.ErrorAs(t, p.Deliver(t.Context(), payload), &e)
	assert.Equal(t, notify.Permanent, e.Class)
	assert.Equal(t, "configuration", e.Type)
	assert.Equal(t, "token: must be set", e.Error())
	assert.Zero(t, v.asked)
}

func TestWithoutAnIdentity(t *testing.T) {
	t.Parallel()
	v := &vendor{self: "flux"}
	p := provider(t, v, func(s *notify.Settings, _ *gitcomment.Options) { s.UID = "" })
	payload, _ := told(t, p, "told", 1)
	var e *notify.Error
	require.ErrorAs(t, p.Deliver(t.Context(), payload), &e)
	assert.Equal(t, notify.Permanent, e.Class)
	assert.Equal(t, "uid: must not be empty for the type sample, or be left out", e.Error())
	assert.Zero(t, v.creates)
}

func TestNotAComment(t *testing.T) {
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
	missing := provider(t, &vendor{}, func(_ *notify.Settings, o *gitcomment.Options) { o.Missing = "token: must be set" })
	require.ErrorAs(t, missing.Check(t.Context()), &e)
	assert.Equal(t, "configuration", e.Type)
}
