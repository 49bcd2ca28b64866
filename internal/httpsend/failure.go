package httpsend

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/url"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// transportError classifies a failure without a whole answer.
func (p *party) transportError(w *progress, host string, err error) error {
	var known *notify.Error
	if errors.As(err, &known) {
		return known
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err // its text holds the whole address
	}
	errorType, text := explain(w, err)
	return &notify.Error{
		Class: notify.Retryable, Type: errorType,
		Err: p.secrets.clean(reworded{err, host + ": " + text}),
	}
}

// explain names the cause of a failure, and its type.
func explain(w *progress, err error) (errorType, text string) {
	var timeout net.Error
	switch {
	case errors.Is(w.ctx.Err(), context.DeadlineExceeded):
		return "timeout", w.timeout()
	case errors.Is(w.ctx.Err(), context.Canceled):
		return "canceled", w.canceled()
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout", w.timeout() + detail(err)
	}
	peer, at := w.proxyPeer()
	if reason, untrusted := Untrusted(err); untrusted {
		if peer != "" {
			reason += " (connected to " + peer + ")"
		}
		return "tls", "the certificate could not be verified: " + reason
	}
	var dial *net.OpError
	switch {
	case errors.As(err, &dial) && dial.Op == "proxyconnect":
		return "connection", "no connection to the proxy " + peer + ": " + dial.Err.Error()
	case peer != "" && at == phaseTunnel:
		return "connection", peer + " did not open the connection (CONNECT): " + err.Error()
	}
	return "connection", err.Error()
}

// detail is the network's own text of a timeout, with the address that was dialled.
func detail(err error) string {
	var failed *net.OpError
	if errors.As(err, &failed) {
		return ": " + failed.Error()
	}
	return ""
}

// Untrusted reports whether an error is about a certificate that could not be
// verified, and the reason. Such an error is retryable like any network error: during
// the rotation of a CA, both sides disagree for a moment.
func Untrusted(err error) (reason string, untrusted bool) {
	var (
		verification *tls.CertificateVerificationError
		authority    x509.UnknownAuthorityError
		host         x509.HostnameError
		invalid      x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &verification):
		return verification.Err.Error(), true
	case errors.As(err, &authority):
		return authority.Error(), true
	case errors.As(err, &host):
		return host.Error(), true
	case errors.As(err, &invalid):
		return invalid.Error(), true
	}
	return "", false
}
