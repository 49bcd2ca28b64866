package azuredevops

import (
	"net/url"
	"testing"
)

// Trust lets the identity speak to a test's server.
func Trust(t *testing.T, host string) {
	t.Helper()
	before := trusts
	trusts = func(api *url.URL) bool { return api.Host == host }
	t.Cleanup(func() { trusts = before })
}
