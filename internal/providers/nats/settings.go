package nats

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

func checkServers(address string) error {
	if address == "" {
		return errors.New("address: must be set to the URL of a NATS server such as nats://nats.example.com:4222, or to several with commas between them")
	}
	for _, server := range strings.Split(address, ",") {
		server = strings.TrimSpace(server)
		if !strings.Contains(server, "://") {
			server = "nats://" + server
		}
		u, err := url.Parse(server)
		if err != nil || u.Hostname() == "" {
			return errors.New("address: every server must be a URL such as nats://nats.example.com:4222")
		}
		switch u.Scheme {
		case "nats", "tls", "ws", "wss":
		default:
			return fmt.Errorf("address: the scheme %q is not one of nats, tls, ws, wss", u.Scheme)
		}
	}
	return nil
}

func checkSubject(subject string) error {
	if subject == "" {
		return errors.New("channel: must be set to the subject to publish to, such as flux.events")
	}
	for _, token := range strings.Split(subject, ".") {
		if token == "" || strings.ContainsAny(token, "*> \t\r\n") {
			return fmt.Errorf("channel: %q is not a subject that can be published to: no spaces, no wildcards, no empty parts between dots", subject)
		}
	}
	return nil
}

func authenticate(s notify.Settings) (nats.Option, error) {
	switch {
	case s.Secrets["creds"] != "":
		return nats.UserCredentialBytes([]byte(s.Secrets["creds"])), nil
	case s.Secrets["nkey"] != "":
		pair, err := nkeys.FromSeed([]byte(s.Secrets["nkey"]))
		if err != nil {
			return nil, errors.New("nkey: is not an nkey seed (SU…)")
		}
		public, err := pair.PublicKey()
		if err != nil {
			return nil, errors.New("nkey: is not an nkey seed (SU…)")
		}
		return nats.Nkey(public, pair.Sign), nil
	case s.Username != "" || s.Password != "":
		return nats.UserInfo(s.Username, s.Password), nil
	}
	return nil, nil
}
