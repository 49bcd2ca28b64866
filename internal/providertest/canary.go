package providertest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/githubapp"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers"
)

// canary is a secret with every character that some encoding changes.
const canary = `cAnArY-4f1d/9b+2e&77"c0<ffee=cAnArY`

// variant is a configuration with the canary in one of its secrets.
type variant struct {
	name     string
	settings notify.Settings
	// sent tells whether the secret itself goes to the endpoint.
	sent bool
	// part marks a part of the address: types may refuse it, or not use it.
	part bool
}

// variants puts the canary into every secret of a row in turn. What would be
// used before that secret is left out.
func variants(tb testing.TB, row providers.Row) []variant {
	tb.Helper()
	var all []variant
	add := func(name string, sent bool, change func(*notify.Settings)) {
		s := row.Sample
		change(&s)
		all = append(all, variant{name, s, sent, strings.HasPrefix(name, "address")})
	}
	if row.Token != providers.Unused {
		// A raw token is the key of a signature, which never travels.
		add("token", !row.RawToken, func(s *notify.Settings) { s.Token = canary })
	}
	if row.Password != providers.Unused {
		add("password", true, func(s *notify.Settings) {
			s.Password = canary
			if row.Token != providers.Required {
				s.Token = ""
			}
		})
	}
	if row.Headers != providers.Unused {
		add("header", true, func(s *notify.Settings) { s.Headers = []notify.Header{{Name: "X-Api-Key", Value: canary}} })
	}
	inAddress := func(name string, change func(*url.URL)) {
		add("address "+name, true, func(s *notify.Settings) {
			u, err := url.Parse(s.Address)
			require.NoError(tb, err)
			change(u)
			s.Address = u.String()
			if git(row) {
				return // credentials in a repository's address are nobody's
			}
			s.Username, s.Password = "", ""
			if row.Token != providers.Required {
				s.Token = ""
			}
		})
	}
	inAddress("password", func(u *url.URL) { u.User = url.UserPassword("flux", canary) })
	inAddress("username", func(u *url.URL) { u.User = url.User(canary) })
	inAddress("query", func(u *url.URL) { u.RawQuery = "key=" + url.QueryEscape(canary) })
	inAddress("path", func(u *url.URL) {
		u.RawPath = "/services/" + url.PathEscape(canary) + u.EscapedPath()
		u.Path = "/services/" + canary + u.Path
	})
	return all
}

// git tells the types whose address is that of a repository.
func git(row providers.Row) bool {
	return row.Takes == notify.TakesCommits || row.Takes == notify.TakesChangeRequests || slices.Equal(row.Secrets, githubapp.Keys)
}

// NoLeak proves of every secret that no failure shows it, whether the endpoint
// is away, not who it should be, repeats in its answer all that it was sent, or
// points elsewhere.
func NoLeak(t *testing.T, row providers.Row) {
	t.Helper()
	for _, v := range variants(t, row) {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			noLeak(t, row, v)
		})
	}
	for _, name := range row.Secrets {
		s := row.Sample
		s.Secrets = map[string]string{name: canary}
		if _, err := row.New(Complete(t, s)); err != nil {
			hidden(t, name, err)
		}
	}
}

func noLeak(t *testing.T, row providers.Row, v variant) {
	t.Helper()
	at := func(server string) notify.Provider {
		t.Helper()
		return On(t, row, v.settings, server)
	}
	if v.part {
		if _, err := row.New(Complete(t, v.settings)); err != nil {
			require.ErrorContains(t, err, "address: ")
			hidden(t, "refused", err)
			return
		}
	}
	payload := Payload(t, at("http://127.0.0.1"))
	fails := func(what, server string) {
		t.Helper()
		err := at(server).Deliver(t.Context(), payload)
		if assert.Error(t, err, what) {
			hidden(t, what, err)
		}
	}

	var seen atomic.Bool
	happy := Server(t, func(w http.ResponseWriter, r *http.Request) {
		if carries(r) {
			seen.Store(true)
		}
		ok(row)(w, r)
	})
	require.NoError(t, at(happy.URL).Deliver(t.Context(), payload))
	if !v.part {
		require.Equal(t, v.sent, seen.Load(), "whether the endpoint gets the secret")
	}

	fails("refused connection", "http://"+refusing(t))
	stranger := httptest.NewUnstartedServer(http.NotFoundHandler())
	stranger.Config.ErrorLog = log.New(io.Discard, "", 0) // the handshake is meant to fail
	stranger.StartTLS()
	defer stranger.Close()
	fails("unknown authority", stranger.URL)

	for _, status := range []int{400, 401, 403, 404, 429, 500, 503} {
		for form, echo := range echoes {
			server := Server(t, func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(status)
				_, _ = w.Write(echo(r))
			})
			fails(fmt.Sprint(status, " that echoes ", form), server.URL)
		}
	}
	for form, echo := range echoes {
		server := Server(t, func(w http.ResponseWriter, r *http.Request) {
			answer, _ := json.Marshal(map[string]any{"ok": false, "error": string(echo(r))})
			_, _ = w.Write(answer)
		})
		if err := at(server.URL).Deliver(t.Context(), payload); err != nil {
			hidden(t, "200 that echoes "+form, err)
		}
	}
	redirects(t, fails)
}

