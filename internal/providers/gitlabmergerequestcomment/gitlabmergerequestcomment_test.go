package gitlabmergerequestcomment_test

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
	"github.com/fluxnotify/otelcol-flux/internal/providers/gitlabmergerequestcomment"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
	"github.com/fluxnotify/otelcol-flux/internal/providertest/gitpeer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func provider(t *testing.T, s notify.Settings) notify.Provider {
	t.Helper()
	p, err := gitlabmergerequestcomment.New(providertest.Complete(t, s))
	require.NoError(t, err)
	return p
}

// rendered is a failed reconciliation on merge request 42.
func rendered(t *testing.T, p notify.Provider, message string) (notify.Payload, gitcomment.Comment) {
	t.Helper()
	e := providertest.Event(t, "kustomization-failed")
	e.Metadata[notify.ChangeRequestKey], e.Message = "42", message
	payloads, err := p.Render(providertest.Notification(t, e))
	require.NoError(t, err)
	require.Len(t, payloads, 1)
	var c gitcomment.Comment
	require.NoError(t, json.Unmarshal(payloads[0].Body, &c))
	return payloads[0], c
}

func TestRequests(t *testing.T) {
	t.Parallel()
	comments := gitpeer.NewComments(t)
	var calls []string
	peer := gitpeer.GitLabComments(t, comments)
	server := providertest.Server(t, func(w http.ResponseWriter, r *http.Request) {
		calls = append(calls, r.Method+" "+r.URL.RequestURI())
		peer(w, r)
	})
	for i := range gitpeer.MaxPage {
		comments.Add("42", gitpeer.Stranger, fmt.Sprint("talk ", i))
	}
	p := provider(t, notify.Settings{Address: server.URL + "/group/sub/project", Username: "flux", Password: "sample-token"})
	payload, c := rendered(t, p, "failed\n/approve\n/merge")
	require.NoError(t, p.Deliver(t.Context(), payload))
	require.NoError(t, p.Deliver(t.Context(), payload), "GitLab keeps no line break at the end")
	assert.Equal(t, gitpeer.MaxPage+1, comments.Writes())
	assert.True(t, strings.HasPrefix(c.Body, "<!-- flux-mr-comment-key:prod-eu-1/Kustomization/flux-system/apps -->\n\n## Flux Status\n\n"))
	payload, c = rendered(t, p, "better")
	require.NoError(t, p.Deliver(t.Context(), payload))
	own := comments.Own("42")
	require.Len(t, own, 1)
	assert.Equal(t, c.Body, own[0].Body)

	const notes = "/api/v4/projects/group%2Fsub%2Fproject/merge_requests/42/notes"
	first, second := "GET "+notes+"?order_by=created_at&per_page=100&sort=asc", "GET "+notes+"?order_by=created_at&page=2&per_page=100&sort=asc"
	assert.Equal(t, []string{
		"GET /api/v4/user", first, "POST " + notes, first, second, first, second, fmt.Sprint("PUT "+notes+"/", own[0].ID),
	}, calls)
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for path, answer := range map[string]string{
		"/user":  `{"message":"401 Unauthorized"}`,
		"/notes": `{"error":"insufficient_scope","error_description":"not by sample-token"}`,
	} {
		server := providertest.Server(t, func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, path) {
				w.WriteHeader(http.StatusForbidden)
				_, _ = io.WriteString(w, answer)
				return
			}
			gitcomment.Empty(w, r)
		})
		p := provider(t, notify.Settings{Address: server.URL + "/group/project", Token: "sample-token"})
		payload, _ := rendered(t, p, "failed")
		var e *notify.Error
		require.ErrorAs(t, p.Deliver(t.Context(), payload), &e)
		assert.Equal(t, notify.Permanent, e.Class)
		assert.Contains(t, e.Error(), "403")
		assert.NotContains(t, e.Error(), "sample-token")
	}
}

func TestWithoutCredentials(t *testing.T) {
	t.Parallel()
	server := providertest.Server(t, func(http.ResponseWriter, *http.Request) { t.Error("a request without credentials") })
	p := provider(t, notify.Settings{Address: server.URL + "/group/project"})
	payload, _ := rendered(t, p, "failed")
	require.ErrorContains(t, p.Deliver(t.Context(), payload), "token: must be set")
}

func TestLimit(t *testing.T) {
	t.Parallel()
	p := provider(t, notify.Settings{Address: "https://gitlab.com/group/project", Token: "sample-token"})
	_, c := rendered(t, p, strings.Repeat("é", 1_100_000))
	assert.Len(t, []rune(c.Body), 1_000_000)
}
