package httpsend_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// authority signs certificates for the loopback address.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tests"},
		NotBefore: time.Now().Add(-240 * time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return authority{certificate, key}
}

func (a authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

// serve answers with a certificate for an address until a time.
func (a authority) serve(t *testing.T, ip net.IP, until time.Time) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-200 * time.Hour), NotAfter: until,
		IPAddresses: []net.IP{ip}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key)
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes are meant to fail
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	ours, theirs := newAuthority(t), newAuthority(t)
	loopback, soon := net.IPv4(127, 0, 0, 1), time.Now().Add(time.Hour)
	for _, c := range []struct {
		name, url string
		class     notify.Class // 0: all is well
		errorType string
		says      string
	}{
		{"valid", ours.serve(t, loopback, soon), 0, "", ""},
		{"of an unknown authority", theirs.serve(t, loopback, soon), notify.Permanent, "tls", "unknown authority"},
		{"for another host", ours.serve(t, net.IPv4(192, 0, 2, 1), soon), notify.Permanent, "tls", "192.0.2.1"},
		{"expired", ours.serve(t, loopback, time.Now().Add(-time.Hour)), notify.Retryable, "connection", "expired"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ours.pool(), MinVersion: tls.VersionTLS12}}
			defer transport.CloseIdleConnections()
			p, err := httpsend.New(notify.Settings{Address: c.url, HTTP: &http.Client{Transport: transport}}, httpsend.Options{})
			require.NoError(t, err)
			err = p.Deliver(t.Context(), post)
			if c.class == 0 {
				require.NoError(t, err)
				return
			}
			e := failure(t, err)
			assert.Equal(t, c.class, e.Class)
			assert.Equal(t, c.errorType, e.Type)
			assert.Contains(t, e.Error(), c.says)
		})
	}
}
