package azureeventhub_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/azureeventhub"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
	"github.com/fluxnotify/otelcol-flux/internal/testca"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func provider(t *testing.T, s notify.Settings) notify.Provider {
	t.Helper()
	p, err := azureeventhub.New(providertest.Complete(t, s))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.(notify.Stopper).Shutdown(context.Background())) })
	return p
}

// sas is a provider with a connection string.
func (b *broker) sas(t *testing.T) notify.Provider {
	t.Helper()
	return provider(t, notify.Settings{Address: b.connection(";EntityPath=" + hub)})
}

func deliver(t *testing.T, p notify.Provider, body string) error {
	t.Helper()
	return send(t, p, notify.Payload{Body: []byte(body), Object: "Kustomization/apps/webapp"})
}

func send(t *testing.T, p notify.Provider, payload notify.Payload) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	return p.Deliver(ctx, payload)
}

// failure is the error as it is to be, and without a secret.
func failure(t *testing.T, err error, secrets ...string) *notify.Error {
	t.Helper()
	var e *notify.Error
	require.ErrorAs(t, err, &e)
	for _, secret := range append(secrets, keyText, "SharedAccessKey=") {
		for _, shown := range []string{e.Error(), fmt.Sprintf("%+v", e), fmt.Sprintf("%q", err)} {
			require.NotContains(t, shown, secret)
		}
	}
	return e
}

// token is a JWT that expires then.
func token(t *testing.T, expires time.Time) string {
	t.Helper()
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{
		Audience: jwt.ClaimStrings{"https://eventhubs.azure.net"}, ExpiresAt: jwt.NewNumericDate(expires),
	}).SignedString([]byte("anybody's"))
	require.NoError(t, err)
	return signed
}

func trusting(ca *testca.Authority) *tls.Config {
	return &tls.Config{RootCAs: ca.Pool(), MinVersion: tls.VersionTLS12}
}

// What arrives is the event, whole and alone.
func TestSend(t *testing.T) {
	t.Parallel()
	b := run(t, options{})
	p := b.sas(t)
	payload := providertest.Payload(t, p)
	require.NoError(t, send(t, p, payload))
	got := b.next("message")
	assert.Equal(t, string(payload.Body), got.Body)
	assert.Equal(t, payload.Key, got.ID)
	assert.Empty(t, got.ContentType)
	assert.Empty(t, got.Properties)
	key := map[string]any{"x-opt-partition-key": "Kustomization/flux-system/apps"}
	assert.Equal(t, key, got.Annotations)
	assert.Equal(t, key, got.Envelope)
	assert.Empty(t, b.all("message"), "sent once")

	opened := b.next("open")
	assert.Equal(t, b.host(), opened.Hostname)
	assert.Equal(t, "ANONYMOUS", opened.Mechanism)
	assert.Contains(t, opened.Properties["user-agent"], "otelcol-flux")
}

func TestConnectionStrings(t *testing.T) {
	t.Parallel()
	b := run(t, options{})
	for name, s := range map[string]notify.Settings{
		"EntityPath":             {Address: b.connection(";EntityPath=" + hub)},
		"EntityPath and channel": {Address: b.connection(";EntityPath=" + hub), Channel: hub},
		"channel":                {Address: b.connection(""), Channel: hub},
		"path of Endpoint":       {Address: strings.Replace(b.connection(""), b.host(), b.host()+"/"+hub, 1)},
	} {
		require.NoError(t, deliver(t, provider(t, s), name), name)
		put := b.next("token")
		assert.Equal(t, 202, put.Status, "the broker has checked the signature")
		assert.Equal(t, "servicebus.windows.net:sastoken", put.Type)
		assert.Equal(t, "put-token", put.Operation)
		assert.Equal(t, "amqp://"+b.host()+"/"+hub, put.Audience)
		assert.Equal(t, hub, b.next("attach").Address)
		assert.Equal(t, name, b.next("message").Body)
	}
}

