package azureeventhub

import "testing"

// TrustEveryHost lets the identity speak to a test's broker.
func TrustEveryHost(t *testing.T) {
	t.Helper()
	before := trusts
	trusts = func(string) bool { return true }
	t.Cleanup(func() { trusts = before })
}
