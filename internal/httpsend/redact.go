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
	// minSegment is the shortest part of a path that is taken for a secret of
	// its own. Webhooks' are longer, the words of APIs shorter.
	minSegment = 18

	masked   = "[REDACTED]"
	withheld = "[withheld: it contains a secret]"
)

// redactor removes the secrets of one target from texts.
type redactor struct {
	secrets  []string
	replacer *strings.Replacer
	short    []string
}

// and is a redactor of further secrets.
func (r redactor) and(secrets ...string) redactor { return redact(append(secrets, r.secrets...)) }

func newRedactor(s notify.Settings, address *url.URL) redactor {
	secrets := credentials(s, address)
	// A webhook's path is its password, and may be quoted in part.
	if len(address.Path) >= minMask {
		secrets = append(secrets, address.Path, address.EscapedPath())
	}
	return redact(secrets)
}

// credentials are what is secret in settings, but for a whole path. Of a query
// and of headers, what is shorter than minMask is none: it is a tenant or a
// version, and would withhold every answer that has the same letters in it.
func credentials(s notify.Settings, address *url.URL) []string {
	secrets := []string{s.Password, s.Token, s.Address}
	if s.Username != "" || s.Password != "" {
		secrets = append(secrets, base64.StdEncoding.EncodeToString([]byte(s.Username+":"+s.Password)))
	}
	if address.User != nil {
		username := address.User.Username()
		password, ok := address.User.Password()
		secrets = append(secrets, password, base64.StdEncoding.EncodeToString([]byte(username+":"+password)))
		if !ok {
			secrets = append(secrets, username) // alone, it is a key
		}
	}
	for _, value := range s.Secrets {
		secrets = append(secrets, value)
	}
	perhaps := []string{address.RawQuery}
	for _, h := range s.Headers {
		perhaps = append(perhaps, h.Value)
	}
	for _, values := range address.Query() {
		perhaps = append(perhaps, values...)
	}
	for _, value := range perhaps {
		if len(strings.TrimSpace(value)) >= minMask {
			secrets = append(secrets, value)
		}
	}
	for _, segment := range strings.Split(address.EscapedPath(), "/") {
		if len(segment) < minSegment {
			continue
		}
		secrets = append(secrets, segment)
		if plain, err := url.PathUnescape(segment); err == nil {
			secrets = append(secrets, plain)
		}
	}
	return secrets
}

// Quoter makes what a peer has said fit for an error, for types that do not
// speak HTTP: without the secrets, printable, and no longer than such an answer.
func Quoter(secrets ...string) func(said string) string {
	r := redact(secrets)
	return func(said string) string { return r.quote([]byte(said)) }
}

func redact(secrets []string) redactor {
	r := redactor{secrets: secrets}
	var all []string
	for _, secret := range secrets {
		secret = strings.TrimSpace(secret)
		for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret), inJSON(secret, true), inJSON(secret, false)} {
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

// inJSON is s within a JSON string, as Go writes it for HTML or as most others do.
func inJSON(s string, forHTML bool) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(forHTML)
	if err := e.Encode(s); err != nil {
		return ""
	}
	quoted := strings.TrimSuffix(b.String(), "\n")
	return quoted[1 : len(quoted)-1]
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
	escape := func(r rune) string { return text.Printable(string(r)) }
	return text.Part{Text: r.redact(s), Escape: escape, Limit: maxQuote}.Render(text.InBytes)
}

// clean is an error of our own stack without secrets in its text. What it wraps
// is still found by errors.Is and errors.As. Short secrets stay: that stack
// quotes a host at most, and withholding its text would hide the cause.
func (r redactor) clean(err error) error {
	before := err.Error()
	if after := text.Printable(r.replacer.Replace(before)); after != before {
		return reworded{error: err, text: after}
	}
	return err
}

// reworded is an error with another text.
type reworded struct {
	error
	text string
}

func (e reworded) Error() string { return e.text }

func (e reworded) Unwrap() error { return e.error }
