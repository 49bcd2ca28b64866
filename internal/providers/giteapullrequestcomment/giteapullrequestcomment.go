// Package giteapullrequestcomment comments on pull requests on Gitea and Forgejo
// (https://docs.gitea.com/api/#tag/issue/operation/issueCreateComment).
package giteapullrequestcomment

import (
	"context"
	"iter"
	"strconv"

	api "code.gitea.io/sdk/gitea"

	"github.com/fluxnotify/otelcol-flux/internal/gitclient"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/gitcomment"
	"github.com/fluxnotify/otelcol-flux/internal/text"
)

const (
	// maxComment is what every database keeps of a comment, in bytes. Gitea itself
	// has no limit; before its version 1.16 the column had the type TEXT, for which
	// MySQL has these (https://github.com/go-gitea/gitea/pull/16765).
	maxComment = 65_535
	// perPage is the most that one answer lists where a server lists comments in
	// pages (https://docs.gitea.com/administration/config-cheat-sheet#api-api).
	perPage = 50
)

type vendor struct{ *gitclient.Gitea }

// New makes a provider of a repository's address and a token.
func New(s notify.Settings) (notify.Provider, error) {
	client, err := gitclient.NewGitea(s)
	if err != nil {
		return nil, err
	}
	return gitcomment.New(s, gitcomment.Options{
		Vendor: vendor{client}, Repository: client.Repository.Web, Missing: client.Missing,
		Word: "flux-pr-comment-key", Size: text.InBytes, Max: maxComment,
	})
}

// name is that of a user; an account that was deleted has none.
func name(user *api.User) string {
	if user == nil {
		return ""
	}
	return user.UserName
}

// Self implements gitcomment.Vendor.
func (v vendor) Self(ctx context.Context) (string, error) {
	client, err := v.For(ctx)
	if err != nil {
		return "", err
	}
	user, _, err := client.GetMyUserInfo()
	if err != nil {
		return "", v.Transport.Failure(ctx, err)
	}
	return name(user), nil
}

// Comments implements gitcomment.Vendor. To Gitea a pull request is an issue.
// Most servers list all its comments at once, whatever page is asked for, and say
// how many there are.
func (v vendor) Comments(ctx context.Context, request int) iter.Seq2[gitcomment.There, error] {
	return func(yield func(gitcomment.There, error) bool) {
		client, err := v.For(ctx)
		if err != nil {
			yield(gitcomment.There{}, err)
			return
		}
		seen := 0
		for page := 1; ; page++ {
			comments, response, err := client.ListIssueComments(v.Repository.Owner, v.Repository.Name, int64(request),
				api.ListIssueCommentOptions{ListOptions: api.ListOptions{Page: page, PageSize: perPage}})
			if err != nil {
				yield(gitcomment.There{}, v.Transport.Failure(ctx, err))
				return
			}
			for _, c := range comments {
				if c != nil && !yield(gitcomment.There{ID: c.ID, Author: name(c.Poster), Body: c.Body}, nil) {
					return
				}
			}
			seen += len(comments)
			total, _ := strconv.Atoi(response.Header.Get("X-Total-Count"))
			if len(comments) == 0 || (response.NextPage <= page && seen >= total) {
				return
			}
		}
	}
}

// Create implements gitcomment.Vendor.
func (v vendor) Create(ctx context.Context, request int, body string) error {
	client, err := v.For(ctx)
	if err != nil {
		return err
	}
	_, _, err = client.CreateIssueComment(v.Repository.Owner, v.Repository.Name, int64(request), api.CreateIssueCommentOption{Body: body})
	return v.Transport.Failure(ctx, err)
}

// Edit implements gitcomment.Vendor.
func (v vendor) Edit(ctx context.Context, _ int, id int64, body string) error {
	client, err := v.For(ctx)
	if err != nil {
		return err
	}
	_, _, err = client.EditIssueComment(v.Repository.Owner, v.Repository.Name, id, api.EditIssueCommentOption{Body: body})
	return v.Transport.Failure(ctx, err)
}

// Check implements gitcomment.Vendor. It reads an issue at most: a token for issues
// may not read the repository itself
// (https://docs.gitea.com/api/#tag/issue/operation/issueListIssues).
func (v vendor) Check(ctx context.Context) error {
	client, err := v.For(ctx)
	if err != nil {
		return err
	}
	_, _, err = client.ListRepoIssues(v.Repository.Owner, v.Repository.Name, api.ListIssueOption{ListOptions: api.ListOptions{Page: 1, PageSize: 1}})
	return v.Transport.Failure(ctx, err)
}

var _ gitcomment.Vendor = vendor{}
