package providertest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// AppToken is the token of the App's installation.
const AppToken = "ghs_installation"

var appKey = sync.OnceValues(func() (string, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})), nil
})

// AppSecrets are the files of a secret folder that describe a GitHub App.
func AppSecrets(tb testing.TB) map[string]string {
	tb.Helper()
	key, err := appKey()
	assert.NoError(tb, err)
	return map[string]string{"githubAppID": "1234", "githubAppInstallationID": "5678", "githubAppPrivateKey": key}
}

// AppServer gives the App its token, which may write contents, and hands on what
// carries it.
func AppServer(tb testing.TB, next http.HandlerFunc) http.HandlerFunc {
	tb.Helper()
	return AppServerFor(tb, `{"contents":"write","metadata":"read"}`, next)
}

// AppServerFor does it for an installation of these permissions.
func AppServerFor(tb testing.TB, permissions string, next http.HandlerFunc) http.HandlerFunc {
	tb.Helper()
	return func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/app/installations/5678/access_tokens") {
			assert.Equal(tb, http.MethodPost, r.Method)
			assert.NotContains(tb, r.Header.Get("Authorization"), AppToken)
			w.WriteHeader(http.StatusCreated)
			_, _ = fmt.Fprintf(w, `{"token":%q,"expires_at":%q,"permissions":%s}`, AppToken, time.Now().Add(time.Hour).Format(time.RFC3339), permissions)
			return
		}
		assert.Equal(tb, "Bearer "+AppToken, r.Header.Get("Authorization"))
		next(w, r)
	}
}
