package azureeventhub_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/azureeventhub"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
	"github.com/fluxnotify/otelcol-flux/internal/testca"
)

const (
	assertion = "the-pod's-service-account-token"
	access    = "an-access-token-of-entra"
	authority = "https://login.entra.example"
)

// entra stands for every host of Microsoft's that gives tokens: whatever is
// dialled, by the exporter's client, is it.
type entra struct {
	transport *http.Transport

	mu     sync.Mutex
	asked  []*http.Request
	answer http.HandlerFunc // nil: a token
}

func newEntra(t *testing.T, ca *testca.Authority) *entra {
	t.Helper()
	e := &entra{}
	secure, plain := httptest.NewUnstartedServer(e), httptest.NewServer(e)
	secure.TLS = &tls.Config{
		Certificates: []tls.Certificate{ca.Issue(t, testca.Leaf{DNS: []string{"login.entra.example", "login.microsoft.com", "login.microsoftonline.com"}})},
		MinVersion:   tls.VersionTLS12,
	}
	secure.StartTLS()
	t.Cleanup(secure.Close)
	t.Cleanup(plain.Close)
	e.transport = &http.Transport{
		TLSClientConfig: trusting(ca),
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			to := secure
			if strings.HasSuffix(address, ":80") {
				to = plain
			}
			return (&net.Dialer{}).DialContext(ctx, network, to.Listener.Addr().String())
		},
	}
	t.Cleanup(e.transport.CloseIdleConnections)
	return e
}

func (e *entra) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Form, _ = url.ParseQuery(r.URL.RawQuery + "&" + string(body))
	w.Header().Set("Content-Type", "application/json")
	say := func(v map[string]any) { _ = json.NewEncoder(w).Encode(v) }
	switch {
	case strings.HasSuffix(r.URL.Path, "/discovery/instance"):
		say(map[string]any{"tenant_discovery_endpoint": authority + "/a-tenant/v2.0/.well-known/openid-configuration"})
		return
	case strings.HasSuffix(r.URL.Path, "/openid-configuration"):
		say(map[string]any{
			"issuer": authority + "/a-tenant/v2.0", "authorization_endpoint": authority + "/a-tenant/oauth2/v2.0/authorize",
			"token_endpoint": authority + "/a-tenant/oauth2/v2.0/token",
		})
		return
	}
	e.mu.Lock()
	e.asked = append(e.asked, r)
	answer := e.answer
	e.mu.Unlock()
	if answer != nil {
		answer(w, r)
		return
	}
	// One that expires in minutes is not kept: the library keeps those of managed
	// identities for the whole process.
	say(map[string]any{
		"access_token": access, "token_type": "Bearer", "resource": r.Form.Get("resource"), "expires_in": 60,
		"expires_on": fmt.Sprint(time.Now().Add(time.Minute).Unix()),
	})
}

// requests are those for tokens, so far.
func (e *entra) requests() []*http.Request {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.asked
}

func (e *entra) answers(f http.HandlerFunc) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answer = f
}

// nobody removes what the machine's own environment says of an identity.
func nobody(t *testing.T) {
	t.Helper()
	for _, name := range []string{"AZURE_FEDERATED_TOKEN_FILE", "AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_AUTHORITY_HOST", "IDENTITY_ENDPOINT", "MSI_ENDPOINT"} {
		t.Setenv(name, "")
	}
}

// pod sets the environment that AKS' webhook gives to a pod.
func pod(t *testing.T) {
	t.Helper()
	nobody(t)
	file := filepath.Join(t.TempDir(), "azure-identity-token")
	require.NoError(t, os.WriteFile(file, []byte(assertion), 0o600))
	t.Setenv("AZURE_FEDERATED_TOKEN_FILE", file)
	t.Setenv("AZURE_CLIENT_ID", "a-client")
	t.Setenv("AZURE_TENANT_ID", "a-tenant")
	t.Setenv("AZURE_AUTHORITY_HOST", authority+"/")
}

