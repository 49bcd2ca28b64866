package target

import "github.com/fluxnotify/otelcol-flux/internal/providers"

// Examine returns the settings without which notifications fail, and warnings. Each
// begins with the key that it is about. The settings must have passed Check.
func (c *Config) Examine() (missing, warnings []string) {
	row, known := providers.Find(c.Type)
	if !known {
		return nil, nil
	}
	r, err := c.resolve(row, "")
	if err != nil {
		return nil, nil
	}
	return r.missing, r.warnings[:len(r.warnings)-len(r.missing)]
}
