package fluxnotifyexporter

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// mounted is a Secret as Kubernetes mounts it: every key a link through ..data,
// which is swapped as one.
type mounted struct {
	dir string
	n   int
}

func mount(t *testing.T, keys map[string]string) *mounted {
	t.Helper()
	m := &mounted{dir: t.TempDir()}
	m.swap(t, keys)
	for key := range keys {
		require.NoError(t, os.Symlink(filepath.Join("..data", key), filepath.Join(m.dir, key)))
	}
	return m
}

func (m *mounted) swap(t *testing.T, keys map[string]string) {
	t.Helper()
	m.n++
	version := fmt.Sprintf("..version_%d", m.n)
	require.NoError(t, os.Mkdir(filepath.Join(m.dir, version), 0o700))
	for key, value := range keys {
		require.NoError(t, os.WriteFile(filepath.Join(m.dir, version, key), []byte(value), 0o600))
	}
	link := filepath.Join(m.dir, "..data_tmp")
	require.NoError(t, os.Symlink(version, link))
	require.NoError(t, os.Rename(link, filepath.Join(m.dir, "..data")))
}

func (r *running) waitForLog(t *testing.T, message string, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return r.logs.FilterMessage(message).Len() >= n }, patience, time.Millisecond, message)
}

func TestARotatedTokenIsUsedByTheNextNotification(t *testing.T) {
	t.Parallel()
	sink := newEndpoint(t, nil)
	secret := mount(t, map[string]string{"token": "first-token\n"})
	config := webhook(sink.URL)
	config.Type, config.SecretDir = "slack", secret.dir
	e := start(t, config)
	require.NoError(t, e.ConsumeLogs(context.Background(), event("webapp", "one")))
	sink.waitFor(t, 1)
	secret.swap(t, map[string]string{"token": "second-token\n"})
	e.waitForLog(t, "the changed secret is in use", 1)
	require.NoError(t, e.ConsumeLogs(context.Background(), event("webapp", "two")))
	arrivals := sink.waitFor(t, 2)
	assert.Equal(t, "Bearer first-token", arrivals[0].header.Get("Authorization"))
	assert.Equal(t, "Bearer second-token", arrivals[1].header.Get("Authorization"))
	for _, entry := range e.logs.All() {
		assert.NotContains(t, fmt.Sprint(entry.Message, entry.ContextMap()), "-token")
	}
}

func TestWhatWaitedUsesTheTokenOfItsDelivery(t *testing.T) {
	t.Parallel()
	sink := newEndpoint(t, func(_ string, nth int) (int, http.Header) {
		if nth == 0 {
			return http.StatusTooManyRequests, http.Header{"Retry-After": {"1"}}
		}
		return http.StatusOK, nil
	})
	secret := mount(t, map[string]string{"token": "first-token"})
	config := webhook(sink.URL)
	config.Type, config.SecretDir = "slack", secret.dir
	e := start(t, config)
	require.NoError(t, e.ConsumeLogs(context.Background(), event("webapp", "one")))
	require.Eventually(t, func() bool { return e.gate.closed() }, patience, time.Millisecond)
	for i := range 5 {
		require.NoError(t, e.ConsumeLogs(context.Background(), event(fmt.Sprint("other", i), "two")))
	}
	secret.swap(t, map[string]string{"token": "second-token"})
	e.waitForLog(t, "the changed secret is in use", 1)
	for _, a := range sink.waitFor(t, 7)[1:] {
		assert.Equal(t, "Bearer second-token", a.header.Get("Authorization"))
	}
}

func TestABrokenRotationKeepsWhatWorked(t *testing.T) {
	t.Parallel()
	sink := newEndpoint(t, nil)
	secret := mount(t, map[string]string{"token": "good-token", "headers": "X-Number: 7"})
	config := webhook(sink.URL)
	config.Type, config.SecretDir = "generic-hmac", secret.dir
	e := start(t, config)
	secret.swap(t, map[string]string{"token": "other-token", "headers": "X-Number: {a: b}"})
	e.waitForLog(t, "the changed secret cannot be used, the one before stays in use", 1)
	require.NoError(t, e.ConsumeLogs(context.Background(), event("webapp", "one")))
	a := sink.waitFor(t, 1)[0]
	assert.Equal(t, "7", a.header.Get("X-Number"))
	assert.Equal(t, signature("good-token", a.body), a.header.Get("X-Signature"))
	warning := e.logs.FilterLevelExact(zap.WarnLevel).All()[0]
	assert.Contains(t, fmt.Sprint(warning.ContextMap()["error"]), "secret_dir: headers")
}

func TestTheKeyOfASignatureIsBytes(t *testing.T) {
	t.Parallel()
	sink := newEndpoint(t, nil)
	secret := mount(t, map[string]string{"token": "key\n", "address": " " + sink.URL + "/from-secret\n"})
	config := webhook("http://127.0.0.1:1/overridden")
	config.Type, config.SecretDir = "generic-hmac", secret.dir
	e := start(t, config)
	require.NoError(t, e.ConsumeLogs(context.Background(), event("webapp", "one")))
	a := sink.waitFor(t, 1)[0]
	assert.Equal(t, signature("key\n", a.body), a.header.Get("X-Signature"))
}

func signature(key, body string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(body))
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func TestARotatedAuthorityIsTrusted(t *testing.T) {
	t.Parallel()
	first, firstLeaf := authority(t)
	second, secondLeaf := authority(t)
	leaf := make(chan tls.Certificate, 1)
	leaf <- firstLeaf
	sink := &endpoint{}
	sink.Server = httptest.NewUnstartedServer(sink.handler(nil))
	sink.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		current := <-leaf
		leaf <- current
		return &tls.Config{Certificates: []tls.Certificate{current}}, nil
	}}
	sink.StartTLS()
	t.Cleanup(sink.Close)
	secret := mount(t, map[string]string{"ca.crt": first})
	config := webhook(sink.URL)
	config.SecretDir = secret.dir
	e := start(t, config)
	require.NoError(t, e.ConsumeLogs(context.Background(), event("webapp", "one")))
	sink.waitFor(t, 1)

	<-leaf
	leaf <- secondLeaf
	secret.swap(t, map[string]string{"ca.crt": second})
	e.waitForLog(t, "the changed secret is in use", 1)
	require.NoError(t, e.ConsumeLogs(context.Background(), event("webapp", "two")))
	sink.waitFor(t, 2)
	e.stop(t)
	assert.Equal(t, map[string]int64{"sent": 2}, e.counts(t))
}

// authority makes a certificate authority and a certificate of it for loopback.
func authority(t *testing.T) (ca string, leaf tls.Certificate) {
	t.Helper()
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, template, template, &caKey.PublicKey, caKey)
	require.NoError(t, err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: template.NotBefore, NotAfter: template.NotAfter,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, template, &key.PublicKey, caKey)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER})), tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
