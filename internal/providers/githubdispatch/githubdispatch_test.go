package githubdispatch_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	api "github.com/google/go-github/v88/github"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/githubdispatch"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func provider(t *testing.T, s notify.Settings) notify.Provider {
	t.Helper()
	p, err := githubdispatch.New(providertest.Complete(t, s))
	require.NoError(t, err)
	return p
}

// render reads what is sent as GitHub's own Go types do, and nothing besides.
func render(t *testing.T, n *notify.Notification) (api.DispatchRequestOptions, fluxevent.Event) {
	t.Helper()
	payloads, err := provider(t, notify.Settings{Address: "https://github.com/owner/repository"}).Render(n)
	require.NoError(t, err)
	require.Len(t, payloads, 1)
	var dispatch api.DispatchRequestOptions
	d := json.NewDecoder(bytes.NewReader(payloads[0].Body))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&dispatch))
	require.NotNil(t, dispatch.ClientPayload)
	assert.LessOrEqual(t, len(*dispatch.ClientPayload), 65535)
	assert.LessOrEqual(t, utf8.RuneCountInString(dispatch.EventType), 100)
	var properties map[string]any
	require.NoError(t, json.Unmarshal(*dispatch.ClientPayload, &properties))
	assert.LessOrEqual(t, len(properties), 10)
	var e fluxevent.Event
	d = json.NewDecoder(bytes.NewReader(*dispatch.ClientPayload))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&e))
	return dispatch, e
}

// roundTrip is what would have been sent.
type roundTrip struct{ url string }

func (r *roundTrip) RoundTrip(req *http.Request) (*http.Response, error) {
	r.url = req.URL.String()
	return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody, Header: http.Header{}}, nil
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	const public = "https://api.github.com/repos/org/repo/dispatches"
	for address, want := range map[string]string{
		"https://github.com/org/repo":                 public,
		"https://github.com/org/repo/":                public,
		"https://github.com/org/repo.git":             public,
		"https://GitHub.com/org/repo":                 public,
		"http://github.com/org/repo":                  public,
		"https://github.com:443/org/repo":             public,
		"ssh://git@github.com/org/repo.git":           public,
		"ssh://git@github.com:22/org/repo":            public,
		"git@github.com:org/repo.git":                 public,
		"https://github.com/my-org_1/.github":         "https://api.github.com/repos/my-org_1/.github/dispatches",
		"https://ghe.example.com/org/repo":            "https://ghe.example.com/api/v3/repos/org/repo/dispatches",
		"http://ghe.example.com:8080/org/repo.git":    "http://ghe.example.com:8080/api/v3/repos/org/repo/dispatches",
		"ssh://git@ghe.example.com:2222/org/repo.git": "https://ghe.example.com/api/v3/repos/org/repo/dispatches",
		"ssh://git@[2001:db8::1]:2222/org/repo.git":   "https://[2001:db8::1]/api/v3/repos/org/repo/dispatches",
		"git@ghe.example.com:/org/repo.git":           "https://ghe.example.com/api/v3/repos/org/repo/dispatches",
		"https://github.com.example.org/org/repo":     "https://github.com.example.org/api/v3/repos/org/repo/dispatches",
		"https://octocorp.ghe.com/org/repo":           "https://api.octocorp.ghe.com/repos/org/repo/dispatches",
	} {
		s := providertest.Complete(t, notify.Settings{Address: address, Token: "sample-token"})
		sent := &roundTrip{}
		s.HTTP.Transport = sent
		p, err := githubdispatch.New(s)
		require.NoError(t, err, address)
		require.NoError(t, p.Deliver(t.Context(), providertest.Payload(t, p)))
		assert.Equal(t, want, sent.url, address)
	}
	for _, address := range []string{
		"https://github.com", "https://github.com/org", "https://github.com/org/", "https://github.com/org/sub/repo",
		"https://github.com/org/..", "https://github.com/%2e%2e/repo", "https://github.com/org/re%2Fpo", "https://github.com/org/.git",
		"https://github.com/org/re po", "ftp://github.com/org/repo", "file:///org/repo", "git@github.com:repo", "github.com/org/repo", "ssh://",
		"https://ghe.example.com/org/repo?tenant=flux", "https://flux:sample@github.com/org/repo",
	} {
		_, err := githubdispatch.New(providertest.Complete(t, notify.Settings{Address: address, Token: "sample-token"}))
		require.Error(t, err, address)
		assert.Regexp(t, "^address: ", err.Error())
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	var header http.Header
	server := providertest.Server(t, func(w http.ResponseWriter, r *http.Request) {
		header = r.Header
		w.WriteHeader(http.StatusNoContent)
	})
	for _, c := range []struct{ token, password, want string }{
		{"sample-token", "", "Bearer sample-token"},
		{"sample-token", "sample-password", "Bearer sample-token"},
		{"", "sample-password", "Bearer sample-password"},
	} {
		p := provider(t, notify.Settings{Address: server.URL + "/org/repo", Token: c.token, Password: c.password})
		require.NoError(t, p.Deliver(t.Context(), providertest.Payload(t, p)))
		assert.Equal(t, c.want, header.Get("Authorization"))
		assert.Equal(t, "application/vnd.github.v3+json", header.Get("Accept"))
		assert.Equal(t, "2022-11-28", header.Get("X-GitHub-Api-Version"))
	}
}

