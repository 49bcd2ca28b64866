package fluxeventreceiver

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/collector/consumer/consumertest"
)

const (
	unsigned     = "the header X-Signature is missing"
	badSignature = "the signature does not match: expected X-Signature: <sha224|sha256|sha384|sha512>=<hex>, of the body, by a known key"
)

func TestSignatures(t *testing.T) {
	t.Parallel()
	sink := new(consumertest.LogsSink)
	s := start(t, sink, keys("key"), noDeduplication)
	for _, algorithm := range []string{"sha224", "sha256", "sha384", "sha512"} {
		assert.Equal(t, http.StatusAccepted, s.post(t, body(1), "X-Signature", sign(algorithm, "key", body(1))).status, algorithm)
	}
	assert.Equal(t, 4, sink.LogRecordCount())

	right := sign("sha256", "key", body(1))
	mac := strings.TrimPrefix(right, "sha256=")
	for name, signature := range map[string]string{
		"another key":        sign("sha256", "Key", body(1)),
		"no key":             sign("sha256", "", body(1)),
		"another body":       sign("sha256", "key", body(2)),
		"an empty body":      sign("sha256", "key", ""),
		"empty":              "",
		"no algorithm":       mac,
		"an empty algorithm": "=" + mac,
		"sha1":               "sha1=" + mac[:40],
		"none":               "none=",
		"none with a value":  "none=" + mac,
		"another algorithm":  "sha512=" + mac,
		"upper-case name":    "SHA256=" + mac,
		"upper-case hex":     "sha256=" + strings.ToUpper(mac),
		"no value":           "sha256=",
		"no hex":             "sha256=" + strings.Repeat("z", 64),
		"cut off":            right[:len(right)-2],
		"half a byte less":   right[:len(right)-1],
		"more":               right + "00",
		"two in one":         right + "," + right,
		"a space inside":     "sha256= " + mac,
		"algorithms":         "sha256=sha256=" + mac,
	} {
		got := s.post(t, body(1), "X-Signature", signature)
		assert.Equal(t, badSignature+"\n", got.body, name)
		assertLine(t, http.StatusUnauthorized, badSignature, got)
	}
	assertLine(t, http.StatusUnauthorized, unsigned, s.post(t, body(1)))
	assertLine(t, http.StatusUnauthorized, badSignature, s.post(t, body(1), "X-Signature", right, "X-Signature", right))
	assertLine(t, http.StatusUnauthorized, badSignature, s.post(t, body(1), "X-Signature", right, "X-Signature", "sha256=00"))
	assert.Equal(t, 4, sink.LogRecordCount())
}

// Whoever may not send learns nothing of what is wrong with his body.
func TestSignatureComesBeforeTheBody(t *testing.T) {
	t.Parallel()
	s := start(t, consumertest.NewNop(), keys("key"))
	assertLine(t, http.StatusUnauthorized, unsigned, s.post(t, "not an event"))
	assertLine(t, http.StatusUnauthorized, unsigned, s.post(t, ""))
	assert.Equal(t, http.StatusBadRequest, s.post(t, "", "X-Signature", sign("sha256", "key", "")).status)
}

func TestEveryByteIsSigned(t *testing.T) {
	t.Parallel()
	sink := new(consumertest.LogsSink)
	s := start(t, sink, keys("key"))
	const short = `{"involvedObject":{"kind":"K","name":"n"},"message":"m"}`
	signature := sign("sha256", "key", short)
	for i := range len(short) {
		flipped := []byte(short)
		flipped[i] ^= 1
		assertLine(t, http.StatusUnauthorized, badSignature, s.post(t, string(flipped), "X-Signature", signature))
	}
	for i := range len(signature) {
		flipped := []byte(signature)
		flipped[i] ^= 1
		assertLine(t, http.StatusUnauthorized, badSignature, s.post(t, short, "X-Signature", string(flipped)))
	}
	assertLine(t, http.StatusUnauthorized, badSignature, s.post(t, short+" ", "X-Signature", signature))
	assertLine(t, http.StatusUnauthorized, badSignature, s.post(t, short[:len(short)-1], "X-Signature", signature))
	assert.Empty(t, sink.AllLogs())
	assert.Equal(t, http.StatusAccepted, s.post(t, short, "X-Signature", signature).status)
}

func TestSeveralKeys(t *testing.T) {
	t.Parallel()
	s := start(t, consumertest.NewNop(), keys("old", "new", "newer"), noDeduplication)
	for _, key := range []string{"old", "new", "newer"} {
		assert.Equal(t, http.StatusAccepted, s.post(t, body(1), "X-Signature", sign("sha256", key, body(1))).status, key)
	}
	for _, key := range []string{"oldnew", "older", ""} {
		assertLine(t, http.StatusUnauthorized, badSignature, s.post(t, body(1), "X-Signature", sign("sha256", key, body(1))))
	}
}

func TestSignatureNotRequired(t *testing.T) {
	t.Parallel()
	s := start(t, consumertest.NewNop(), keys("key"), required(false), noDeduplication)
	assert.Equal(t, http.StatusAccepted, s.post(t, body(1)).status)
	assert.Equal(t, http.StatusAccepted, s.post(t, body(1), "X-Signature", sign("sha512", "key", body(1))).status)
	assertLine(t, http.StatusUnauthorized, badSignature, s.post(t, body(1), "X-Signature", sign("sha256", "wrong", body(1))))
	assertLine(t, http.StatusUnauthorized, badSignature, s.post(t, body(1), "X-Signature", ""))
}

// Without keys there is nothing to hold a signature against.
func TestSignatureWithoutKeys(t *testing.T) {
	t.Parallel()
	s := start(t, consumertest.NewNop(), noDeduplication)
	assert.Equal(t, http.StatusAccepted, s.post(t, body(1)).status)
	assert.Equal(t, http.StatusAccepted, s.post(t, body(1), "X-Signature", "sha256=00").status)
}
