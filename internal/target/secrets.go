package target

import (
	"errors"
	"fmt"
	"net/url"

	"go.opentelemetry.io/collector/config/configopaque"

	"github.com/fluxnotify/otelcol-flux/internal/providers"
	"github.com/fluxnotify/otelcol-flux/internal/secretdir"
)

// secretSource is where the keys of one Secret come from: the configuration
// itself, or a folder, which wins.
type secretSource struct {
	key    string
	inline map[string]configopaque.String
	dir    string
	apply  func(r *resolved, of string, secret secretdir.Secret, row providers.Row) error
}

// secretSources are the three Secrets that a Flux Provider can refer to, in the
// order in which they override each other.
func (c *Config) secretSources() []secretSource {
	return []secretSource{
		{"secret", c.Secret, c.SecretDir, (*resolved).apply},
		{"cert_secret", c.CertSecret, c.CertSecretDir, (*resolved).applyCertSecret},
		{"proxy_secret", c.ProxySecret, c.ProxySecretDir, (*resolved).applyProxySecret},
	}
}

// secretDirs are the folders to watch, by the setting that names each.
func (c *Config) secretDirs() map[string]string {
	dirs := map[string]string{}
	for _, source := range c.secretSources() {
		if source.dir != "" {
			dirs[source.key+"_dir"] = source.dir
		}
	}
	return dirs
}

// applySecrets puts the values of the secrets in the place of settings.
func (r *resolved) applySecrets(c *Config, row providers.Row) error {
	for _, source := range c.secretSources() {
		if len(source.inline) > 0 {
			secret := secretdir.Secret{}
			for name, value := range source.inline {
				secret[name] = []byte(value)
			}
			if err := source.apply(r, source.key, secret, row); err != nil {
				return fmt.Errorf("%s: %w", source.key, err)
			}
		}
		if source.dir == "" {
			continue
		}
		of := source.key + "_dir"
		secret, err := secretdir.Read(source.dir)
		if err != nil {
			return fmt.Errorf("%s: %w", of, err)
		}
		if err := source.apply(r, of, secret, row); err != nil {
			return fmt.Errorf("%s: %w", of, err)
		}
	}
	return nil
}

// applyCertSecret takes certificates alone, as Flux does of a certSecretRef.
func (r *resolved) applyCertSecret(of string, secret secretdir.Secret, _ providers.Row) error {
	return r.applyTLS(of, secret)
}

// applyProxySecret puts the proxy's address and its credentials together.
func (r *resolved) applyProxySecret(_ string, secret secretdir.Secret, row providers.Row) error {
	if httpOnly(row) == providers.Unused {
		return nil
	}
	address := trimmed(secret["address"])
	if address == "" {
		return errors.New("address: must be set to the URL of the proxy")
	}
	proxy, err := url.Parse(address)
	if err != nil {
		return errors.New("address: must be a URL such as http://proxy.example.com:3128")
	}
	username, password := trimmed(secret["username"]), trimmed(secret["password"])
	switch {
	case username != "" && password != "":
		proxy.User = url.UserPassword(username, password)
	case username != "":
		proxy.User = url.User(username)
	case password != "":
		return errors.New("username: must be set where there is a password")
	}
	r.client.ProxyURL = proxy.String()
	return nil
}
