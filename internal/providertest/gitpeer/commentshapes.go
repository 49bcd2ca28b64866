package gitpeer

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

type account struct {
	ID       int64  `json:"id"`
	Login    string `json:"login,omitempty"`
	Username string `json:"username,omitempty"`
}

type comment struct {
	ID     int64    `json:"id"`
	Body   string   `json:"body"`
	User   *account `json:"user,omitempty"`
	Author *account `json:"author,omitempty"`
	System bool     `json:"system,omitempty"`
}

// body is what a request says.
type body struct {
	Body string `json:"body"`
}

func asLogin(c Comment) comment {
	return comment{ID: c.ID, Body: c.Body, User: &account{ID: c.Author, Login: c.Name()}}
}

func id(tb testing.TB, r *http.Request) int64 {
	n, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	assert.NoError(tb, err)
	return n
}

// edit answers a change of a comment.
func edit(tb testing.TB, c *Comments, w http.ResponseWriter, r *http.Request, as func(Comment) comment) {
	var said body
	if !Decode(tb, r, &said) {
		return
	}
	changed, found := c.Edit(id(tb, r), said.Body)
	if !found {
		http.NotFound(w, r)
		return
	}
	Answer(tb, w, http.StatusOK, as(changed))
}

// add answers a new comment.
func add(tb testing.TB, c *Comments, w http.ResponseWriter, r *http.Request, as func(Comment) comment) {
	var said body
	if Decode(tb, r, &said) {
		Answer(tb, w, http.StatusCreated, as(c.Add(r.PathValue("request"), Self, said.Body)))
	}
}

// all are the comments of a change request in the vendor's words.
func all(c *Comments, request string, as func(Comment) comment) []comment {
	listed := []comment{}
	for _, there := range c.List(request) {
		listed = append(listed, as(there))
	}
	return listed
}

// GitHubComments is https://docs.github.com/en/rest/issues/comments, as an
// Enterprise server has it. Names are the same in any case.
func GitHubComments(tb testing.TB, c *Comments) http.HandlerFunc {
	const repository = "/api/v3/repos/owner/repository"
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v3/user", func(w http.ResponseWriter, _ *http.Request) {
		Answer(tb, w, http.StatusOK, account{ID: Self, Login: strings.ToUpper(SelfName)})
	})
	mux.HandleFunc("GET "+repository+"/issues/{request}/comments", func(w http.ResponseWriter, r *http.Request) {
		page, number, more := Page(tb, r, all(c, r.PathValue("request"), asLogin), "per_page")
		if more {
			next := *r.URL
			query := next.Query()
			query.Set("page", strconv.Itoa(number+1))
			next.RawQuery = query.Encode()
			w.Header().Set("Link", fmt.Sprintf(`<http://%s%s>; rel="next"`, r.Host, next.String()))
		}
		Answer(tb, w, http.StatusOK, page)
	})
	mux.HandleFunc("POST "+repository+"/issues/{request}/comments", func(w http.ResponseWriter, r *http.Request) { add(tb, c, w, r, asLogin) })
	mux.HandleFunc("PATCH "+repository+"/issues/comments/{id}", func(w http.ResponseWriter, r *http.Request) { edit(tb, c, w, r, asLogin) })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { Refuse(tb, w, r) })
	return func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(tb, "Bearer sample-token", r.Header.Get("Authorization"))
		mux.ServeHTTP(w, r)
	}
}

// GitLabComments is https://docs.gitlab.com/api/notes/#merge-requests. What is
// empty at the end of a note is not kept, nor is a line that is a command, which
// no note of ours may have.
func GitLabComments(tb testing.TB, c *Comments) http.HandlerFunc {
	const project = "/api/v4/projects/{project}"
	as := func(there Comment) comment {
		assert.NotRegexp(tb, `(?m)^/[a-z]`, there.Body, "a quick action")
		return comment{ID: there.ID, Body: strings.TrimRight(there.Body, " \n"), Author: &account{ID: there.Author, Username: there.Name()}}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v4/user", func(w http.ResponseWriter, _ *http.Request) {
		Answer(tb, w, http.StatusOK, account{ID: Self, Username: strings.ToUpper(SelfName)})
	})
	mux.HandleFunc("GET "+project+"/merge_requests/{request}/notes", func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(tb, "asc", r.URL.Query().Get("sort"), "the default is the newest first")
		page, number, more := Page(tb, r, all(c, r.PathValue("request"), as), "per_page")
		if more {
			w.Header().Set("X-Next-Page", strconv.Itoa(number+1))
		}
		Answer(tb, w, http.StatusOK, page)
	})
	mux.HandleFunc("POST "+project+"/merge_requests/{request}/notes", func(w http.ResponseWriter, r *http.Request) { add(tb, c, w, r, as) })
	mux.HandleFunc("PUT "+project+"/merge_requests/{request}/notes/{id}", func(w http.ResponseWriter, r *http.Request) { edit(tb, c, w, r, as) })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { Refuse(tb, w, r) })
	return func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(tb, "sample-token", r.Header.Get("Private-Token"))
		if r.URL.Path != "/api/v4/user" {
			assert.Contains(tb, r.URL.EscapedPath(), "/projects/group%2Fsub%2Fproject/")
		}
		mux.ServeHTTP(w, r)
	}
}

// GiteaComments is https://docs.gitea.com/api/#tag/issue. It gives pages and
// their number without a link to the next; a server that gives all at once is
// played by GiteaWhole.
func GiteaComments(tb testing.TB, c *Comments) http.HandlerFunc {
	return giteaComments(tb, c, func(r *http.Request, listed []comment) []comment {
		page, _, _ := Page(tb, r, listed, "limit")
		return page
	})
}

// GiteaWhole lists all comments at once, whatever is asked for, as Gitea 1.25
// does.
func GiteaWhole(tb testing.TB, c *Comments) http.HandlerFunc {
	return giteaComments(tb, c, func(_ *http.Request, listed []comment) []comment { return listed })
}

func giteaComments(tb testing.TB, c *Comments, cut func(*http.Request, []comment) []comment) http.HandlerFunc {
	const repository = "/api/v1/repos/owner/repository"
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/user", func(w http.ResponseWriter, _ *http.Request) {
		Answer(tb, w, http.StatusOK, account{ID: Self, Login: strings.ToUpper(SelfName)})
	})
	mux.HandleFunc("GET "+repository+"/issues/{request}/comments", func(w http.ResponseWriter, r *http.Request) {
		listed := all(c, r.PathValue("request"), asLogin)
		w.Header().Set("X-Total-Count", strconv.Itoa(len(listed)))
		Answer(tb, w, http.StatusOK, cut(r, listed))
	})
	mux.HandleFunc("POST "+repository+"/issues/{request}/comments", func(w http.ResponseWriter, r *http.Request) { add(tb, c, w, r, asLogin) })
	mux.HandleFunc("PATCH "+repository+"/issues/comments/{id}", func(w http.ResponseWriter, r *http.Request) { edit(tb, c, w, r, asLogin) })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { Refuse(tb, w, r) })
	return func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(tb, "token sample-token", r.Header.Get("Authorization"))
		mux.ServeHTTP(w, r)
	}
}
