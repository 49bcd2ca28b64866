package fluxeventreceiver

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"hash"
	"net/http"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/config/configopaque"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
)

const signatureHeader = "X-Signature"

var (
	errUnsigned     = errors.New("the header X-Signature is missing")
	errBadSignature = errors.New("the signature does not match: expected X-Signature: <sha224|sha256|sha384|sha512>=<hex>, of the body, by a known key")
)

// verifier checks who sent a body.
type verifier struct {
	keys     [][]byte
	required bool
	clusters map[string][][]byte // the clusters with keys of their own
	all      [][]byte
}

func newVerifier(c *SignatureConfig) *verifier {
	v := &verifier{required: c.required(), keys: bytesOf(c.Keys), clusters: map[string][][]byte{}}
	v.all = v.keys
	for cluster, keys := range c.ClusterKeys {
		v.clusters[cluster] = bytesOf(keys)
		v.all = slices.Concat(v.all, v.clusters[cluster])
	}
	return v
}

func bytesOf(keys []configopaque.String) [][]byte {
	raw := make([][]byte, 0, len(keys))
	for _, key := range keys {
		raw = append(raw, []byte(key))
	}
	return raw
}

// verify checks the signature of a body that is posted for a cluster, which is
// empty when unknown.
func (v *verifier) verify(header http.Header, body []byte, cluster string) error {
	if keys, own := v.clusters[cluster]; own {
		return check(header, body, keys, true)
	}
	return check(header, body, v.keys, v.required)
}

// before checks the signature of a body before it is read: with the keys of its
// cluster, or, where only the event itself can name that, with all keys. A
// sender without any key learns nothing about the body. Where the cluster is
// unknown, verifyClaims must follow.
func (v *verifier) before(header http.Header, body []byte, cluster string) error {
	switch {
	case cluster != "":
		return v.verify(header, body, cluster)
	case len(v.keys) == 0 && !v.required:
		return nil // only some clusters need a signature
	default:
		return check(header, body, v.all, v.required)
	}
}

// verifyClaims checks the signature of an event that was posted for no cluster
// in particular. It must be signed for every cluster that its metadata names
// under any key that ends up as "cluster" in a notification.
func (v *verifier) verifyClaims(header http.Header, body []byte, e *fluxevent.Event) error {
	if len(v.clusters) == 0 {
		return nil // before has checked it with the same keys
	}
	if err := v.verify(header, body, e.Cluster); err != nil {
		return err
	}
	for key, value := range e.Metadata {
		if key != "cluster" && !strings.HasSuffix(key, "/cluster") {
			continue
		}
		if keys, own := v.clusters[strings.TrimSpace(value)]; own {
			if err := check(header, body, keys, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// check verifies a signature with any of the keys. A wrong signature is refused
// even where none is required.
func check(header http.Header, body []byte, keys [][]byte, required bool) error {
	if len(keys) == 0 && !required {
		return nil
	}
	values := header.Values(signatureHeader)
	if len(values) == 0 {
		if required {
			return errUnsigned
		}
		return nil
	}
	if len(values) > 1 {
		return errBadSignature
	}
	algorithm, text, _ := strings.Cut(values[0], "=")
	newHash := hashOf(algorithm)
	if newHash == nil {
		return errBadSignature
	}
	signature, err := hex.DecodeString(text)
	if err != nil || text != strings.ToLower(text) {
		return errBadSignature
	}
	// All keys are tried, so that the time taken does not tell which matched.
	matched := false
	for _, key := range keys {
		mac := hmac.New(newHash, key)
		mac.Write(body)
		matched = hmac.Equal(mac.Sum(nil), signature) || matched
	}
	if !matched {
		return errBadSignature
	}
	return nil
}

func hashOf(algorithm string) func() hash.Hash {
	switch algorithm {
	case "sha224":
		return sha256.New224
	case "sha256":
		return sha256.New
	case "sha384":
		return sha512.New384
	case "sha512":
		return sha512.New
	}
	return nil
}
