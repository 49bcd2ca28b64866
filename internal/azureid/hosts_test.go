package azureid

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTrusts(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"https://dev.azure.com/o":                   true,
		"https://DEV.azure.com:443/o":               true,
		"https://org.visualstudio.com/o":            true,
		"http://dev.azure.com/o":                    false,
		"https://dev.azure.com:8443/o":              false,
		"https://dev.azure.com.evil.example/o":      false,
		"https://dev.azure.com./o":                  false,
		"https://xvisualstudio.com/o":               false,
		"https://evildev.azure.com/o":               false,
		"https://dev.azure.com@evil.example/o":      false,
		"https://127.0.0.1/dev.azure.com":           false,
		"https://[::1]/o":                           false,
		"https:///o":                                false,
		"ssh://dev.azure.com/o":                     false,
		"https://evil.example/?x=.visualstudio.com": false,
	} {
		u, err := url.Parse(address)
		require.NoError(t, err)
		assert.Equal(t, want, Trusts(u, "dev.azure.com", "visualstudio.com"), address)
	}
}
