package gitpeer

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// The accounts of the peers.
const (
	// Self is the number of the account that the sample's token is of, and SelfName
	// its name.
	Self     = 5
	SelfName = "flux"
	// Stranger is somebody else's number, and StrangerName the name.
	Stranger     = 6
	StrangerName = "somebody"
)

// CommentShape is one vendor's API on comments. It knows the sample of its row.
type CommentShape func(tb testing.TB, c *Comments) http.HandlerFunc

// CommentShapes are those of the types that comment on change requests.
var CommentShapes = map[string]CommentShape{
	"githubpullrequestcomment":  GitHubComments,
	"gitlabmergerequestcomment": GitLabComments,
	"giteapullrequestcomment":   GiteaComments,
}

// Comment is one that was written.
type Comment struct {
	ID     int64
	Author int64
	Body   string
}

// Name is the author's.
func (c Comment) Name() string {
	if c.Author == Self {
		return SelfName
	}
	return StrangerName
}

// Comments are those of a repository's change requests.
type Comments struct {
	tb     testing.TB
	mu     sync.Mutex
	all    map[string][]Comment // by change request, the oldest first
	last   int64
	writes int
}

// NewComments makes a repository without any.
func NewComments(tb testing.TB) *Comments {
	tb.Helper()
	return &Comments{tb: tb, all: map[string][]Comment{}}
}

// Add keeps a comment. Two of one account that begin with the same line are one
// too many, and fail the test.
func (c *Comments) Add(request string, author int64, body string) Comment {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, there := range c.all[request] {
		if author == Self && there.Author == author && marker(there.Body) == marker(body) {
			c.tb.Errorf("a second comment %s on %s", marker(body), request)
		}
	}
	c.last++
	c.writes++
	added := Comment{ID: c.last, Author: author, Body: body}
	c.all[request] = append(c.all[request], added)
	return added
}

// Edit changes a comment of our own account. One that says the same already, or
// is another's, fails the test; without such a comment there is none to change.
func (c *Comments) Edit(id int64, body string) (Comment, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, all := range c.all {
		i := slices.IndexFunc(all, func(there Comment) bool { return there.ID == id })
		if i < 0 {
			continue
		}
		if all[i].Author != Self {
			c.tb.Errorf("a comment of somebody else is edited: %q", all[i].Body)
		}
		if all[i].Body == body {
			c.tb.Errorf("%s is written once more", marker(body))
		}
		c.writes++
		all[i].Body = body
		return all[i], true
	}
	return Comment{}, false
}

// List gives the comments of a change request, the oldest first.
func (c *Comments) List(request string) []Comment {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.all[request])
}

// Own are those of our own account.
func (c *Comments) Own(request string) []Comment {
	return slices.DeleteFunc(c.List(request), func(there Comment) bool { return there.Author != Self })
}

// Writes is how many were added or edited.
func (c *Comments) Writes() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.writes
}

func marker(body string) string {
	line, _, _ := strings.Cut(body, "\n")
	return line
}
