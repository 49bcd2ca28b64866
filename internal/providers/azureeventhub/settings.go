package azureeventhub

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// suffix is that of namespaces in Azure's public cloud. Others are given in full:
// https://learn.microsoft.com/azure/azure-government/compare-azure-government-global-azure
const suffix = ".servicebus.windows.net"

var (
	// hubName and namespaceName are what Azure lets a hub and a namespace be called:
	// https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsofteventhub
	hubName       = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,254}[A-Za-z0-9])?$`)
	namespaceName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{4,48}[A-Za-z0-9]$`)
	hostName      = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*\.)+[A-Za-z0-9-]*[A-Za-z0-9](:[0-9]{1,5})?$`)
)

// errConnectionString repeats nothing of an address that holds a key.
var errConnectionString = errors.New("address: the connection string must have Endpoint=sb://…, SharedAccessKeyName=… and SharedAccessKey=… (or SharedAccessSignature=…), with semicolons between them")

// endpoint is where an event hub is.
type endpoint struct {
	host string // with a port where it is not the protocol's own
	hub  string
	// connection is the connection string, where there is one.
	connection string
	// named tells that the connection string names the hub itself.
	named bool
	// plain is without TLS: the connection string is that of a development
	// emulator, and says so.
	plain bool
	// secrets are the parts of the connection string that give access.
	secrets []string
}

// hubBeside is the hub as the SDK wants it: not, where the connection string
// names it already.
func (e endpoint) hubBeside() string {
	if e.named {
		return ""
	}
	return e.hub
}

// parse tells the forms of an address apart: a name has no equals sign.
func parse(s notify.Settings) (endpoint, error) {
	address := strings.TrimSpace(s.Address)
	switch {
	case address == "":
		return endpoint{}, errors.New("address: must be set to a connection string that begins with Endpoint=sb://, or to the name of an event hub")
	case strings.Contains(address, "="):
		return parseConnection(address, s)
	case !hubName.MatchString(address):
		return endpoint{}, errors.New("address: is neither a connection string that begins with Endpoint=sb:// nor the name of an event hub (letters, digits, '.', '-' and '_')")
	}
	host, err := namespaceHost(s.Channel)
	return endpoint{host: host, hub: address}, err
}

func namespaceHost(namespace string) (string, error) {
	switch {
	case namespace == "":
		return "", errors.New("channel: must be set to the namespace of the event hub, such as fluxv2 or fluxv2.servicebus.windows.net")
	case namespaceName.MatchString(namespace):
		return namespace + suffix, nil
	case hostName.MatchString(namespace):
		return namespace, nil
	}
	return "", fmt.Errorf("channel: %q is not an Event Hubs namespace: give its name, such as fluxv2, or in full, such as fluxv2.servicebus.windows.net", namespace)
}

func parseConnection(address string, s notify.Settings) (endpoint, error) {
	props, err := azeventhubs.ParseConnectionString(address)
	if err != nil {
		return endpoint{}, errConnectionString // its error may repeat the address
	}
	u, err := url.Parse(props.Endpoint)
	if err != nil || u.Scheme != "sb" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" {
		return endpoint{}, errors.New("address: the Endpoint in the connection string must be a URL such as sb://fluxv2.servicebus.windows.net/")
	}
	e := endpoint{host: u.Host, connection: address, plain: props.Emulator}
	for _, secret := range []*string{props.SharedAccessKey, props.SharedAccessSignature} {
		switch {
		case secret == nil:
		case *secret == "":
			return endpoint{}, errConnectionString
		default:
			e.secrets = append(e.secrets, *secret)
		}
	}
	if s.Token != "" {
		return endpoint{}, errors.New("token: is not used beside a connection string, which has its own key: remove it, or set address to the name of the event hub")
	}
	var entity string
	if props.EntityPath != nil {
		entity, e.named = *props.EntityPath, true
	}
	e.hub, err = oneHub(entity, strings.Trim(u.Path, "/"), s.Channel)
	return e, err
}

// oneHub finds the hub's name in the places where it may stand. They must agree.
func oneHub(entity, path, channel string) (string, error) {
	hub := entity
	if hub == "" {
		hub = path
	}
	switch {
	case path != "" && path != hub:
		return "", errors.New("address: EntityPath and the path of Endpoint name different event hubs, leave one out")
	case hub == "" && channel == "":
		return "", errors.New("channel: must be set to the name of the event hub, since the connection string in address does not name it (EntityPath=…)")
	case hub == "" && !hubName.MatchString(channel):
		return "", fmt.Errorf("channel: %q is not the name of an event hub (letters, digits, '.', '-' and '_')", channel)
	case hub == "":
		return channel, nil
	case channel != "" && channel != hub:
		return "", fmt.Errorf("channel: %q is not the event hub that the connection string in address names, leave it out", channel)
	case !hubName.MatchString(hub):
		return "", errors.New("address: EntityPath, or the path of Endpoint, is not the name of an event hub (letters, digits, '.', '-' and '_')")
	}
	return hub, nil
}
