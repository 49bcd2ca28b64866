package gitpeer

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
)

type gitHubStatus struct {
	ID          int64  `json:"id,omitempty"`
	State       string `json:"state"`
	Context     string `json:"context"`
	Description string `json:"description"`
}

// GitHub is https://docs.github.com/en/rest/commits/statuses, as an Enterprise
// server has it.
func GitHub(tb testing.TB, s *Store) http.HandlerFunc {
	tb.Helper()
	const repository = "/api/v3/repos/owner/repository"
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+repository+"/commits/{sha}/statuses", func(w http.ResponseWriter, r *http.Request) {
		var all []gitHubStatus
		for _, status := range s.List(r.PathValue("sha")) {
			all = append(all, gitHubStatus{status.ID, status.State, status.Key, status.Description})
		}
		page, number, more := Page(tb, r, all, "per_page")
		if more {
			next := *r.URL
			query := next.Query()
			query.Set("page", strconv.Itoa(number+1))
			next.RawQuery = query.Encode()
			w.Header().Set("Link", fmt.Sprintf(`<http://%s%s>; rel="next"`, r.Host, next.String()))
		}
		Answer(tb, w, http.StatusOK, append([]gitHubStatus{}, page...))
	})
	mux.HandleFunc("POST "+repository+"/statuses/{sha}", func(w http.ResponseWriter, r *http.Request) {
		var status gitHubStatus
		if !Decode(tb, r, &status) {
			return
		}
		assert.Contains(tb, []string{"success", "failure", "pending", "error"}, status.State)
		s.Write(r.PathValue("sha"), Status{Key: status.Context, State: status.State, Description: status.Description})
		Answer(tb, w, http.StatusCreated, status)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { Refuse(tb, w, r) })
	return func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(tb, "Bearer sample-token", r.Header.Get("Authorization"))
		mux.ServeHTTP(w, r)
	}
}