// ambient is a provider without a token, whose client is that of e.
func ambient(t *testing.T, e *entra, namespace string, ca *testca.Authority) notify.Provider {
	t.Helper()
	s := providertest.Complete(t, notify.Settings{Address: hub, Channel: namespace, TLS: trusting(ca)})
	s.HTTP = &http.Client{Transport: e.transport, CheckRedirect: httpsend.NoRedirects}
	azureeventhub.TrustEveryHost(t)
	p, err := azureeventhub.New(s)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.(notify.Stopper).Shutdown(context.Background())) })
	return p
}

func TestWorkloadIdentity(t *testing.T) {
	ca := testca.New(t)
	b, e := run(t, options{ca: ca, jwt: []string{access}}), newEntra(t, ca)
	pod(t)
	p := ambient(t, e, b.host(), ca)
	require.NoError(t, deliver(t, p, "by a pod"))
	assert.Equal(t, "by a pod", b.next("message").Body)
	assert.Equal(t, access, b.next("token").Token)
	require.Len(t, e.requests(), 1)
	asked := e.requests()[0]
	assert.Equal(t, http.MethodPost, asked.Method)
	assert.Equal(t, "login.entra.example", asked.Host)
	assert.Equal(t, "/a-tenant/oauth2/v2.0/token", asked.URL.Path)
	for name, want := range map[string]string{
		"grant_type": "client_credentials", "client_id": "a-client", "client_assertion": assertion,
		"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
	} {
		assert.Equal(t, want, asked.Form.Get(name), name)
	}
	assert.Contains(t, asked.Form.Get("scope"), "https://eventhubs.azure.net//.default")

	b.repeatsTokens()
	refused := failure(t, deliver(t, ambient(t, e, b.host(), ca), "x"), access)
	assert.Equal(t, "401", refused.Type)
	assert.Contains(t, refused.Error(), "no good: [REDACTED]")
}

func TestManagedIdentity(t *testing.T) {
	ca := testca.New(t)
	b, e := run(t, options{ca: ca, jwt: []string{access}}), newEntra(t, ca)
	for _, client := range []string{"", "a-client"} {
		nobody(t)
		t.Setenv("AZURE_CLIENT_ID", client)
		require.NoError(t, deliver(t, ambient(t, e, b.host(), ca), "by a machine"))
		assert.Equal(t, "by a machine", b.next("message").Body)
		asked := e.requests()[len(e.requests())-1]
		assert.Equal(t, http.MethodGet, asked.Method)
		assert.Equal(t, "169.254.169.254", asked.Host)
		assert.Equal(t, "/metadata/identity/oauth2/token", asked.URL.Path)
		assert.Equal(t, "true", asked.Header.Get("Metadata"))
		assert.Equal(t, "https://eventhubs.azure.net/", asked.Form.Get("resource"))
		assert.Equal(t, client, asked.Form.Get("client_id"))
	}
}

func TestNoToken(t *testing.T) {
	ca := testca.New(t)
	e := newEntra(t, ca)
	b := run(t, options{ca: ca})
	for name, environment := range map[string]func(*testing.T){"a pod": pod, "a machine": nobody} {
		environment(t)
		for _, c := range []struct {
			status int
			retry  string
			class  notify.Class
			delay  time.Duration
		}{
			{http.StatusUnauthorized, "", notify.Permanent, 0},
			{http.StatusForbidden, "", notify.Permanent, 0},
			{http.StatusTooManyRequests, "7", notify.Throttled, 7 * time.Second},
			{http.StatusInternalServerError, "", notify.Retryable, 0},
			{http.StatusServiceUnavailable, "9", notify.Throttled, 9 * time.Second},
			{http.StatusGone, "", notify.Retryable, 0},
		} {
			e.answers(func(w http.ResponseWriter, _ *http.Request) {
				if c.retry != "" {
					w.Header().Set("Retry-After", c.retry)
				}
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, `{"error":"invalid_client","error_description":"AADSTS700213: no matching federated identity record"}`)
			})
			before := len(e.requests())
			p := ambient(t, e, b.host(), ca)
			failed := failure(t, deliver(t, p, "x"), assertion)
			assert.Equal(t, c.class, failed.Class, "%s: %d", name, c.status)
			assert.Equal(t, fmt.Sprint(c.status), failed.Type, name)
			assert.Equal(t, c.delay, failed.Delay, "%s: %d", name, c.status)
			assert.Contains(t, failed.Error(), "AADSTS700213: no matching federated identity record", name)
			assert.Equal(t, 1, len(e.requests())-before, "%s: %d: nothing is repeated in here", name, c.status)
		}
	}
}

