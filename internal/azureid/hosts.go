package azureid

import (
	"net/url"
	"strings"
)

// Trusts reports whether a token of the collector's own identity may be sent to an
// address: it must be https, on the usual port, and its host one of the domains or below
// one. The author of a provider chooses the address, and must not receive a token of the
// collector.
func Trusts(address *url.URL, domains ...string) bool {
	return address.Scheme == "https" && (address.Port() == "" || address.Port() == "443") && TrustsHost(address.Hostname(), domains...)
}

// TrustsHost reports whether a host is one of the domains, or below one.
func TrustsHost(host string, domains ...string) bool {
	host = strings.ToLower(host)
	for _, domain := range domains {
		if host == domain || strings.HasSuffix(host, "."+domain) {
			return true
		}
	}
	return false
}
