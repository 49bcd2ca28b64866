// Package gitlabmergerequestcomment comments on merge requests on GitLab, on
// gitlab.com and on servers of one's own
// (https://docs.gitlab.com/api/notes/#merge-requests).
package gitlabmergerequestcomment

import (
	"context"
	"iter"

	api "gitlab.com/gitlab-org/api/client-go"

	"github.com/fluxnotify/otelcol-flux/internal/gitclient"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/gitcomment"
	"github.com/fluxnotify/otelcol-flux/internal/text"
)

const (
	// maxNote is the limit of a note, in characters
	// (https://docs.gitlab.com/api/notes/#create-new-merge-request-note).
	maxNote = 1_000_000
	// perPage is the most that one answer lists
	// (https://docs.gitlab.com/api/rest/#offset-based-pagination).
	perPage = 100
)

type vendor struct{ *gitclient.GitLab }

// New makes a provider of a project's address and a token.
func New(s notify.Settings) (notify.Provider, error) {
	client, err := gitclient.NewGitLab(s)
	if err != nil {
		return nil, err
	}
	return gitcomment.New(s, gitcomment.Options{
		Vendor: vendor{client}, Repository: client.Repository.Web, Missing: client.Missing,
		Word: "flux-mr-comment-key", Size: text.InRunes, Max: maxNote,
	})
}

// Self implements gitcomment.Vendor.
func (v vendor) Self(ctx context.Context) (string, error) {
	user, _, err := v.Users.CurrentUser(api.WithContext(ctx))
	if err != nil {
		return "", v.Transport.Failure(ctx, err)
	}
	return user.Username, nil
}

// Comments implements gitcomment.Vendor.
func (v vendor) Comments(ctx context.Context, request int) iter.Seq2[gitcomment.There, error] {
	return func(yield func(gitcomment.There, error) bool) {
		options := &api.ListMergeRequestNotesOptions{
			ListOptions: api.ListOptions{PerPage: perPage}, OrderBy: api.Ptr("created_at"), Sort: api.Ptr("asc"),
		}
		for {
			notes, response, err := v.Notes.ListMergeRequestNotes(v.Repository.Name, int64(request), options, api.WithContext(ctx))
			if err != nil {
				yield(gitcomment.There{}, v.Transport.Failure(ctx, err))
				return
			}
			for _, n := range notes {
				if n != nil && !yield(gitcomment.There{ID: n.ID, Author: n.Author.Username, Body: n.Body}, nil) {
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
	_, _, err := v.Notes.CreateMergeRequestNote(v.Repository.Name, int64(request), &api.CreateMergeRequestNoteOptions{Body: &body}, api.WithContext(ctx))
	return v.Transport.Failure(ctx, err)
}

// Edit implements gitcomment.Vendor.
func (v vendor) Edit(ctx context.Context, request int, id int64, body string) error {
	_, _, err := v.Notes.UpdateMergeRequestNote(v.Repository.Name, int64(request), id, &api.UpdateMergeRequestNoteOptions{Body: &body}, api.WithContext(ctx))
	return v.Transport.Failure(ctx, err)
}

var _ gitcomment.Vendor = vendor{}
