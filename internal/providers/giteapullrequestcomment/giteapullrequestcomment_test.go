package giteapullrequestcomment_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/gitcomment"
	"github.com/fluxnotify/otelcol-flux/internal/providers/giteapullrequestcomment"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
	"github.com/fluxnotify/otelcol-flux/internal/providertest/gitpeer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func provider(t *testing.T, s notify.Settings) notify.Provider {
	t.Helper()
	p, err := giteapullrequestcomment.New(providertest.Complete(t, s))
	require.NoError(t, err)
	return p
}

// rendered is a failed reconciliation on a pull request.
func rendered(t *testing.T, p notify.Provider, request, message string) (notify.Payload, gitcomment.Comment) {
	t.Helper()
	e := providertest.Event(t, "kustomization-failed")
	e.Metadata[notify.ChangeRequestKey], e.Message = request, message
	payloads, err := p.Render(providertest.Notification(t, e))
	require.NoError(t, err)
	require.Len(t, payloads, 1)
	var c gitcomment.Comment
	require.NoError(t, json.Unmarshal(payloads[0].Body, &c))
	return payloads[0], c
}

// TestRequests proves that pages are asked for as long as comments are missing,
// and that a server which gives all at once is asked once.
func TestRequests(t *testing.T) {
	t.Parallel()
	const list = "/api/v1/repos/owner/repository/issues/42/comments"
	page := func(n int) string { return fmt.Sprintf("GET %s?limit=50&page=%d", list, n) }
	for name, c := range map[string]struct {
		shape gitpeer.CommentShape
		lists []string
	}{
		"in pages": {gitpeer.GiteaComments, []string{page(1), page(2), page(3)}},
		"at once":  {gitpeer.GiteaWhole, []string{page(1)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			comments := gitpeer.NewComments(t)
			var calls []string
			peer := c.shape(t, comments)
			server := providertest.Server(t, func(w http.ResponseWriter, r *http.Request) {
				calls = append(calls, r.Method+" "+r.URL.RequestURI())
				peer(w, r)
			})
			for i := range 2*gitpeer.MaxPage + 1 {
				comments.Add("42", gitpeer.Stranger, fmt.Sprint("talk ", i))
			}
			p := provider(t, notify.Settings{Address: server.URL + "/owner/repository", Password: "sample-token"})
			payload, _ := rendered(t, p, "42", "failed")
			require.NoError(t, p.Deliver(t.Context(), payload))
			want := append(append([]string{"GET /api/v1/user"}, c.lists...), "POST "+list)
			assert.Equal(t, want, calls, "the server is not asked for its version")

			calls = nil
			payload, said := rendered(t, p, "42", "better")
			require.NoError(t, p.Deliver(t.Context(), payload))
			own := comments.Own("42")
			require.Len(t, own, 1)
			assert.Equal(t, said.Body, own[0].Body)
			assert.Equal(t, append(append([]string{}, c.lists...), fmt.Sprint("PATCH /api/v1/repos/owner/repository/issues/comments/", own[0].ID)), calls)
		})
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/user", "/comments"} {
		server := providertest.Server(t, func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, path) {
				w.WriteHeader(http.StatusForbidden)
				_, _ = io.WriteString(w, `{"message":"token does not have at least one of required scope(s), which is sample-token"}`)
				return
			}
			gitcomment.Empty(w, r)
		})
		p := provider(t, notify.Settings{Address: server.URL + "/owner/repository", Token: "sample-token"})
		payload, _ := rendered(t, p, "42", "failed")
		var e *notify.Error
		require.ErrorAs(t, p.Deliver(t.Context(), payload), &e)
		assert.Equal(t, notify.Permanent, e.Class)
		assert.Contains(t, e.Error(), "required scope(s)")
		assert.NotContains(t, e.Error(), "sample-token")
	}
}

func TestWithoutCredentials(t *testing.T) {
	t.Parallel()
	server := providertest.Server(t, func(http.ResponseWriter, *http.Request) { t.Error("a request without credentials") })
	p := provider(t, notify.Settings{Address: server.URL + "/owner/repository"})
	payload, _ := rendered(t, p, "42", "failed")
	require.ErrorContains(t, p.Deliver(t.Context(), payload), "token: must be set")
}

func TestLimit(t *testing.T) {
	t.Parallel()
	p := provider(t, notify.Settings{Address: "https://gitea.example.com/owner/repository", Token: "sample-token"})
	_, c := rendered(t, p, "42", strings.Repeat("𝄞", 20_000))
	assert.LessOrEqual(t, len(c.Body), 65_535)
	assert.Greater(t, len(c.Body), 65_500)
}
