package fluxeventreceiver

import (
	"net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
)

// FuzzSignature looks for a header that is taken for the signature of a body
// and is none.
func FuzzSignature(f *testing.F) {
	const key = "fuzzed-key"
	for _, algorithm := range []string{"sha224", "sha256", "sha384", "sha512"} {
		f.Add(sign(algorithm, key, "{}"), "", []byte("{}"))
	}
	f.Add("sha1=0000", "", []byte("{}"))
	f.Add("sha256="+sign("sha256", key, "{}"), "sha256=", []byte("{}"))
	f.Add("none=", "", []byte(""))
	v := newVerifier(&SignatureConfig{Keys: opaque("another-key", key)})
	f.Fuzz(func(t *testing.T, first, second string, body []byte) {
		header := http.Header{signatureHeader: {first}}
		right := second == "" && slices.ContainsFunc([]string{"sha224", "sha256", "sha384", "sha512"}, func(algorithm string) bool {
			return slices.ContainsFunc([]string{"another-key", key}, func(k string) bool { return first == sign(algorithm, k, string(body)) })
		})
		if second != "" {
			header.Add(signatureHeader, second)
		}
		err := v.verify(header, body, "")
		assert.Equal(t, right, err == nil, "%q %q", first, second)
		if err != nil && first != "" {
			assert.Contains(t, []error{errBadSignature, errUnsigned}, err, "the answer depends on the header")
		}
	})
}
