package httpsend_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var post = notify.Payload{Method: http.MethodPost, Body: []byte(`{"a":1}`)}

// target is one with a client of its own.
func target(t *testing.T, s notify.Settings, o httpsend.Options) *httpsend.Target {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	s.HTTP = &http.Client{Transport: transport, CheckRedirect: httpsend.NoRedirects}
	made, err := httpsend.New(s, o)
	require.NoError(t, err)
	return made
}

func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func failure(t *testing.T, err error) *notify.Error {
	t.Helper()
	var e *notify.Error
	require.ErrorAs(t, err, &e)
	return e
}

func TestOneConnectionForAll(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(w http.ResponseWriter){
		"nothing": func(http.ResponseWriter) {},
		"a text":  func(w http.ResponseWriter) { _, _ = io.WriteString(w, "ok") },
		"a long failure": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusBadGateway)
			_, _ = w.Write(make([]byte, 200<<10))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var connections, requests atomic.Int32
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				_, _ = io.Copy(io.Discard, r.Body)
				answer(w)
			}))
			server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
				if state == http.StateNew {
					connections.Add(1)
				}
			}
			server.Start()
			t.Cleanup(server.Close)
			p := target(t, notify.Settings{Address: server.URL}, httpsend.Options{})
			for range 50 {
				_ = p.Deliver(t.Context(), post)
			}
			assert.EqualValues(t, 50, requests.Load())
			assert.EqualValues(t, 1, connections.Load())
		})
	}
}

func TestRequest(t *testing.T) {
	t.Parallel()
	var got *http.Request
	var body []byte
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
	})
	p := target(t, notify.Settings{Address: url + "/a%2Fb/?k=v#fragment"}, httpsend.Options{
		Header: http.Header{"X-Team": {"platform"}, "X-Both": {"operator"}},
		Sign: func(r *http.Request, body []byte) {
			r.Header.Set("X-Sum", r.Header.Get("X-Team")+" "+string(body))
		},
	})
	require.NoError(t, p.Deliver(t.Context(), notify.Payload{
		Method: http.MethodPut, Path: "/room%20%231", Body: []byte("text"),
		Header: http.Header{"Content-Type": {"text/plain"}, "X-Both": {"payload"}},
	}))
	assert.Equal(t, http.MethodPut, got.Method)
	assert.Equal(t, "/a%2Fb/room%20%231?k=v", got.RequestURI)
	assert.Equal(t, "text", string(body))
	assert.EqualValues(t, 4, got.ContentLength)
	assert.Equal(t, "text/plain", got.Header.Get("Content-Type"))
	assert.Equal(t, "operator", got.Header.Get("X-Both"))
	assert.Equal(t, "platform text", got.Header.Get("X-Sum"), "signed last")

	require.NoError(t, p.Deliver(t.Context(), post))
	assert.Equal(t, "/a%2Fb/?k=v", got.RequestURI, "without a path of the payload's, the address as it is")
	assert.Equal(t, "application/json", got.Header.Get("Content-Type"))
}

func TestCredentialsInAddress(t *testing.T) {
	t.Parallel()
	var authorization string
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) { authorization = r.Header.Get("Authorization") })
	address := strings.Replace(url, "http://", "http://flux:secret%40word@", 1)

	require.NoError(t, target(t, notify.Settings{Address: address}, httpsend.Options{}).Deliver(t.Context(), post))
	assert.Equal(t, "Basic Zmx1eDpzZWNyZXRAd29yZA==", authorization)

	signed := target(t, notify.Settings{Address: address}, httpsend.Options{Sign: httpsend.Bearer("token")})
	require.NoError(t, signed.Deliver(t.Context(), post))
	assert.Equal(t, "Bearer token", authorization, "a token wins")
}

// Concurrent deliveries share the header maps of the target and of a payload.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Sum") != r.Header.Get("X-Number") || r.Header.Get("X-Team") != "platform" {
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	p := target(t, notify.Settings{Address: url}, httpsend.Options{
		Header: http.Header{"X-Team": {"platform"}},
		Sign:   func(r *http.Request, _ []byte) { r.Header.Set("X-Sum", r.Header.Get("X-Number")) },
	})
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			payload := notify.Payload{Method: http.MethodPost, Header: http.Header{"X-Number": {strings.Repeat("1", i+1)}}}
			for range 20 {
				if !assert.NoError(t, p.Deliver(t.Context(), payload)) {
					return
				}
			}
		})
	}
	group.Wait()
}

// broken answers with headers and then cuts the connection.
func broken(t *testing.T, status int) string {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "half of it")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
}