// redirects sends the provider to another host, which must not hear of it.
func redirects(t *testing.T, fails func(what, server string)) {
	t.Helper()
	var contacted atomic.Int32
	other := Server(t, func(http.ResponseWriter, *http.Request) { contacted.Add(1) })
	for _, status := range []int{301, 302, 303, 307, 308} {
		server := Server(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", other.URL+r.URL.RequestURI()+"?key="+url.QueryEscape(canary))
			w.WriteHeader(status)
		})
		fails(fmt.Sprint("redirect ", status), server.URL)
	}
	require.Zero(t, contacted.Load(), "a redirect was followed")
}

// echoes are the ways in which an endpoint repeats what it was sent.
var echoes = map[string]func(*http.Request) []byte{
	"the request": dump,
	"the request as JSON": func(r *http.Request) []byte {
		b, _ := json.Marshal(map[string]any{"request": string(dump(r)), "headers": r.Header})
		return b
	},
	"the request as plain JSON": func(r *http.Request) []byte {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		_ = e.Encode(map[string]any{"headers": r.Header, "request": string(dump(r))})
		return b.Bytes()
	},
	"the path":     func(r *http.Request) []byte { return []byte("no such path: " + r.URL.Path) },
	"the query":    func(r *http.Request) []byte { return []byte("bad query: " + r.URL.RawQuery) },
	"a value":      func(r *http.Request) []byte { return []byte("bad key: " + r.URL.Query().Get("key")) },
	"the segments": func(r *http.Request) []byte { return []byte(strings.Join(strings.Split(r.RequestURI, "/"), " ")) },
	"the basic credentials": func(r *http.Request) []byte {
		user, password, _ := r.BasicAuth()
		return []byte("unknown user " + user + " with " + password)
	},
}

func dump(r *http.Request) []byte {
	b, _ := httputil.DumpRequest(r, true)
	return b
}

// carries tells whether a request holds the canary, as it is or encoded.
func carries(r *http.Request) bool {
	user, password, _ := r.BasicAuth()
	return strings.Contains(user+"\n"+password+"\n"+r.URL.Path+"\n"+r.URL.Query().Encode(), canary) ||
		strings.Contains(r.URL.RawQuery, url.QueryEscape(canary)) ||
		bytes.Contains(dump(r), []byte(canary))
}

// hidden fails where a text of an error gives the canary away.
func hidden(tb testing.TB, what string, err error) {
	tb.Helper()
	for _, shown := range []string{err.Error(), fmt.Sprintf("%+v", err), fmt.Sprintf("%q", err)} {
		for _, form := range forms() {
			require.NotContains(tb, shown, form, what)
		}
	}
}

// forms are the canary and what encodings make of it. Its halves stand for
// texts in which it was cut.
var forms = sync.OnceValue(func() []string {
	html, _ := json.Marshal(canary)
	all := []string{canary, url.QueryEscape(canary), url.PathEscape(canary), strings.Trim(string(html), `"`), "cAnArY"}
	// Where in a text it begins decides how base64 writes it: the middle, which
	// all share, is that of one of three.
	for shift := range 3 {
		for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
			encoded := encoding.EncodeToString([]byte(strings.Repeat("x", shift) + canary))
			all = append(all, encoded[4:40])
		}
	}
	return all
})

// refusing is an address on which nobody listens.
func refusing(tb testing.TB) string {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	require.NoError(tb, listener.Close())
	return listener.Addr().String()
}
