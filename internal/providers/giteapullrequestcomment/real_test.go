package giteapullrequestcomment_test

import (
	"encoding/base64"
	"html"
	"regexp"
	"strconv"
	"strings"
	"testing"

	api "code.gitea.io/sdk/gitea"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/giteapullrequestcomment"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
	"github.com/fluxnotify/otelcol-flux/internal/providertest/gitpeer"
)

// hostile is markup that a Git host would obey.
const hostile = "see #1, !1, @flux and flux/fleet#1 GH-1 [[wiki]] [a](https://evil.example) <b>b</b> &amp; $x$ :tada: **b** `c` ~~s~~\n" +
	"# heading\n- item\n> quote\n/close\n| a | b |\n|---|---|"

// TestRealGitea comments on a pull request of a server, with a token that may do
// nothing else, and looks at what people see.
func TestRealGitea(t *testing.T) {
	t.Parallel()
	server := gitpeer.StartGitea(t)
	_, _, err := server.SDK.CreateFile("flux", "fleet", "app.yaml", api.CreateFileOptions{
		FileOptions: api.FileOptions{Message: "app", BranchName: "main", NewBranchName: "app"}, Content: base64.StdEncoding.EncodeToString([]byte("kind: App\n")),
	})
	require.NoError(t, err)
	pull, _, err := server.SDK.CreatePullRequest("flux", "fleet", api.CreatePullRequestOption{Head: "app", Base: "main", Title: "app"})
	require.NoError(t, err)
	request := strconv.FormatInt(pull.Index, 10)

	settings := providertest.Complete(t, notify.Settings{Address: "http://gitea.example.com/flux/fleet.git", Token: server.Token(t, "write:issue,read:user")})
	settings.HTTP = server.Client
	tell := func(message string) string {
		t.Helper()
		p, err := giteapullrequestcomment.New(settings) // knows nothing, and looks
		require.NoError(t, err)
		payload, c := rendered(t, p, request, message)
		require.NoError(t, p.Deliver(t.Context(), payload))
		return c.Body
	}
	list := func() []*api.Comment {
		t.Helper()
		comments, _, err := server.SDK.ListIssueComments("flux", "fleet", pull.Index, api.ListIssueCommentOptions{})
		require.NoError(t, err)
		return comments
	}
	for range 5 { // more than a page
		_, _, err = server.SDK.CreateIssueComment("flux", "fleet", pull.Index, api.CreateIssueCommentOption{Body: "talk"})
		require.NoError(t, err)
	}
	tell("failed")
	written := list()
	require.Len(t, written, 6)
	body := tell(hostile)
	edited := list()
	require.Len(t, edited, 6)
	assert.Equal(t, written[5].ID, edited[5].ID)
	assert.Equal(t, body, edited[5].Body, "kept as it was sent")
	tell(hostile)
	assert.Equal(t, edited[5].Updated, list()[5].Updated, "not written again")

	render := func(text string) string {
		t.Helper()
		shown, _, err := server.SDK.RenderMarkdown(api.MarkdownOption{Text: text, Mode: "comment", Context: "flux/fleet"})
		require.NoError(t, err)
		return shown
	}
	shown := render(body)
	for _, obeyed := range []string{`>@flux</a>`, `class="ref-issue`, `>wiki</a>`, `aria-label="party`, `<strong>`, `<del>`, `<blockquote`, `<table`, `>a</a>`, `language-math`} {
		assert.NotContains(t, shown, obeyed)
		assert.Contains(t, render(hostile), obeyed, "as it would be, were it not escaped")
	}
	seen := html.UnescapeString(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(shown, ""))
	for line := range strings.SplitSeq(hostile, "\n") {
		assert.Contains(t, strings.ReplaceAll(seen, "\u200b", ""), line)
	}

	settings.Token = server.Token(t, "write:issue")
	p, err := giteapullrequestcomment.New(settings)
	require.NoError(t, err)
	payload, _ := rendered(t, p, request, "failed")
	var e *notify.Error
	require.ErrorAs(t, p.Deliver(t.Context(), payload), &e)
	assert.Equal(t, notify.Permanent, e.Class)
	assert.Contains(t, e.Error(), "scope")
}
