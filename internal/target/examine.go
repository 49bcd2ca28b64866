package target

import "github.com/fluxnotify/otelcol-flux/internal/providers"

// Examine returns the settings without which notifications fail, and warnings. It is for
// Providers from a source, whose authors are not trusted like the operator of the
// collector. Each begins with the key that it is about. The settings must have passed Check.
func (c *Config) Examine() (missing, warnings []string) {
	row, known := providers.Find(c.Type)
	if !known {
		return nil, nil
	}
	r, err := c.resolve(row, "")
	if err != nil {
		return nil, nil
	}
	missing, warnings = r.missing, r.warnings[:len(r.warnings)-len(r.missing)]
	if row.OwnIdentity != nil && row.OwnIdentity(r.settings) && (r.client.ProxyURL != "" || r.tlsGiven) {
		// A Provider's author could read the collector's token at a proxy of his.
		missing = append(missing, "token: must be set with a proxy or a certificate of the Provider's own: the collector's own identity is used without them only")
	}
	return missing, warnings
}
