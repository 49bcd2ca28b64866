package gitpeer

import (
	"net/http"
	"testing"

	"github.com/ktrysmt/go-bitbucket"
	"github.com/stretchr/testify/assert"
)

// maxKey is the longest key that Bitbucket Cloud takes.
const maxKey = 40

// Bitbucket is https://developer.atlassian.com/cloud/bitbucket/rest/api-group-commit-statuses/.
func Bitbucket(tb testing.TB, s *Store) http.HandlerFunc {
	tb.Helper()
	const builds = "/2.0/repositories/workspace/repository/commit/{sha}/statuses/build"
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+builds+"/{key}", func(w http.ResponseWriter, r *http.Request) {
		status, found := s.Newest(r.PathValue("sha"), r.PathValue("key"), "")
		if !found {
			Answer(tb, w, http.StatusNotFound, map[string]any{"type": "error", "error": map[string]string{"message": "Resource not found"}})
			return
		}
		Answer(tb, w, http.StatusOK, map[string]any{
			"type": "build", "key": status.Key, "state": status.State, "name": status.Name, "description": status.Description, "url": status.Link,
			"links": map[string]any{}, "refname": nil,
		})
	})
	mux.HandleFunc("POST "+builds, func(w http.ResponseWriter, r *http.Request) {
		var status bitbucket.CommitStatusOptions
		if !Decode(tb, r, &status) {
			return
		}
		assert.Len(tb, status.Key, maxKey)
		assert.Contains(tb, []string{"SUCCESSFUL", "FAILED", "INPROGRESS", "STOPPED"}, status.State)
		assert.Equal(tb, "https://bitbucket.org", status.Url)
		s.Write(r.PathValue("sha"), Status{Key: status.Key, State: status.State, Description: status.Description, Name: status.Name, Link: status.Url})
		Answer(tb, w, http.StatusCreated, map[string]any{"type": "build", "key": status.Key, "state": status.State})
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { Refuse(tb, w, r) })
	return func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		assert.Equal(tb, "flux@example.com:sample-token", user+":"+password)
		mux.ServeHTTP(w, r)
	}
}