func TestAsApp(t *testing.T) {
	t.Parallel()
	status := http.StatusNoContent
	server := providertest.Server(t, providertest.AppServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		if status != http.StatusNoContent {
			_, _ = w.Write([]byte("not by " + r.Header.Get("Authorization")))
		}
	}))
	p := provider(t, notify.Settings{Address: server.URL + "/org/repo", Secrets: providertest.AppSecrets(t)})
	require.NoError(t, p.Deliver(t.Context(), providertest.Payload(t, p)))
	status = http.StatusForbidden
	err := p.Deliver(t.Context(), providertest.Payload(t, p))
	require.ErrorContains(t, err, "403")
	assert.NotContains(t, err.Error(), providertest.AppToken)

	server.Close()
	p = provider(t, notify.Settings{Address: server.URL + "/org/repo", Secrets: providertest.AppSecrets(t)})
	var e *notify.Error
	require.ErrorAs(t, p.Deliver(t.Context(), providertest.Payload(t, p)), &e, "no token to be had")
	assert.Equal(t, notify.Retryable, e.Class)
}

func TestWithoutCredentials(t *testing.T) {
	t.Parallel()
	server := providertest.Server(t, func(http.ResponseWriter, *http.Request) { t.Error("a request without credentials") })
	core, logs := observer.New(zap.WarnLevel)
	s := providertest.Complete(t, notify.Settings{Address: server.URL + "/org/repo"})
	s.Logger = zap.New(core)
	p, err := githubdispatch.New(s)
	require.NoError(t, err)
	require.Equal(t, 1, logs.Len())
	assert.Regexp(t, "^token: must be set.*until then its notifications fail$", logs.All()[0].Message)
	for _, err := range []error{p.Deliver(t.Context(), providertest.Payload(t, p)), p.(notify.Checker).Check(t.Context())} {
		var e *notify.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, notify.Permanent, e.Class)
		assert.Equal(t, "configuration", e.Type)
		assert.Contains(t, e.Error(), "token: must be set")
	}
}

// What GitHub answers to an App about a repository says no word of its rights, or
// a wrong one: those are the installation's.
func TestCheckAsApp(t *testing.T) {
	t.Parallel()
	for permissions, want := range map[string]string{
		`{"contents":"write","metadata":"read"}`: "",
		`{"contents":"read","metadata":"read"}`:  "may not write to the repository: give the App contents: write",
		`{}`:                                     "may not write",
	} {
		server := providertest.Server(t, providertest.AppServerFor(t, permissions, func(w http.ResponseWriter, r *http.Request) {
			assert.Equal(t, "GET /api/v3/repos/org/repo", r.Method+" "+r.URL.Path)
			_, _ = w.Write([]byte(`{"permissions":{"admin":false,"push":false,"pull":false}}`))
		}))
		err := provider(t, notify.Settings{Address: server.URL + "/org/repo", Secrets: providertest.AppSecrets(t)}).(notify.Checker).Check(t.Context())
		if want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, want)
	}
	server := providertest.Server(t, providertest.AppServer(t, http.NotFound))
	err := provider(t, notify.Settings{Address: server.URL + "/org/repo", Secrets: providertest.AppSecrets(t)}).(notify.Checker).Check(t.Context())
	require.ErrorContains(t, err, "404 Not Found", "a repository that the installation does not have")
}

