// Package gitpeer plays the APIs of Git hosts in tests: strictly, with a memory,
// in pages, and out of order when told to. What is common to all is here; how
// each vendor speaks is its Shape.
package gitpeer

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Shape is one vendor's API on a store. It knows the sample of its row: where
// the repository is, and which credentials open it.
type Shape func(tb testing.TB, s *Store) http.HandlerFunc

// Shapes are those of the commit-status types.
var Shapes = map[string]Shape{
	"azuredevops":     AzureDevOps,
	"bitbucket":       Bitbucket,
	"bitbucketserver": BitbucketServer,
	"gitea":           Gitea,
	"github":          GitHub,
	"gitlab":          GitLab,
}

// Status is one that was written.
type Status struct {
	ID                                         int64
	Key, Genre, Name, State, Description, Link string
}

// Store keeps the statuses of one repository.
type Store struct {
	tb       testing.TB
	mu       sync.Mutex
	statuses map[string][]Status // by commit, the oldest first
	writes   int
}

// NewStore makes an empty one.
func NewStore(tb testing.TB) *Store {
	tb.Helper()
	return &Store{tb: tb, statuses: map[string][]Status{}}
}

// Write keeps a status. One that says what the newest of its key says is one
// too many, and fails the test.
func (s *Store) Write(commit string, status Status) Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, ok := newest(s.statuses[commit], status.Key, status.Genre); ok && last.State == status.State && last.Description == status.Description {
		s.tb.Errorf("%s on %s says %q once more", status.Key, commit, status.Description)
	}
	s.writes++
	status.ID = int64(s.writes)
	s.statuses[commit] = append(s.statuses[commit], status)
	return status
}

// List gives the statuses of a commit, the newest first.
func (s *Store) List(commit string) []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.Clone(s.statuses[commit])
	slices.Reverse(all)
	return all
}

// Newest is the newest status of a key.
func (s *Store) Newest(commit, key, genre string) (Status, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return newest(s.statuses[commit], key, genre)
}

// Writes is how many statuses were written.
func (s *Store) Writes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes
}

func newest(all []Status, key, genre string) (Status, bool) {
	for _, status := range slices.Backward(all) {
		if status.Key == key && status.Genre == genre {
			return status, true
		}
	}
	return Status{}, false
}

// Unreliable fails one call in five: in turn before it is heard, after it was
// obeyed, because it is one too many, and after it was obeyed again.
func Unreliable(next http.HandlerFunc) http.HandlerFunc {
	var calls atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		switch calls.Add(1) % 20 {
		case 4:
			http.Error(w, "out of order", http.StatusServiceUnavailable)
		case 14:
			http.Error(w, "too many", http.StatusTooManyRequests)
		case 9, 19:
			next(lost{http.Header{}}, r)
			panic(http.ErrAbortHandler) // the connection ends without an answer
		default:
			next(w, r)
		}
	}
}

// lost is an answer that nobody hears.
type lost struct{ header http.Header }

func (l lost) Header() http.Header         { return l.header }
func (l lost) Write(b []byte) (int, error) { return len(b), nil }
func (l lost) WriteHeader(int)             {}

// Refuse fails the test for a request that no client of this API would make.
func Refuse(tb testing.TB, w http.ResponseWriter, r *http.Request) {
	tb.Helper()
	tb.Errorf("not of this API: %s %s", r.Method, r.URL)
	http.NotFound(w, r)
}

// Decode reads a JSON body strictly.
func Decode(tb testing.TB, r *http.Request, into any) bool {
	tb.Helper()
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		tb.Errorf("the body cannot be read: %v", err)
		return false
	}
	assert.True(tb, strings.HasPrefix(r.Header.Get("Content-Type"), "application/json"), "Content-Type %q", r.Header.Get("Content-Type"))
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	return assert.NoError(tb, d.Decode(into), string(raw))
}

// Answer writes JSON.
func Answer(tb testing.TB, w http.ResponseWriter, status int, body any) {
	tb.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		tb.Errorf("the answer is no JSON: %v", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(raw)
}

// MaxPage is what a peer gives on a page, whatever more is asked for: less than
// any vendor, so that tests need not be long.
const MaxPage = 7

// Page cuts the page that a request asks for out of a list.
func Page[T any](tb testing.TB, r *http.Request, all []T, size string) (page []T, number int, more bool) {
	tb.Helper()
	number = 1
	if s := r.URL.Query().Get("page"); s != "" {
		var err error
		number, err = strconv.Atoi(s)
		assert.NoError(tb, err)
	}
	most := MaxPage
	if s := r.URL.Query().Get(size); s != "" {
		asked, err := strconv.Atoi(s)
		assert.NoError(tb, err)
		assert.LessOrEqual(tb, asked, 100, size)
		most = min(asked, MaxPage)
	}
	from := min((number-1)*most, len(all))
	to := min(from+most, len(all))
	return all[from:to], number, to < len(all)
}