// An endpoint of tokens that is away, or says nothing, holds nobody up.
func TestTokenEndpointAway(t *testing.T) {
	ca := testca.New(t)
	e := newEntra(t, ca)
	b := run(t, options{ca: ca})
	nobody(t)
	release := make(chan struct{})
	defer close(release)
	e.answers(func(http.ResponseWriter, *http.Request) { <-release })
	p := ambient(t, e, b.host(), ca)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	assert.Equal(t, "timeout", failure(t, p.Deliver(ctx, notify.Payload{Body: []byte("x")})).Type)
	shutsDown(t, p)

	e.transport.DialContext = func(context.Context, string, string) (net.Conn, error) { return nil, syscall.ECONNREFUSED }
	failed := failure(t, deliver(t, ambient(t, e, b.host(), ca), "x"))
	assert.Equal(t, notify.Retryable, failed.Class)
	assert.Equal(t, "connection", failed.Type)
	assert.Contains(t, failed.Error(), "connection refused")
}

// A host that is not Microsoft's gets no token of the collector. No request is sent, not
// even to the identity service.
func TestTheIdentityIsForAzureOnly(t *testing.T) {
	pod(t)
	e := newEntra(t, testca.New(t))
	create := func(host, token string) error {
		s := providertest.Complete(t, notify.Settings{Address: hub, Channel: host, Token: token})
		s.HTTP = &http.Client{Transport: e.transport, CheckRedirect: httpsend.NoRedirects}
		p, err := azureeventhub.New(s)
		if err == nil {
			require.NoError(t, p.(notify.Stopper).Shutdown(context.Background()))
		}
		return err
	}
	for _, host := range []string{
		"127.0.0.1", "127.0.0.1:5671", "169.254.169.254", "eventhubs.example.com",
		"fluxv2.servicebus.windows.net.evil.example", "xservicebus.windows.net", "fluxv2.xservicebus.windows.net",
		"FLUXV2.SERVICEBUS.WINDOWS.NET.EVIL.EXAMPLE", "fluxv2.windows.net", "servicebus.windows.net.evil.example",
		"fluxv2.servicebus.windows.net:5672", "fluxv2.servicebus.windows.net:443", "fluxv2.servicebus.chinacloudapi.cn:80",
		"fluxv2.servicebus.chinacloudapi.com", "fluxv2.servicebus.usgovcloudapi.net.example",
	} {
		require.ErrorContains(t, create(host, ""), "channel: the collector's own Azure identity is used for Event Hubs namespaces in servicebus.windows.net, ", host)
		require.NoError(t, create(host, "opaque-token"), "a token of its own goes to any host: %s", host)
	}
	for _, host := range []string{
		"fluxv2.servicebus.windows.net.", "[::1]", "[::1]:5671", "fluxv2.servicebus.windows.net@evil.example",
		"evil.example/fluxv2.servicebus.windows.net", "evil.example#.servicebus.windows.net", "evil.example?.servicebus.windows.net",
		"evil.example\n.servicebus.windows.net", "https://fluxv2.servicebus.windows.net", " fluxv2.servicebus.windows.net",
	} {
		require.ErrorContains(t, create(host, ""), "channel: ", "%q", host)
	}
	assert.Empty(t, e.requests())
	for _, host := range []string{
		"fluxv2", "fluxv2.servicebus.windows.net", "FLUXV2.servicebus.usgovcloudapi.net", "fluxv2.ServiceBus.ChinaCloudApi.cn",
	} {
		require.NoError(t, create(host, ""), host)
	}
}

func TestHalfAWorkloadIdentity(t *testing.T) {
	pod(t)
	require.NoError(t, os.Unsetenv("AZURE_TENANT_ID")) // t.Setenv has noted what it was
	_, err := azureeventhub.New(providertest.Complete(t, notify.Settings{Address: hub, Channel: "fluxv2"}))
	require.ErrorContains(t, err, "token: is not set, and AZURE_FEDERATED_TOKEN_FILE announces a workload identity without AZURE_CLIENT_ID or AZURE_TENANT_ID")
}