// A token of an App that was installed anew is fetched again by the next try.
func TestRefusedToken(t *testing.T) {
	t.Parallel()
	status := http.StatusUnauthorized
	server := providertest.Server(t, providertest.AppServer(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	p := provider(t, notify.Settings{Address: server.URL + "/org/repo", Secrets: providertest.AppSecrets(t)})
	var e *notify.Error
	require.ErrorAs(t, p.Deliver(t.Context(), providertest.Payload(t, p)), &e)
	assert.Equal(t, notify.Retryable, e.Class)
	require.ErrorAs(t, p.Deliver(t.Context(), providertest.Payload(t, p)), &e)
	assert.Equal(t, notify.Permanent, e.Class)
	status = http.StatusNoContent
	require.NoError(t, p.Deliver(t.Context(), providertest.Payload(t, p)))
}

func TestPayloadIsTheEvent(t *testing.T) {
	t.Parallel()
	n := providertest.Notification(t, providertest.Event(t, "kustomization-v1"))
	dispatch, e := render(t, n)
	assert.Equal(t, n.Event.InvolvedObject.Kind+"/"+n.Event.InvolvedObject.Name+"."+n.Event.InvolvedObject.Namespace, dispatch.EventType)
	e.Observed = n.Event.Observed
	assert.Equal(t, n.Event, e)

	_, e = render(t, providertest.Notification(t, providertest.Event(t, "kustomization-no-timestamp")))
	assert.True(t, e.Timestamp.IsZero(), "the event is forwarded as it came")
}

func TestLimits(t *testing.T) {
	t.Parallel()
	e := providertest.Event(t, "kustomization-failed")
	e.InvolvedObject.Name = strings.Repeat("n", 253)
	for _, unit := range []string{"x", "é", "🚀", "<", "\"", "\x00"} {
		e.Message = strings.Repeat(unit, 70_000)
		dispatch, sent := render(t, providertest.NotificationWith(t, e, map[string]string{"summary": "Production apps"}))
		assert.Equal(t, 100, utf8.RuneCountInString(dispatch.EventType))
		assert.Equal(t, e.InvolvedObject, sent.InvolvedObject)
		assert.True(t, strings.HasSuffix(sent.Message, "… (truncated)"), unit)
		assert.Equal(t, "Production apps", sent.Metadata["summary"])
		assert.Greater(t, len(*dispatch.ClientPayload), 65_500, "no more is cut than has to be")
	}
	operator := map[string]string{"summary": strings.Repeat("s", 5000)}
	for i := range 30 {
		operator[fmt.Sprintf("key-%02d", i)] = strings.Repeat("é&", 3000)
	}
	n := providertest.NotificationWith(t, e, operator)
	_, sent := render(t, n)
	assert.Len(t, sent.Metadata, 32, "with the revision")
	assert.Equal(t, operator["summary"], sent.Metadata["summary"])
	assert.Equal(t, strings.Repeat("é&", 3000), n.Event.Metadata["key-00"], "the notification is left as it was")
}

func TestRateLimits(t *testing.T) {
	t.Parallel()
	server := providertest.Server(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-RateLimit-Remaining", "0")
		w.Header().Set("X-RateLimit-Reset", "30")
		w.WriteHeader(http.StatusForbidden)
	})
	p := provider(t, notify.Settings{Address: server.URL + "/org/repo", Token: "sample-token"})
	var e *notify.Error
	require.ErrorAs(t, p.Deliver(t.Context(), providertest.Payload(t, p)), &e)
	assert.Equal(t, notify.Throttled, e.Class)
	assert.NotZero(t, e.Delay)
}
