package gitpeer

import (
	"net/http"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
)

type gitLabStatus struct {
	ID          int64  `json:"id,omitempty"`
	SHA         string `json:"sha"`
	Name        string `json:"name"`
	Status      string `json:"status"`
	Description string `json:"description"`
}

// GitLab is https://docs.gitlab.com/api/commits/#commit-status. It lists the
// oldest first, as versions before 17.8 cannot be talked out of.
func GitLab(tb testing.TB, s *Store) http.HandlerFunc {
	tb.Helper()
	const project = "/api/v4/projects/{project}"
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+project+"/repository/commits/{sha}/statuses", func(w http.ResponseWriter, r *http.Request) {
		name := r.URL.Query().Get("name")
		assert.NotEmpty(tb, name, "every status of the commit is listed")
		all := []gitLabStatus{}
		for _, status := range slices.Backward(s.List(r.PathValue("sha"))) {
			if status.Key == name {
				all = append(all, gitLabStatus{status.ID, r.PathValue("sha"), status.Key, status.State, status.Description})
			}
		}
		page, number, more := Page(tb, r, all, "per_page")
		if more {
			w.Header().Set("X-Next-Page", strconv.Itoa(number+1))
		}
		Answer(tb, w, http.StatusOK, page)
	})
	mux.HandleFunc("POST "+project+"/statuses/{sha}", func(w http.ResponseWriter, r *http.Request) {
		var status struct{ State, Name, Description string }
		if !Decode(tb, r, &status) {
			return
		}
		assert.Contains(tb, []string{"pending", "running", "success", "failed", "canceled"}, status.State)
		written := s.Write(r.PathValue("sha"), Status{Key: status.Name, State: status.State, Description: status.Description})
		Answer(tb, w, http.StatusCreated, gitLabStatus{written.ID, r.PathValue("sha"), status.Name, status.State, status.Description})
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { Refuse(tb, w, r) })
	return func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(tb, "sample-token", r.Header.Get("Private-Token"))
		assert.Contains(tb, r.URL.EscapedPath(), "/projects/group%2Fsub%2Fproject/")
		mux.ServeHTTP(w, r)
	}
}
