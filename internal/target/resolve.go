package target

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configtls"
	"go.yaml.in/yaml/v3"
	"golang.org/x/net/http/httpguts"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers"
	"github.com/fluxnotify/otelcol-flux/internal/secretdir"
)

// resolved is the configuration with the secret folder's values in place.
type resolved struct {
	settings notify.Settings
	client   confighttp.ClientConfig
	// tlsGiven reports whether anything of TLS is configured: a bus speaks TLS
	// only then, or as its address says.
	tlsGiven bool
	// missing are the settings without which notifications fail.
	missing  []string
	warnings []string
}

// resolve puts the values of the secrets in place. Whatever is broken in one is
// an error that names the key; what is merely missing is left to the settings.
func (c *Config) resolve(row providers.Row, uid string) (resolved, error) {
	r := resolved{
		settings: notify.Settings{
			Address:        string(c.Address),
			Channel:        c.Channel,
			Username:       c.Username,
			Password:       string(c.Password),
			Token:          string(c.Token),
			Namespace:      c.Namespace,
			UID:            uid,
			JetStream:      c.JetStream,
			Ordering:       c.Ordering,
			ConnectTimeout: c.ClientConfig.Timeout,
			Secrets:        map[string]string{},

			CommitStatusExpr: c.CommitStatusExpr,
		},
		client: c.ClientConfig,
	}
	for name, value := range c.ClientConfig.Headers.Iter {
		if err := r.addHeader(name, string(value)); err != nil {
			return resolved{}, fmt.Errorf("headers: %w", err)
		}
	}
	r.client.Headers = nil // the provider sets them, where it means to
	if err := r.applySecrets(c, row); err != nil {
		return resolved{}, err
	}
	if err := r.checkProxy(); err != nil {
		return resolved{}, err
	}
	if err := r.checkRequired(row, c); err != nil {
		return resolved{}, err
	}
	r.tlsGiven = !reflect.DeepEqual(r.client.TLS, configtls.NewDefaultClientConfig())
	return r, nil
}

// apply lets the keys of a secret override settings. Those that the type does
// not use are ignored, as in Flux: a Secret may serve several readers.
func (r *resolved) apply(of string, secret secretdir.Secret, row providers.Row) error {
	s := &r.settings
	for _, key := range []struct {
		name   string
		target *string
		use    providers.Use
	}{
		{"address", &s.Address, row.Address},
		{"username", &s.Username, row.Username},
		{"password", &s.Password, row.Password},
		{"token", &s.Token, row.Token},
		{"proxy", &r.client.ProxyURL, httpOnly(row)},
	} {
		value, ok := secret[key.name]
		if !ok || key.use == providers.Unused {
			continue
		}
		*key.target = trimmed(value)
		if key.name == "token" && row.RawToken {
			*key.target = string(value)
		}
	}
	for _, name := range row.Secrets {
		if value, ok := secret[name]; ok {
			s.Secrets[name] = trimmed(value)
		}
	}
	if value, ok := secret["headers"]; ok && row.Headers != providers.Unused {
		if err := r.addHeaders(value); err != nil {
			return fmt.Errorf("headers: %w", err)
		}
	}
	return r.applyTLS(of, secret)
}

// trimmed drops the white space that editors and shells leave around a value.
func trimmed(value []byte) string { return strings.TrimSpace(string(value)) }

func (r *resolved) addHeaders(text []byte) error {
	var headers map[string]yaml.Node
	if err := yaml.Unmarshal(text, &headers); err != nil {
		return errors.New("is not a YAML map of header names and values")
	}
	names := make([]string, 0, len(headers))
	for name := range headers {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		node := headers[name]
		if node.Kind != yaml.ScalarNode {
			return fmt.Errorf("the value of %s is not a text or a number", name)
		}
		value := node.Value
		if node.Tag == "!!null" {
			value = ""
		}
		if err := r.addHeader(name, value); err != nil {
			return err
		}
	}
	return nil
}

func (r *resolved) addHeader(name, value string) error {
	if !httpguts.ValidHeaderFieldName(name) {
		// Not quoted: in a file that is no YAML, a secret may stand in its place.
		return errors.New("one of the names is not that of a header")
	}
	value = strings.TrimRight(value, "\r\n")
	if !httpguts.ValidHeaderFieldValue(value) {
		return fmt.Errorf("the value of %s has characters that a header cannot have", name)
	}
	r.settings.Headers = append(r.settings.Headers, notify.Header{Name: name, Value: value})
	return nil
}

// deprecatedTLS are the names that Flux gave to the keys first.
var deprecatedTLS = []struct{ old, name string }{
	{"caFile", "ca.crt"},
	{"certFile", "tls.crt"},
	{"keyFile", "tls.key"},
}

func (r *resolved) applyTLS(of string, secret secretdir.Secret) error {
	pem := map[string][]byte{}
	for _, key := range deprecatedTLS {
		if value, ok := secret[key.old]; ok {
			r.warnings = append(r.warnings, fmt.Sprintf("%s: the key %s is deprecated, call it %s", of, key.old, key.name))
			pem[key.name] = value
		}
		if value, ok := secret[key.name]; ok {
			pem[key.name] = value
		}
	}
	target := &r.client.TLS
	if ca, ok := pem["ca.crt"]; ok {
		if !x509.NewCertPool().AppendCertsFromPEM(ca) {
			return errors.New("ca.crt: holds no certificate in PEM form")
		}
		target.CAFile, target.CAPem = "", configopaque.String(ca)
	}
	cert, hasCert := pem["tls.crt"]
	key, hasKey := pem["tls.key"]
	switch {
	case hasCert != hasKey:
		return errors.New("tls.crt, tls.key: one is missing, they go together")
	case hasCert:
		if _, err := tls.X509KeyPair(cert, key); err != nil {
			return errors.New("tls.crt, tls.key: are not a certificate and its key in PEM form")
		}
		target.CertFile, target.CertPem = "", configopaque.String(cert)
		target.KeyFile, target.KeyPem = "", configopaque.String(key)
	}
	return nil
}

func (r *resolved) checkProxy() error {
	if r.client.ProxyURL == "" {
		return nil
	}
	u, err := url.Parse(r.client.ProxyURL)
	if err != nil || u.Host == "" || !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme) {
		return errors.New("proxy_url: must be a URL such as http://proxy.example.com:3128 (a secret overrides it)")
	}
	return nil
}

// checkRequired refuses what can never work, and notes what cannot work yet.
func (r *resolved) checkRequired(row providers.Row, c *Config) error {
	var errs []error
	for _, s := range []struct {
		key, value string
		use        providers.Use
		inSecret   bool
	}{
		{"address", r.settings.Address, row.Address, true},
		{"channel", r.settings.Channel, row.Channel, false},
		{"username", r.settings.Username, row.Username, true},
		{"password", r.settings.Password, row.Password, true},
		{"token", r.settings.Token, row.Token, true},
	} {
		if s.value != "" {
			continue
		}
		hint := ""
		switch {
		case s.inSecret && c.SecretDir != "":
			hint = ", here or as the file " + s.key + " of secret_dir"
		case s.inSecret && len(c.Secret) > 0:
			hint = ", here or as the key " + s.key + " of secret"
		}
		message := fmt.Sprintf("%s: must be set for the type %s%s", s.key, row.Type, hint)
		switch s.use {
		case providers.Required:
			errs = append(errs, errors.New(message))
		case providers.Expected:
			r.missing = append(r.missing, message)
			r.warnings = append(r.warnings, message+"; until then its notifications fail")
		}
	}
	return errors.Join(errs...)
}
