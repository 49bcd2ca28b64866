package fluxeventreceiver

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"hash"
	"net/http"
	"strings"
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
}

func newVerifier(c *SignatureConfig) verifier {
	v := verifier{required: c.required()}
	for _, key := range c.Keys {
		v.keys = append(v.keys, []byte(key))
	}
	return v
}

// verify tells whether a body may be taken. A signature that is there has to be
// right even where none is required.
func (v verifier) verify(header http.Header, body []byte) error {
	if len(v.keys) == 0 {
		return nil
	}
	values := header.Values(signatureHeader)
	if len(values) == 0 {
		if v.required {
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
	for _, key := range v.keys {
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
