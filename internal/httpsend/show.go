package httpsend

import (
	"bytes"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// Redaction shows people a request that is not sent, without its secrets.
type Redaction struct {
	secrets redactor
	open    bool
	query   url.Values // of the address: its values may be keys, and so may its names
}

// NewRedaction knows the secrets of settings. openAddress says that the path of
// the address is none.
func NewRedaction(s notify.Settings, openAddress bool) Redaction {
	address, err := url.Parse(s.Address)
	if err != nil {
		address = &url.URL{}
	}
	return Redaction{secrets: redact(credentials(s, address)), open: openAddress, query: address.Query()}
}

// URL shows where a request goes. added is what the payload added to the path of
// the address.
func (r Redaction) URL(u *url.URL, added string) string {
	shown := u.Scheme + "://" + u.Host
	path := strings.TrimSuffix(u.EscapedPath(), added)
	switch {
	case r.open:
		shown += r.secrets.redact(path)
	case strings.Trim(path, "/") == "":
		shown += path
	default:
		shown += "/" + masked
	}
	shown += r.secrets.redact(added)
	query := u.Query()
	for i, name := range slices.Sorted(maps.Keys(query)) {
		separator := "&"
		if i == 0 {
			separator = "?"
		}
		shown += separator + r.parameter(name, query.Get(name))
	}
	return shown
}

func (r Redaction) parameter(name, value string) string {
	switch {
	case !r.query.Has(name): // what the type itself adds
		return r.secrets.redact(url.QueryEscape(name) + "=" + url.QueryEscape(value))
	case value == "":
		return masked
	}
	return url.QueryEscape(name) + "=" + masked
}

// Address shows an address that is not one of HTTP: one URL or several, or a
// name. Anything else may be a key.
func (r Redaction) Address(address string) string {
	servers := strings.Split(address, ",")
	for i, server := range servers {
		server = strings.TrimSpace(server)
		u, err := url.Parse(server)
		switch {
		case err == nil && u.Host != "":
			servers[i] = r.secretless(u)
		case isName(server):
			servers[i] = server
		default:
			return masked
		}
	}
	return strings.Join(servers, ",")
}

func (r Redaction) secretless(u *url.URL) string {
	shown := u.Scheme + "://" + u.Host
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		shown += "/" + masked
	}
	return shown
}

func isName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.:", r)
	})
}

// plainHeaders are those whose values are nobody's secret. A signature is not
// one either: it is of what is shown beside it.
var plainHeaders = []string{
	"Accept", "Content-Encoding", "Content-Type", "Gotk-Component", "Idempotency-Key",
	"User-Agent", "X-Github-Api-Version", "X-Signature",
}

// schemes are those of Authorization that are shown.
var schemes = []string{"Basic ", "Bearer ", "GenieKey ", "Sentry "}

// Header shows the value of a header.
func (r Redaction) Header(name, value string) string {
	if slices.Contains(plainHeaders, http.CanonicalHeaderKey(name)) {
		return r.secrets.redact(value)
	}
	for _, scheme := range schemes {
		if strings.HasPrefix(value, scheme) {
			return scheme + masked
		}
	}
	return masked
}

// Body shows what is sent, to the byte, but for credentials in it. Of those that
// are so short that they may stand in any text, only whole JSON strings are
// masked.
func (r Redaction) Body(body []byte) []byte {
	shown := r.secrets.replacer.Replace(string(body))
	for _, secret := range r.secrets.short {
		shown = strings.ReplaceAll(shown, `"`+secret+`"`, `"`+masked+`"`)
	}
	if shown == string(body) {
		return bytes.Clone(body)
	}
	return []byte(shown)
}
