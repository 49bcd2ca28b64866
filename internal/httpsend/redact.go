package httpsend

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/text"
)

const (
	// maxQuote is how much of an endpoint's answer an error quotes, in bytes.
	maxQuote = 512
	// minMask is the shortest secret that is masked where it stands; a text
	// with a shorter one in it is withheld, since masking it would show it.
	minMask = 6

	masked   = "[REDACTED]"
	withheld = "[withheld: it contains a secret]"
)

// redactor removes the secrets of one target from texts.
type redactor struct {
	replacer *strings.Replacer
	short    []string
}

func newRedactor(s notify.Settings, address *url.URL) redactor {
	secrets := []string{s.Password, s.Token, s.Address, address.RawQuery}
	if s.Username != "" || s.Password != "" {
		secrets = append(secrets, base64.StdEncoding.EncodeToString([]byte(s.Username+":"+s.Password)))
	}
	if password, ok := address.User.Password(); ok {
		secrets = append(secrets, password, base64.StdEncoding.EncodeToString([]byte(address.User.Username()+":"+password)))
	}
	for _, h := range s.Headers {
		secrets = append(secrets, h.Value)
	}
	for _, value := range s.Secrets {
		secrets = append(secrets, value)
	}
	for _, values := range address.Query() {
		secrets = append(secrets, values...)
	}
	// A webhook's path is its password.
	if len(address.Path) >= minMask {
		secrets = append(secrets, address.Path, address.EscapedPath())
	}
	return redact(secrets)
}

func redact(secrets []string) redactor {
	var r redactor
	var all []string
	for _, secret := range secrets {
		secret = strings.TrimSpace(secret)
		for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret), inJSON(secret)} {
			if form != "" && !slices.Contains(all, form) {
				all = append(all, form)
			}
		}
	}
	// The longest first, so that no secret hides another that contains it.
	slices.SortStableFunc(all, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	var pairs []string
	for _, form := range all {
		if len(form) < minMask {
			r.short = append(r.short, form)
			continue
		}
		pairs = append(pairs, form, masked)
	}
	r.replacer = strings.NewReplacer(pairs...)
	return r
}

func inJSON(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return ""
	}
	return strings.Trim(string(b), `"`)
}

func (r redactor) redact(s string) string {
	s = r.replacer.Replace(s)
	for _, secret := range r.short {
		if strings.Contains(strings.ReplaceAll(s, masked, ""), secret) {
			return withheld
		}
	}
	return s
}

// quote is what an error shows of an endpoint's answer.
func (r redactor) quote(body []byte) string {
	s := strings.TrimSpace(strings.ToValidUTF8(string(body), "\uFFFD"))
	return text.Printable(text.Shorten(r.redact(s), text.InBytes, maxQuote))
}

// clean is an error of our own stack without secrets in its text. What it wraps
// is still found by errors.Is and errors.As. Short secrets stay: that stack
// quotes a host at most, and withholding its text would hide the cause.
func (r redactor) clean(err error) error {
	before := err.Error()
	if after := text.Printable(r.replacer.Replace(before)); after != before {
		return redacted{error: err, text: after}
	}
	return err
}

type redacted struct {
	error
	text string
}

func (e redacted) Error() string { return e.text }

func (e redacted) Unwrap() error { return e.error }
