package generichmac_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/generichmac"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSignature(t *testing.T) {
	t.Parallel()
	const key = "k\x00y\xff\n" // bytes, the line break one of them
	var signature, controller, team string
	var body []byte
	server := providertest.Server(t, func(_ http.ResponseWriter, r *http.Request) {
		signature, controller, team = r.Header.Get("X-Signature"), r.Header.Get("Gotk-Component"), r.Header.Get("X-Team")
		body, _ = io.ReadAll(r.Body)
	})
	p, err := generichmac.New(providertest.Complete(t, notify.Settings{
		Address: server.URL, Token: key,
		Headers: []notify.Header{{Name: "X-Team", Value: "platform"}, {Name: "X-Signature", Value: "sha256=forged"}},
	}))
	require.NoError(t, err)
	require.NoError(t, p.Deliver(t.Context(), providertest.Payload(t, p)))

	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(body)
	assert.NotEmpty(t, body)
	assert.Equal(t, "sha256="+hex.EncodeToString(mac.Sum(nil)), signature)
	assert.Equal(t, "kustomize-controller", controller)
	assert.Equal(t, "platform", team)
}

func TestNoKey(t *testing.T) {
	t.Parallel()
	_, err := generichmac.New(providertest.Complete(t, notify.Settings{Address: "https://example.com"}))
	require.ErrorContains(t, err, "token: must be set")
}
