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

func parseServers(address string) ([]string, error) {
	if address == "" {
		return nil, errors.New("address: must be set to the URL of a NATS server such as nats://nats.example.com:4222, or to several with commas between them")
	}
	var servers []string
	web := map[bool]bool{}
	for _, server := range strings.Split(address, ",") {
		server = strings.TrimSpace(server)
		if !strings.Contains(server, "://") {
			server = "nats://" + server
		}
		u, err := url.Parse(server)
		if err != nil || u.Hostname() == "" {
			return nil, errors.New("address: every server must be a URL such as nats://nats.example.com:4222")
		}
		switch u.Scheme {
		case "nats", "tls", "ws", "wss":
		default:
			return nil, fmt.Errorf("address: the scheme %q is not one of nats, tls, ws, wss", u.Scheme)
		}
		web[strings.HasPrefix(u.Scheme, "ws")] = true
		servers = append(servers, strings.TrimRight(server, "/"))
	}
	if len(web) > 1 {
		return nil, errors.New("address: servers of ws or wss cannot be mixed with those of nats or tls")
	}
	return servers, nil
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

func authenticate(o *nats.Options, s notify.Settings) error {
	switch {
	case s.Secrets["creds"] != "":
		return nats.UserCredentialBytes([]byte(s.Secrets["creds"]))(o)
	case s.Secrets["nkey"] != "":
		pair, err := nkeys.FromSeed([]byte(s.Secrets["nkey"]))
		if err != nil {
			return errors.New("nkey: is not an nkey seed (SU…)")
		}
		public, err := pair.PublicKey()
		if err != nil {
			return errors.New("nkey: is not an nkey seed (SU…)")
		}
		return nats.Nkey(public, pair.Sign)(o)
	case s.Username != "" || s.Password != "":
		return nats.UserInfo(s.Username, s.Password)(o)
	}
	return nil
}
