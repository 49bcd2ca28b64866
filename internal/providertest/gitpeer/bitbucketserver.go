package gitpeer

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
)

type serverBuild struct {
	Key         string `json:"key"`
	State       string `json:"state"`
	URL         string `json:"url"`
	Name        string `json:"name"`
	Description string `json:"description"`
}

// BitbucketServer is
// https://developer.atlassian.com/server/bitbucket/rest/v807/api-group-builds-and-deployments/.
func BitbucketServer(tb testing.TB, s *Store) http.HandlerFunc {
	tb.Helper()
	const builds = "/rest/api/latest/projects/project/repos/repository/commits/{sha}/builds"
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+builds, func(w http.ResponseWriter, r *http.Request) {
		status, found := s.Newest(r.PathValue("sha"), r.URL.Query().Get("key"), "")
		if !found {
			Answer(tb, w, http.StatusNotFound, map[string]any{"errors": []map[string]string{{"message": "No build status exists for the given key"}}})
			return
		}
		Answer(tb, w, http.StatusOK, serverBuild{status.Key, status.State, status.Link, status.Name, status.Description})
	})
	mux.HandleFunc("POST "+builds, func(w http.ResponseWriter, r *http.Request) {
		var build serverBuild
		if !Decode(tb, r, &build) {
			return
		}
		assert.Equal(tb, "no-check", r.Header.Get("X-Atlassian-Token"))
		assert.Contains(tb, []string{"SUCCESSFUL", "FAILED", "INPROGRESS", "CANCELLED", "UNKNOWN"}, build.State)
		assert.Equal(tb, "http://"+r.Host+"/scm/project/repository.git", build.URL)
		s.Write(r.PathValue("sha"), Status{Key: build.Key, State: build.State, Description: build.Description, Name: build.Name, Link: build.URL})
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { Refuse(tb, w, r) })
	return func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		assert.Equal(tb, "flux:sample-password", user+":"+password)
		mux.ServeHTTP(w, r)
	}
}