func TestBrokenAnswer(t *testing.T) {
	t.Parallel()
	ofBody := func(a httpsend.Answer) (*notify.Error, bool) {
		if string(a.Body) == "ok" {
			return nil, true
		}
		return notify.Permanentf("vendor", "refused"), true
	}
	ofHeader := func(a httpsend.Answer) (*notify.Error, bool) { return nil, a.Status == http.StatusConflict }

	for status, sent := range map[int]bool{200: true, 202: true, 400: false, 500: false} {
		err := target(t, notify.Settings{Address: broken(t, status)}, httpsend.Options{}).Deliver(t.Context(), post)
		if sent {
			require.NoError(t, err, "the status says that it was taken")
			continue
		}
		assert.Contains(t, failure(t, err).Error(), "half of it")
	}
	require.NoError(t, target(t, notify.Settings{Address: broken(t, 200)}, httpsend.Options{Judge: ofHeader}).Deliver(t.Context(), post),
		"a type that has no word on it needs no body")
	err := target(t, notify.Settings{Address: broken(t, 200)}, httpsend.Options{Judge: ofBody}).Deliver(t.Context(), post)
	e := failure(t, err)
	assert.Equal(t, notify.Retryable, e.Class, "what the body would have said is not known")
	assert.ErrorIs(t, e, io.ErrUnexpectedEOF)
}

func TestJudge(t *testing.T) {
	t.Parallel()
	url := serve(t, func(http.ResponseWriter, *http.Request) {})
	judged := func(verdict *notify.Error) error {
		o := httpsend.Options{Judge: func(httpsend.Answer) (*notify.Error, bool) { return verdict, true }}
		return target(t, notify.Settings{Address: url, Token: "secret-token"}, o).Deliver(t.Context(), post)
	}
	require.NoError(t, judged(nil))
	e := failure(t, judged(&notify.Error{Class: notify.Throttled, Type: "slow", Delay: 1 << 60, Err: errors.New("wait with secret-token\x00")}))
	assert.Equal(t, "1h0m0s", e.Delay.String())
	assert.Equal(t, strings.TrimPrefix(url, "http://")+` wait with [REDACTED]\x00`, e.Error())
}

func TestWords(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte("\x00\x01binary"))
	})
	p := target(t, notify.Settings{Address: url, Token: "secret-token"}, httpsend.Options{Words: func(a httpsend.Answer) []byte {
		assert.Equal(t, http.StatusBadRequest, a.Status)
		assert.Equal(t, "\x00\x01binary", string(a.Body))
		return []byte("not with secret-token")
	}})
	e := failure(t, p.Deliver(t.Context(), post))
	assert.Equal(t, notify.Permanent, e.Class)
	assert.Contains(t, e.Error(), "answered 400 Bad Request: not with [REDACTED]")
}

func TestParseAddress(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"":                         "must be set",
		"example.com/secret":       "begins with https://",
		"ftp://example.com/secret": "begins with https://",
		"https:///secret":          "has no host",
		"https://:443/secret":      "has no host",
		"https://e x/secret":       "begins with https://",
		"https://h:port/secret":    "begins with https://",
	} {
		_, err := httpsend.ParseAddress(address)
		require.ErrorContains(t, err, want, address)
		assert.Regexp(t, "^address: ", err.Error())
		assert.NotContains(t, err.Error(), "secret")
	}
	u, err := httpsend.ParseAddress("https://example.com/hook?k=v#f")
	require.NoError(t, err)
	assert.Equal(t, "https://example.com/hook?k=v", u.String())
}

func TestRequestThatCannotBe(t *testing.T) {
	t.Parallel()
	p := target(t, notify.Settings{Address: "http://127.0.0.1:1"}, httpsend.Options{})
	e := failure(t, p.Deliver(context.Background(), notify.Payload{Method: "NO METHOD"}))
	assert.Equal(t, notify.Permanent, e.Class)
}

// A refusal of credentials that were fetched is worth another try where others may
// do, unless it is one for another reason.
func TestRefusedAuthorization(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status int
		again  bool
		class  notify.Class
	}{
		{200, false, 0}, {401, true, notify.Retryable}, {401, false, notify.Permanent}, {429, true, notify.Throttled},
	} {
		var heard []string
		o := httpsend.Options{
			Authorize: func(context.Context) (string, error) { return "Bearer fetched", nil },
			Heard: func(authorization string, status int) bool {
				heard = append(heard, fmt.Sprint(authorization, " ", status))
				return c.again
			},
		}
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(c.status) })
		transport, other := sdk(t, o, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(c.status) })
		_, err := get(t, transport, other)
		for _, err := range []error{err, target(t, notify.Settings{Address: url}, o).Deliver(t.Context(), post)} {
			if c.class == 0 {
				require.NoError(t, err)
				continue
			}
			assert.Equal(t, c.class, failure(t, err).Class)
		}
		want := fmt.Sprint("Bearer fetched ", c.status)
		assert.Equal(t, []string{want, want}, heard)
	}
}
