package target

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configopaque"

	"github.com/fluxnotify/otelcol-flux/internal/testca"
)

// The collector's own identity is not used through a Provider's proxy or authority, where
// its author could read the token.
func TestTheOwnIdentityIsNotUsedThroughAProvidersProxy(t *testing.T) {
	t.Parallel()
	const proxy = "http://proxy.evil.example:3128"
	ca := configopaque.String(testca.New(t).PEM())
	for name, test := range map[string]struct {
		change func(*Config)
		safe   bool
	}{
		"alone":          {func(*Config) {}, true},
		"proxy_url":      {func(c *Config) { c.ClientConfig.ProxyURL = proxy }, false},
		"proxy secret":   {func(c *Config) { c.ProxySecret = map[string]configopaque.String{"address": proxy} }, false},
		"secret's proxy": {func(c *Config) { c.Secret = map[string]configopaque.String{"proxy": proxy} }, false},
		"certificate":    {func(c *Config) { c.CertSecret = map[string]configopaque.String{"ca.crt": ca} }, false},
		"secret's ca":    {func(c *Config) { c.Secret = map[string]configopaque.String{"ca.crt": ca} }, false},
		"its own token":  {func(c *Config) { c.ClientConfig.ProxyURL, c.Token = proxy, "pat" }, true},
	} {
		config := NewConfig()
		config.Type, config.Address = "azuredevops", "https://dev.azure.com/organization/project/_git/repository"
		test.change(&config)
		missing, _ := config.Examine()
		if test.safe {
			assert.Empty(t, missing, name)
			continue
		}
		require.Len(t, missing, 1, name)
		assert.Contains(t, missing[0], "token: must be set with a proxy or a certificate", name)
	}
	for _, providerType := range []string{"azureeventhub", "googlepubsub"} {
		config := NewConfig()
		config.Type, config.Address, config.Channel = providerType, "flux-events", "fluxv2"
		missing, _ := config.Examine()
		assert.Empty(t, missing, providerType)
		config.CertSecret = map[string]configopaque.String{"ca.crt": ca}
		missing, _ = config.Examine()
		assert.Len(t, missing, 1, providerType)
	}
}
