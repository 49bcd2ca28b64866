package fluxnotifyexporter

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/fluxnotify/otelcol-flux/internal/testca"
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

func (r *started) waitForLog(t *testing.T, message string, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return r.logs.FilterMessage(message).Len() >= n }, patience, time.Millisecond, message)
}

func TestARotatedTokenIsUsedByTheNextNotification(t *testing.T) {
	t.Parallel()
	sink := newEndpoint(t, nil)
	secret := mount(t, map[string]string{"token": "first-token\n"})
	config := webhook(sink.URL)
	config.Target.Type, config.Target.SecretDir = "slack", secret.dir
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
	config.Target.Type, config.Target.SecretDir = "slack", secret.dir
	e := start(t, config)
	require.NoError(t, e.ConsumeLogs(context.Background(), event("webapp", "one")))
	require.Eventually(t, func() bool { return e.inner.targets[inlineTarget].dispatcher.Throttled() > 0 }, patience, time.Millisecond)
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
	config.Target.Type, config.Target.SecretDir = "generic-hmac", secret.dir
	e := start(t, config)
	secret.swap(t, map[string]string{"token": "other-token", "headers": "X-Number: {a: b}"})
	e.waitForLog(t, "the changed secret cannot be used: the previous one stays in use", 1)
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
	config.Target.Type, config.Target.SecretDir = "generic-hmac", secret.dir
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
	first, second := testca.New(t), testca.New(t)
	firstLeaf, secondLeaf := first.Issue(t, testca.Leaf{}), second.Issue(t, testca.Leaf{})
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
	secret := mount(t, map[string]string{"ca.crt": first.PEM()})
	config := webhook(sink.URL)
	config.Target.SecretDir = secret.dir
	e := start(t, config)
	require.NoError(t, e.ConsumeLogs(context.Background(), event("webapp", "one")))
	sink.waitFor(t, 1)

	<-leaf
	leaf <- secondLeaf
	secret.swap(t, map[string]string{"ca.crt": second.PEM()})
	e.waitForLog(t, "the changed secret is in use", 1)
	require.NoError(t, e.ConsumeLogs(context.Background(), event("webapp", "two")))
	sink.waitFor(t, 2)
	e.stop(t)
	assert.Equal(t, map[string]int64{"sent": 2}, e.counts(t))
}

func TestASecretThatEverybodyMayReadIsWarnedOfOnce(t *testing.T) {
	t.Parallel()
	const warning = "files in secret_dir are world-readable"
	sink := newEndpoint(t, nil)
	secret := mount(t, map[string]string{"token": "first-token", "username": "flux"})
	require.NoError(t, os.Chmod(filepath.Join(secret.dir, "token"), 0o644))
	config := webhook(sink.URL)
	config.Target.Type, config.Target.SecretDir = "slack", secret.dir
	e := start(t, config)
	secret.swap(t, map[string]string{"token": "second-token", "username": "flux"})
	e.waitForLog(t, "the changed secret is in use", 1)
	logged := e.logs.FilterMessageSnippet(warning).All()
	require.Len(t, logged, 1)
	assert.Equal(t, []any{"token"}, logged[0].ContextMap()["files"])
}
