package googlepubsub_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/googlepubsub"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
	"github.com/fluxnotify/otelcol-flux/internal/version"
)

// google is Pub/Sub as its users reach it: behind a proxy, with TLS, and with
// its own name.
type google struct {
	*pstest.Server
	roots *x509.CertPool
	// authorizations are what came with the requests.
	mu             sync.Mutex
	authorizations []string
	userAgent      string // of the last
}

// behind is where the proxy of the environment leads to.
var behind atomic.Pointer[string]

// setProxy has the environment name a proxy, which knows one destination.
func setProxy() (stop func()) {
	var group sync.WaitGroup
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to := behind.Load()
		if r.Method != http.MethodConnect || r.Host != "pubsub.googleapis.com:443" || to == nil {
			http.Error(w, "a way to Pub/Sub alone", http.StatusForbidden)
			return
		}
		server, err := net.Dial("tcp", *to)
		if err != nil {
			http.Error(w, "nobody there", http.StatusBadGateway)
			return
		}
		client, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n")
		group.Go(func() { pipe(client, server) })
		group.Go(func() { pipe(server, client) })
	}))
	_ = os.Setenv("HTTPS_PROXY", proxy.URL)
	return func() {
		proxy.Close()
		group.Wait()
	}
}

func pipe(a, b net.Conn) {
	_, _ = io.Copy(a, b)
	_ = a.Close()
	_ = b.Close()
}

// setMetadata has the environment name a metadata server, which is where a Pod
// finds the identity that Workload Identity gives it.
func setMetadata() (stop func()) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Metadata-Flavor") != "Google" || !metadataUp.Load():
			http.Error(w, "not now", http.StatusForbidden)
		case strings.HasSuffix(r.URL.Path, "/service-accounts/default/token"):
			_, _ = io.WriteString(w, `{"access_token":"of-the-pod","expires_in":3600,"token_type":"Bearer"}`)
		default:
			http.NotFound(w, r)
		}
	}))
	_ = os.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(server.URL, "http://"))
	return server.Close
}

var metadataUp atomic.Bool

func newGoogle(t *testing.T) *google {
	t.Helper()
	g := &google{Server: serve(t), roots: x509.NewCertPool()}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"pubsub.googleapis.com"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	g.roots.AddCert(certificate)

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer(grpc.UnaryInterceptor(g.note),
		grpc.Creds(credentials.NewServerTLSFromCert(&tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key})))
	pubsubpb.RegisterPublisherServer(server, &g.GServer)
	var group sync.WaitGroup
	group.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() {
		server.Stop()
		group.Wait()
	})
	address := listener.Addr().String()
	behind.Store(&address)
	return g
}

func (g *google) note(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	header, _ := metadata.FromIncomingContext(ctx)
	g.mu.Lock()
	g.authorizations = append(g.authorizations, header.Get("authorization")...)
	g.userAgent = strings.Join(header.Get("user-agent"), " ")
	g.mu.Unlock()
	return handler(ctx, request)
}

func (g *google) last() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.authorizations) == 0 {
		return ""
	}
	return g.authorizations[len(g.authorizations)-1]
}

// started is a provider that finds its own way.
func (g *google) started(t *testing.T, token string) notify.Provider {
	t.Helper()
	s := providertest.Complete(t, notify.Settings{Address: project, Channel: topic, Token: token})
	if g.roots != nil {
		s.TLS = &tls.Config{RootCAs: g.roots, MinVersion: tls.VersionTLS12}
	}
	p, err := googlepubsub.New(s)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.(notify.Stopper).Shutdown(context.Background())) })
	require.NoError(t, p.(notify.Starter).Start(t.Context()))
	return p
}

// signed are the claims of a token that the service account's key has signed.
func signed(t *testing.T, authorization string) map[string]any {
	t.Helper()
	token, found := strings.CutPrefix(authorization, "Bearer ")
	require.True(t, found, authorization)
	parts := strings.Split(token, ".")
	require.Len(t, parts, 3)
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	require.NoError(t, err)
	private, err := key()
	require.NoError(t, err)
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	require.NoError(t, rsa.VerifyPKCS1v15(&private.PublicKey, crypto.SHA256, sum[:], signature))
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	require.NoError(t, err)
	var claims map[string]any
	require.NoError(t, json.Unmarshal(body, &claims))
	return claims
}

// These are not parallel: the environment is everybody's.

func TestGoogleByToken(t *testing.T) {
	g := newGoogle(t)
	p := g.started(t, written(t, serviceAccount(t)))
	require.NoError(t, deliver(t, p, "x"))
	assert.Equal(t, []string{"x"}, bodies(g.Server))
	claims := signed(t, g.last())
	assert.Contains(t, g.userAgent, "otelcol-flux/"+version.String())
	assert.Equal(t, email, claims["iss"])
	assert.Equal(t, "https://www.googleapis.com/auth/pubsub", claims["scope"])
}

func TestGoogleByCredentialsFile(t *testing.T) {
	g := newGoogle(t)
	file := filepath.Join(t.TempDir(), "credentials.json")
	require.NoError(t, os.WriteFile(file, []byte(written(t, serviceAccount(t))), 0o600))
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", file)
	require.NoError(t, deliver(t, g.started(t, ""), "x"))
	assert.Equal(t, email, signed(t, g.last())["iss"])
}

// A metadata server that is not up is an outage, and no refusal of Pub/Sub's.
func TestGoogleByWorkloadIdentity(t *testing.T) {
	g := newGoogle(t)
	p := g.started(t, "")
	metadataUp.Store(false)
	e := failure(t, deliver(t, p, "x"))
	assert.Equal(t, notify.Retryable, e.Class)
	assert.Equal(t, "unavailable", e.Type)
	assert.Contains(t, e.Error(), "no access token")
	metadataUp.Store(true)
	require.NoError(t, deliver(t, p, "x"))
	assert.Equal(t, "Bearer of-the-pod", g.last())
}

func TestNoIdentity(t *testing.T) {
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", filepath.Join(t.TempDir(), "missing.json"))
	p, err := googlepubsub.New(providertest.Complete(t, notify.Settings{Address: project, Channel: topic}))
	require.NoError(t, err, "it may be there at the start")
	err = p.(notify.Starter).Start(t.Context())
	require.ErrorContains(t, err, "token: is not set, and there is no ambient Google identity")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestStranger(t *testing.T) {
	g := newGoogle(t)
	g.roots = nil // the system's, which do not know it
	e := failure(t, deliver(t, g.started(t, written(t, serviceAccount(t))), "x"))
	assert.Equal(t, notify.Retryable, e.Class)
	assert.Contains(t, e.Error(), "certificate")
	assert.NotContains(t, fmt.Sprintf("%+v", e), "PRIVATE KEY")
	assert.Empty(t, g.last(), "nothing is told to a stranger")
}

// An emulator knows neither identities nor TLS.
func TestEmulator(t *testing.T) {
	emulator := serve(t)
	t.Setenv("PUBSUB_EMULATOR_HOST", emulator.Addr)
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", filepath.Join(t.TempDir(), "missing.json"))
	g := &google{roots: x509.NewCertPool()}
	require.NoError(t, deliver(t, g.started(t, ""), "without an identity"))
	require.NoError(t, deliver(t, g.started(t, written(t, serviceAccount(t))), "with one"))
	assert.Equal(t, []string{"without an identity", "with one"}, bodies(emulator))
}
