package azureid_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/fluxnotify/otelcol-flux/internal/azureid"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const scope = "499b84ac-1321-427f-aa17-267ca6975798/.default"

// elsewhere brings every request to one server, and tells it of the host that
// was meant.
type elsewhere struct {
	next   http.RoundTripper
	server string
}

func (e elsewhere) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Host = r.URL.Host
	u, err := url.Parse(e.server)
	if err != nil {
		return nil, err
	}
	r.URL.Scheme, r.URL.Host = u.Scheme, u.Host
	return e.next.RoundTrip(r)
}

func identity(t *testing.T, handler http.HandlerFunc) *azureid.Identity {
	t.Helper()
	s := providertest.Complete(t, notify.Settings{})
	s.HTTP.Transport = elsewhere{s.HTTP.Transport, providertest.Server(t, handler).URL}
	id, err := azureid.New(s, scope)
	require.NoError(t, err)
	return id
}

func clear(t *testing.T) {
	t.Helper()
	for _, name := range []string{
		"AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_AUTHORITY_HOST",
		"IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IDENTITY_SERVER_THUMBPRINT", "IMDS_ENDPOINT", "MSI_ENDPOINT", "MSI_SECRET",
	} {
		t.Setenv(name, "")
	}
}

// TestWorkloadIdentity is a pod in AKS: the token of its service account is
// exchanged for one of Microsoft Entra.
func TestWorkloadIdentity(t *testing.T) {
	clear(t)
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte("service-account-token"), 0o600))
	t.Setenv("AZURE_CLIENT_ID", "00000000-0000-0000-0000-00000000000a")
	t.Setenv("AZURE_TENANT_ID", "00000000-0000-0000-0000-00000000000b")
	t.Setenv("AZURE_FEDERATED_TOKEN_FILE", file)
	id := identity(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "login.microsoftonline.com", r.Host)
		const tenant = "https://login.microsoftonline.com/00000000-0000-0000-0000-00000000000b"
		switch {
		case strings.HasSuffix(r.URL.Path, "/discovery/instance"):
			_, _ = fmt.Fprintf(w, `{"tenant_discovery_endpoint":"%s/v2.0/.well-known/openid-configuration","metadata":[{"preferred_network":"login.microsoftonline.com","preferred_cache":"login.windows.net","aliases":["login.microsoftonline.com"]}]}`, tenant)
		case strings.HasSuffix(r.URL.Path, "/openid-configuration"):
			_, _ = fmt.Fprintf(w, `{"token_endpoint":"%s/oauth2/v2.0/token","authorization_endpoint":"%s/oauth2/v2.0/authorize","issuer":"%s/v2.0"}`, tenant, tenant, tenant)
		case strings.HasSuffix(r.URL.Path, "/oauth2/v2.0/token"):
			assert.NoError(t, r.ParseForm())
			assert.Equal(t, "service-account-token", r.PostForm.Get("client_assertion"))
			assert.Contains(t, r.PostForm.Get("scope"), scope)
			_, _ = io.WriteString(w, `{"access_token":"entra-token","token_type":"Bearer","expires_in":3600}`)
		default:
			t.Error(r.URL)
		}
	})
	authorization, err := id.Authorize(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "Bearer entra-token", authorization)
}

func TestWorkloadIdentityInPart(t *testing.T) {
	clear(t)
	t.Setenv("AZURE_FEDERATED_TOKEN_FILE", "token")
	require.NoError(t, os.Unsetenv("AZURE_CLIENT_ID"))
	_, err := azureid.New(providertest.Complete(t, notify.Settings{}), scope)
	require.ErrorContains(t, err, "token: is not set, and AZURE_FEDERATED_TOKEN_FILE")
}

// TestManagedIdentity is a machine in Azure, whose metadata service gives tokens;
// of a refusal, what matters is whether it can pass.
func TestManagedIdentity(t *testing.T) {
	clear(t)
	for i, c := range []struct {
		status int
		body   string
		class  notify.Class // 0: a token
	}{
		{400, `{"error":"invalid_request","error_description":"Identity not found"}`, notify.Permanent},
		{403, `{"error":"access_denied"}`, notify.Permanent},
		{404, "", notify.Retryable},
		{410, "updating", notify.Retryable},
		{429, `{"error":"too_many_requests"}`, notify.Throttled},
		{500, `{"error":"unknown"}`, notify.Retryable},
		{200, `<html>`, notify.Retryable},
		{200, fmt.Sprintf(`{"access_token":"entra-token","token_type":"Bearer","expires_in":"3600","expires_on":"%d","resource":"x"}`, time.Now().Add(time.Hour).Unix()), 0},
	} {
		t.Setenv("AZURE_CLIENT_ID", fmt.Sprintf("00000000-0000-0000-0000-%012d", i)) // tokens are kept by it
		requests := 0
		id := identity(t, func(w http.ResponseWriter, r *http.Request) {
			requests++
			assert.Equal(t, "169.254.169.254", r.Host)
			assert.Equal(t, "true", r.Header.Get("Metadata"))
			assert.Equal(t, "499b84ac-1321-427f-aa17-267ca6975798", r.URL.Query().Get("resource"))
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		})
		authorization, err := id.Authorize(t.Context())
		if c.class == 0 {
			require.NoError(t, err)
			assert.Equal(t, "Bearer entra-token", authorization)
			continue
		}
		var e *notify.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, c.class, e.Class, c.body)
		assert.Contains(t, e.Error(), "no token is set, and Azure's identity service gave none")
		assert.Equal(t, 1, requests, "the retry is the exporter's")
	}
}

func TestAway(t *testing.T) {
	clear(t)
	t.Setenv("AZURE_CLIENT_ID", "00000000-0000-0000-0000-00000000000c")
	ctx, cancel := context.WithCancel(t.Context())
	id := identity(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	_, err := id.Authorize(ctx)
	var e *notify.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, notify.Retryable, e.Class)
}
