package target

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/fluxnotify/otelcol-flux/internal/providers"
	"github.com/fluxnotify/otelcol-flux/internal/secretdir"
)

// FuzzSecret looks for a secret folder that breaks its reader, or that is
// refused with a word of what is in it.
func FuzzSecret(f *testing.F) {
	f.Add("headers", "X-Team: platform\nX-Number: 7\n", "s3cr3t-token")
	f.Add("headers", "{a: [b, {c: d}]}", "s3cr3t-token")
	f.Add("headers", "a: &a [*a]", "s3cr3t-token")
	f.Add("headers", "? {x: y}\n: z", "s3cr3t-token")
	f.Add("headers", "s3cr3t-value with spaces: x", "")
	f.Add("ca.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "")
	f.Add("tls.crt", "s3cr3t", "s3cr3t")
	f.Add("proxy", "http://user:s3cr3t@[::1", "s3cr3t")
	f.Add("address", "https://user:s3cr3t@example.com/%zz", "")
	f.Add("creds", "-----BEGIN NATS USER JWT-----", "SUAM")
	f.Add("caFile", "", "")
	f.Fuzz(func(t *testing.T, key, value, token string) {
		secret := secretdir.Secret{key: []byte(value), "token": []byte(token), "tls.key": []byte(value)}
		for _, row := range providers.Table {
			config := sampleConfig(row)
			r, err := config.resolve(row, "uid")
			if err != nil {
				t.Fatalf("%s: the sample: %v", row.Type, err)
			}
			if err = r.apply("secret_dir", secret, row); err == nil {
				err = r.checkProxy()
			}
			if err == nil {
				continue
			}
			for _, hidden := range []string{strings.TrimSpace(value), strings.TrimSpace(token)} {
				if len(hidden) > 20 {
					assert.NotContains(t, err.Error(), hidden, row.Type)
				}
			}
		}
	})
}
