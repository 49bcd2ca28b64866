package azuredevops_test

import (
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/azuredevops"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

// counting counts requests and sends none.
type counting struct{ requests atomic.Int32 }

func (c *counting) RoundTrip(*http.Request) (*http.Response, error) {
	c.requests.Add(1)
	return nil, http.ErrServerClosed
}

// TestIdentityAndHostileAddresses proves that only Azure DevOps Services gets a token of
// the collector's own identity. For any other address, no request is sent, not even to
// the identity service.
func TestIdentityAndHostileAddresses(t *testing.T) {
	t.Setenv("IDENTITY_ENDPOINT", "http://identity.example/msi/token")
	t.Setenv("IDENTITY_HEADER", "sample-identity")
	const repository = "/organization/project/_git/repository"
	for address, trusted := range map[string]bool{
		"https://dev.azure.com" + repository:                               true,
		"https://DEV.Azure.COM" + repository:                               true,
		"https://dev.azure.com:443" + repository:                           true,
		"https://user@dev.azure.com" + repository:                          true,
		"https://organization.visualstudio.com/project/_git/repository":    true,
		"git@ssh.dev.azure.com:v3/organization/project/repository":         true,
		"ssh://git@ssh.dev.azure.com:22/v3/organization/project/repo":      true,
		"http://dev.azure.com" + repository:                                false,
		"http://dev.azure.com:443" + repository:                            false,
		"https://dev.azure.com:8443" + repository:                          false,
		"https://dev.azure.com." + repository:                              false,
		"https://dev.azure.com.evil.example" + repository:                  false,
		"https://xdev.azure.com" + repository:                              false,
		"https://azure.com" + repository:                                   false,
		"https://xvisualstudio.com" + repository:                           false,
		"https://x.visualstudio.com.evil.example" + repository:             false,
		"https://dev.azure.com@evil.example" + repository:                  false,
		"https://evil.example/dev.azure.com/project/_git/repository":       false,
		"git@evil.example:dev.azure.com/project/_git/repository":           false,
		"ssh://git@dev.azure.com.evil.example/organization/project/_git/r": false,
		"https://127.0.0.1" + repository:                                   false,
		"https://169.254.169.254" + repository:                             false,
		"https://[::1]" + repository:                                       false,
		"https://[::ffff:127.0.0.1]:443" + repository:                      false,
	} {
		network := &counting{}
		s := providertest.Complete(t, notify.Settings{Address: address})
		s.HTTP = &http.Client{Transport: network, CheckRedirect: httpsend.NoRedirects}
		p, err := azuredevops.New(s)
		if trusted {
			require.NoError(t, err, address)
			require.Error(t, deliver(t, p, nil), address)
			assert.EqualValues(t, 1, network.requests.Load(), "the identity service is the first to get a request: %s", address)
			continue
		}
		require.ErrorContains(t, err, "token: must be set for this address", address)
		assert.Zero(t, network.requests.Load(), address)
		for _, own := range []notify.Settings{{Address: address, Token: "sample-token"}, {Address: address, Password: "sample-token"}} {
			_, err := azuredevops.New(providertest.Complete(t, own))
			require.NoError(t, err, "a token of its own goes to any address: %s", address)
		}
	}
}
