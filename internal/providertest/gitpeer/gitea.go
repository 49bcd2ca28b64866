package gitpeer

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"code.gitea.io/sdk/gitea"
	"github.com/stretchr/testify/assert"
)

// Gitea is https://docs.gitea.com/api/#tag/repository/operation/repoListStatusesByRef.
// It knows the order of statuses by the second, of which two fall into one here,
// and lists those of one second the oldest first.
func Gitea(tb testing.TB, s *Store) http.HandlerFunc {
	tb.Helper()
	const repository = "/api/v1/repos/owner/repository"
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+repository+"/commits/{sha}/statuses", func(w http.ResponseWriter, r *http.Request) {
		all := []gitea.Status{}
		for _, status := range s.List(r.PathValue("sha")) {
			second := status.ID / 2
			there := gitea.Status{
				ID: status.ID, State: gitea.StatusState(status.State), Context: status.Key, Description: status.Description,
				Created: time.Unix(second, 0).UTC(),
			}
			if n := len(all); n > 0 && all[n-1].Created.Equal(there.Created) {
				all = append(all[:n-1], there, all[n-1])
				continue
			}
			all = append(all, there)
		}
		page, number, more := Page(tb, r, all, "limit")
		if more {
			next := *r.URL
			query := next.Query()
			query.Set("page", strconv.Itoa(number+1))
			next.RawQuery = query.Encode()
			w.Header().Set("Link", fmt.Sprintf(`<http://%s%s>; rel="next",<http://%s/?page=1>; rel="first"`, r.Host, next.String(), r.Host))
		}
		Answer(tb, w, http.StatusOK, page)
	})
	mux.HandleFunc("POST "+repository+"/statuses/{sha}", func(w http.ResponseWriter, r *http.Request) {
		var status gitea.CreateStatusOption
		if !Decode(tb, r, &status) {
			return
		}
		assert.Contains(tb, []gitea.StatusState{gitea.StatusPending, gitea.StatusSuccess, gitea.StatusFailure}, status.State)
		written := s.Write(r.PathValue("sha"), Status{Key: status.Context, State: string(status.State), Description: status.Description})
		Answer(tb, w, http.StatusCreated, gitea.Status{ID: written.ID, State: status.State, Context: status.Context, Description: status.Description})
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { Refuse(tb, w, r) })
	return func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(tb, "token sample-token", r.Header.Get("Authorization"))
		mux.ServeHTTP(w, r)
	}
}