func TestToken(t *testing.T) {
	t.Parallel()
	ca := testca.New(t)
	expires := time.Now().Add(time.Hour).Truncate(time.Second)
	good := token(t, expires)
	b := run(t, options{ca: ca, jwt: []string{good, "opaque-token"}})
	p := provider(t, notify.Settings{Address: hub, Channel: b.host(), Token: good, TLS: trusting(ca)})
	require.NoError(t, deliver(t, p, "by token"))
	assert.Equal(t, "by token", b.next("message").Body)
	put := b.next("token")
	assert.Equal(t, "jwt", put.Type)
	assert.Equal(t, good, put.Token)
	assert.Equal(t, "amqps://"+b.host()+"/"+hub, put.Audience)
	assert.Equal(t, fmt.Sprint(expires.Unix()), put.Expiration)

	opaque := provider(t, notify.Settings{Address: hub, Channel: b.host(), Token: "opaque-token", TLS: trusting(ca)})
	require.NoError(t, deliver(t, opaque, "one that does not say when it expires"))

	other := token(t, time.Now().Add(2*time.Hour))
	e := failure(t, deliver(t, provider(t, notify.Settings{Address: hub, Channel: b.host(), Token: other, TLS: trusting(ca)}), "x"), other)
	assert.Equal(t, notify.Permanent, e.Class)
	assert.Equal(t, "401", e.Type)

	b.repeatsTokens()
	e = failure(t, deliver(t, provider(t, notify.Settings{Address: hub, Channel: b.host(), Token: good, TLS: trusting(ca)}), "x"), good)
	assert.Contains(t, e.Error(), "no good: [REDACTED]")
}

func TestExpiredToken(t *testing.T) {
	t.Parallel()
	old := token(t, time.Date(2026, time.March, 25, 0, 48, 12, 0, time.UTC))
	p := provider(t, notify.Settings{Address: hub, Channel: "127.0.0.1:1", Token: old})
	e := failure(t, deliver(t, p, "x"), old)
	assert.Equal(t, notify.Retryable, e.Class, "the next one may be on its way")
	assert.Equal(t, "401", e.Type)
	assert.Contains(t, e.Error(), "token: expired at 2026-03-25T00:48:12Z")
}

func TestTLS(t *testing.T) {
	t.Parallel()
	ca := testca.New(t)
	b := run(t, options{ca: ca})
	s := notify.Settings{Address: b.connection(";EntityPath=" + hub), TLS: trusting(ca)}
	require.NoError(t, deliver(t, provider(t, s), "over TLS"))
	assert.Equal(t, "over TLS", b.next("message").Body)

	for name, config := range map[string]*tls.Config{"another authority": trusting(testca.New(t)), "the system's": nil} {
		s.TLS = config
		e := failure(t, deliver(t, provider(t, s), "x"))
		assert.Equal(t, notify.Retryable, e.Class, name)
		assert.Equal(t, "tls", e.Type, name)
		assert.Contains(t, e.Error(), "the certificate could not be verified: x509: certificate signed by unknown authority", name)
	}
}

func TestPartitionKey(t *testing.T) {
	t.Parallel()
	b := run(t, options{})
	p := b.sas(t)
	long := "HelmRelease/" + strings.Repeat("n", 63) + "/" + strings.Repeat("r", 253)
	keys := map[string]string{}
	for _, object := range []string{"K/" + strings.Repeat("n", 126), "K/" + strings.Repeat("n", 127), long, long + "x", "K/\xff/🚀", ""} {
		require.NoError(t, send(t, p, notify.Payload{Body: []byte("{}"), Object: object}))
		got := b.next("message")
		keys[object], _ = got.Annotations["x-opt-partition-key"].(string)
		assert.NotEmpty(t, got.ID, "the SDK makes one where there is none")
	}
	assert.Equal(t, "K/"+strings.Repeat("n", 126), keys["K/"+strings.Repeat("n", 126)])
	assert.Len(t, keys["K/"+strings.Repeat("n", 127)], 64)
	assert.Len(t, keys[long], 64)
	assert.NotEqual(t, keys[long], keys[long+"x"])
	assert.Equal(t, "K/\uFFFD/🚀", keys["K/\xff/🚀"])
	assert.Empty(t, keys[""])
}

func TestOneConnectionForAll(t *testing.T) {
	t.Parallel()
	const deliveries = 200
	b := run(t, options{})
	p := b.sas(t)
	var group sync.WaitGroup
	for i := range deliveries {
		group.Go(func() { assert.NoError(t, deliver(t, p, fmt.Sprint(i))) })
	}
	group.Wait()
	seen := map[string]bool{}
	for _, m := range b.all("message") {
		seen[m.Body] = true
	}
	assert.Len(t, seen, deliveries, "the hub has them when Deliver returns")
	assert.Len(t, b.all("open"), 1)
	assert.Len(t, b.all("token"), 1)
	assert.Len(t, b.all("attach"), 1)
}
