// Package generichmac forwards events as JSON to a webhook that verifies who
// sent them: X-Signature holds the HMAC of the exact body.
package generichmac

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/generic"
)

// New makes a signed webhook. The token is the key, byte for byte.
func New(s notify.Settings) (notify.Provider, error) {
	if s.Token == "" {
		return nil, errors.New("token: must be set, it is the key of the signature")
	}
	key := []byte(s.Token)
	return generic.NewSigned(s, func(r *http.Request, body []byte) {
		mac := hmac.New(sha256.New, key)
		mac.Write(body)
		r.Header.Set("X-Signature", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	})
}
