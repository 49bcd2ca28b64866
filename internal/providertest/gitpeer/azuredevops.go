package gitpeer

import (
	"net/http"
	"slices"
	"strconv"
	"testing"

	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/git"
	"github.com/stretchr/testify/assert"
)

// azurePage is the page of Azure's that has no pages but a number to skip.
type azurePage struct {
	Count int             `json:"count"`
	Value []git.GitStatus `json:"value"`
}

// AzureDevOps is https://learn.microsoft.com/rest/api/azure/devops/git/statuses. It
// lists the oldest first.
func AzureDevOps(tb testing.TB, s *Store) http.HandlerFunc {
	tb.Helper()
	const statuses = "/organization/project/_apis/git/repositories/repository/commits/{sha}/statuses"
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+statuses, func(w http.ResponseWriter, r *http.Request) {
		all := []git.GitStatus{}
		latestOnly := r.URL.Query().Get("latestOnly") == "true"
		seen := map[[2]string]bool{}
		for _, status := range s.List(r.PathValue("sha")) {
			context := [2]string{status.Genre, status.Key}
			if latestOnly && seen[context] {
				continue
			}
			seen[context] = true
			id, state := int(status.ID), git.GitStatusState(status.State)
			all = append(all, git.GitStatus{
				Id: &id, State: &state, Description: &status.Description,
				Context: &git.GitStatusContext{Genre: &status.Genre, Name: &status.Key},
			})
		}
		slices.Reverse(all)
		skip, err := strconv.Atoi(r.URL.Query().Get("skip"))
		assert.NoError(tb, err)
		top, err := strconv.Atoi(r.URL.Query().Get("top"))
		assert.NoError(tb, err)
		assert.LessOrEqual(tb, top, 1000)
		page := all[min(skip, len(all)):min(skip+top, len(all))]
		Answer(tb, w, http.StatusOK, azurePage{len(page), page})
	})
	mux.HandleFunc("POST "+statuses, func(w http.ResponseWriter, r *http.Request) {
		var status git.GitStatus
		if !Decode(tb, r, &status) {
			return
		}
		assert.Contains(tb, []git.GitStatusState{"notSet", "pending", "succeeded", "failed", "error", "notApplicable"}, *status.State)
		written := s.Write(r.PathValue("sha"), Status{
			Key: *status.Context.Name, Genre: *status.Context.Genre, State: string(*status.State), Description: *status.Description,
		})
		id := int(written.ID)
		status.Id = &id
		Answer(tb, w, http.StatusCreated, status)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { Refuse(tb, w, r) })
	return func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		assert.Equal(tb, ":sample-token", user+":"+password)
		assert.Equal(tb, "application/json;api-version=6.0", r.Header.Get("Accept"))
		mux.ServeHTTP(w, r)
	}
}
