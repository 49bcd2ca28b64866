package httpsend_test

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/testca"
)

// hear takes one connection, and gives all that is sent on it until it is closed.
func hear(t *testing.T) (address string, heard <-chan string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	told := make(chan string, 1)
	go func() {
		defer func() { _ = listener.Close() }()
		conn, err := listener.Accept()
		if err != nil {
			told <- err.Error()
			return
		}
		defer func() { _ = conn.Close() }()
		all, _ := io.ReadAll(conn)
		told <- string(all)
	}()
	return listener.Addr().String(), told
}

func connect(t *testing.T, address string, transport *http.Transport) error {
	t.Helper()
	defer transport.CloseIdleConnections()
	return httpsend.Connect(t.Context(), notify.Settings{Address: address, HTTP: &http.Client{Transport: transport}})
}

func TestConnectSendsNothing(t *testing.T) {
	t.Parallel()
	address, heard := hear(t)
	require.NoError(t, connect(t, "http://"+address+"/hook/canary", &http.Transport{}))
	assert.Empty(t, <-heard)
}

func TestConnectVerifiesCertificates(t *testing.T) {
	t.Parallel()
	ours, theirs := testca.New(t), testca.New(t)
	var requests sync.Map
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { requests.Store(r, true) }))
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{ours.Issue(t, testca.Leaf{})}}
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // one handshake is meant to fail
	server.StartTLS()
	for _, http2 := range []bool{false, true} {
		transport := &http.Transport{ForceAttemptHTTP2: http2, TLSClientConfig: &tls.Config{RootCAs: ours.Pool(), MinVersion: tls.VersionTLS12}}
		require.NoError(t, connect(t, server.URL, transport))
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: theirs.Pool(), MinVersion: tls.VersionTLS12}}
	e := failure(t, connect(t, server.URL, transport))
	assert.Equal(t, "tls", e.Type)
	server.Close() // all that was sent has been served
	requests.Range(func(request, _ any) bool { return assert.Fail(t, "a request was sent", "%v", request) })
}

func TestConnectGoesThroughTheProxy(t *testing.T) {
	t.Parallel()
	var asked []string
	proxy := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.Host)
		w.WriteHeader(http.StatusBadGateway)
	})
	u, err := url.Parse(strings.Replace(proxy, "://", "://user:canary@", 1))
	require.NoError(t, err)
	err = connect(t, "https://example.com/hook", &http.Transport{Proxy: http.ProxyURL(u)})
	require.ErrorContains(t, err, "Bad Gateway")
	assert.NotContains(t, err.Error(), "canary")
	assert.Equal(t, []string{"CONNECT example.com:443"}, asked)
}

func TestConnectFails(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "connection", failure(t, connect(t, "http://127.0.0.1:1", &http.Transport{})).Type)
	require.ErrorContains(t, connect(t, "nats://example.com", &http.Transport{}), "address: ")
}

func TestAt(t *testing.T) {
	t.Parallel()
	var asked []string
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.RequestURI+" "+r.Header.Get("Authorization")+r.Header.Get("Content-Type"))
		_, _ = io.WriteString(w, "no")
	})
	never := func(httpsend.Answer) (*notify.Error, bool) { return notify.Permanentf("judged", "no"), true }
	p := target(t, notify.Settings{Address: server + "/a%2Fb/hook?key=1", Token: "secret-token"},
		httpsend.Options{Sign: httpsend.Bearer("secret-token"), Judge: never})
	require.Equal(t, "/a%2Fb/hook", p.Path())
	require.NoError(t, p.At("/a%2Fb/status", nil).Get(t.Context()), "judged by its status")
	assert.Equal(t, "judged", failure(t, p.At("/x", never).Get(t.Context())).Type)
	assert.Equal(t, "judged", failure(t, p.Deliver(t.Context(), post)).Type, "the target is as it was")
	assert.Equal(t, []string{
		"GET /a%2Fb/status?key=1 Bearer secret-token",
		"GET /x?key=1 Bearer secret-token",
		"POST /a%2Fb/hook?key=1 Bearer secret-tokenapplication/json",
	}, asked)
}
