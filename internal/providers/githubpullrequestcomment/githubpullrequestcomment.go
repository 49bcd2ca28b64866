// Package githubpullrequestcomment comments on pull requests on GitHub, on
// github.com and on Enterprise
// (https://docs.github.com/en/rest/issues/comments).
package githubpullrequestcomment

import (
	"context"
	"iter"

	api "github.com/google/go-github/v88/github"

	"github.com/fluxnotify/otelcol-flux/internal/gitclient"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/gitcomment"
	"github.com/fluxnotify/otelcol-flux/internal/text"
)

const (
	// maxComment is the limit of a comment, in characters of up to four bytes.
	// GitHub does not document it, and names it in the 422 for a longer one
	// (https://github.com/orgs/community/discussions/41331).
	maxComment = 65_536
	// perPage is the most that one answer lists
	// (https://docs.github.com/en/rest/issues/comments#list-issue-comments).
	perPage = 100
)

type vendor struct{ *gitclient.GitHub }

// New makes a provider of a repository's address and a token, or of a GitHub App.
func New(s notify.Settings) (notify.Provider, error) {
	client, err := gitclient.NewGitHub(s)
	if err != nil {
		return nil, err
	}
	return gitcomment.New(s, gitcomment.Options{
		Vendor: vendor{client}, Repository: client.Repository.Web, Missing: client.Speaker.Missing,
		Word: "flux-pr-comment-key", Size: text.InRunes, Max: maxComment,
	})
}

// Self implements gitcomment.Vendor. An App comments as a user of its own, whose
// name is made of the App's.
func (v vendor) Self(ctx context.Context) (string, error) {
	if app := v.Speaker.App; app != nil {
		slug, err := app.Slug(ctx)
		if err != nil || slug == "" {
			return "", err
		}
		return slug + "[bot]", nil
	}
	user, _, err := v.Users.Get(ctx, "")
	return user.GetLogin(), v.Transport.Failure(ctx, err)
}

// Comments implements gitcomment.Vendor. To GitHub a pull request is an issue, and
// lists its comments by their number.
func (v vendor) Comments(ctx context.Context, request int) iter.Seq2[gitcomment.There, error] {
	return func(yield func(gitcomment.There, error) bool) {
		options := &api.IssueListCommentsOptions{ListOptions: api.ListOptions{PerPage: perPage}}
		for {
			comments, response, err := v.Issues.ListComments(ctx, v.Repository.Owner, v.Repository.Name, request, options)
			if err != nil {
				yield(gitcomment.There{}, v.Transport.Failure(ctx, err))
				return
			}
			for _, c := range comments {
				if !yield(gitcomment.There{ID: c.GetID(), Author: c.GetUser().GetLogin(), Body: c.GetBody()}, nil) {
					return
				}
			}
			if response.NextPage <= options.Page {
				return
			}
			options.Page = response.NextPage
		}
	}
}

// Create implements gitcomment.Vendor.
func (v vendor) Create(ctx context.Context, request int, body string) error {
	_, _, err := v.Issues.CreateComment(ctx, v.Repository.Owner, v.Repository.Name, request, &api.IssueComment{Body: &body})
	return v.Transport.Failure(ctx, err)
}

// Edit implements gitcomment.Vendor.
func (v vendor) Edit(ctx context.Context, _ int, id int64, body string) error {
	_, _, err := v.Issues.EditComment(ctx, v.Repository.Owner, v.Repository.Name, id, &api.IssueComment{Body: &body})
	return v.Transport.Failure(ctx, err)
}

var _ gitcomment.Vendor = vendor{}
