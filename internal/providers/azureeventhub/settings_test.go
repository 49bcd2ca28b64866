package azureeventhub_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/azureeventhub"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

func TestBadSettings(t *testing.T) {
	t.Parallel()
	const (
		endpoint = "Endpoint=sb://fluxv2.servicebus.windows.net/"
		keys     = ";SharedAccessKeyName=flux;SharedAccessKey=s3cret"
	)
	for _, c := range []struct {
		name     string
		settings notify.Settings
		want     string
	}{
		{"nothing", notify.Settings{}, "address: must be set to a connection string"},
		{"no name of a hub", notify.Settings{Address: "flux events s3cret", Channel: "fluxv2"}, "address: is neither a connection string"},
		{"a URL", notify.Settings{Address: "sb://fluxv2.servicebus.windows.net/s3cret", Channel: "fluxv2"}, "address: is neither a connection string"},
		{"no namespace", notify.Settings{Address: "flux", Token: "s3cret"}, "channel: must be set to the namespace"},
		{"a namespace with a space", notify.Settings{Address: "flux", Channel: "flux v2"}, `channel: "flux v2" is not an Event Hubs namespace`},
		{"a namespace that is a URL", notify.Settings{Address: "flux", Channel: "sb://fluxv2.servicebus.windows.net"}, `channel: "sb://fluxv2.servicebus.windows.net" is not`},
		{"a short namespace", notify.Settings{Address: "flux", Channel: "flux"}, `channel: "flux" is not an Event Hubs namespace`},
		{"a token beside a key", notify.Settings{Address: endpoint + keys, Channel: "flux", Token: "s3cret"}, "token: is not used beside a connection string"},
		{"no endpoint", notify.Settings{Address: "SharedAccessKeyName=flux;SharedAccessKey=s3cret"}, "address: the connection string must have Endpoint=sb://…"},
		{"no key", notify.Settings{Address: endpoint + ";SharedAccessKeyName=s3cret"}, "address: the connection string must have"},
		{"an empty key", notify.Settings{Address: endpoint + ";SharedAccessKeyName=s3cret;SharedAccessKey="}, "address: the connection string must have"},
		{"no name of the key", notify.Settings{Address: endpoint + ";SharedAccessKey=s3cret"}, "address: the connection string must have"},
		{"a part without a value", notify.Settings{Address: endpoint + ";s3cret" + keys}, "address: the connection string must have"},
		{"a bad switch", notify.Settings{Address: endpoint + keys + ";UseDevelopmentEmulator=s3cret"}, "address: the connection string must have"},
		{"another protocol", notify.Settings{Address: "Endpoint=https://s3cret.example.com/" + keys, Channel: "flux"}, "address: the Endpoint in the connection string must be a URL such as sb://"},
		{"a user", notify.Settings{Address: "Endpoint=sb://flux:s3cret@fluxv2.servicebus.windows.net/" + keys, Channel: "flux"}, "address: the Endpoint"},
		{"no hub", notify.Settings{Address: endpoint + keys}, "channel: must be set to the name of the event hub"},
		{"an impossible hub", notify.Settings{Address: endpoint + keys, Channel: "flux/events"}, `channel: "flux/events" is not the name of an event hub`},
		{"two hubs", notify.Settings{Address: endpoint + keys + ";EntityPath=s3cret-hub", Channel: "flux"}, `channel: "flux" is not the event hub that the connection string in address names`},
		{"two hubs, one in Endpoint", notify.Settings{Address: endpoint + "s3cret-hub" + keys, Channel: "flux"}, `channel: "flux" is not the event hub`},
		{"two hubs in the address", notify.Settings{Address: endpoint + "s3cret-hub" + keys + ";EntityPath=flux"}, "address: EntityPath and the path of Endpoint name different event hubs"},
		{"an impossible EntityPath", notify.Settings{Address: endpoint + keys + ";EntityPath=s3cret/hub"}, "address: EntityPath, or the path of Endpoint, is not the name"},
	} {
		_, err := azureeventhub.New(providertest.Complete(t, c.settings))
		require.ErrorContains(t, err, c.want, c.name)
		assert.True(t, strings.HasPrefix(err.Error(), c.want), c.name)
		assert.NotContains(t, err.Error(), "s3cret", c.name)
	}
	for _, s := range []notify.Settings{
		{Address: endpoint + keys, Channel: "flux"},
		{Address: endpoint + "flux" + keys},
		{Address: endpoint + keys + ";EntityPath=flux"},
		{Address: endpoint + "flux/" + keys + ";EntityPath=flux", Channel: "flux"},
		{Address: endpoint + ";SharedAccessSignature=SharedAccessSignature sr=fluxv2.servicebus.windows.net&sig=s3cret&se=1&skn=flux;EntityPath=flux"},
		{Address: "flux.events_1-a", Channel: "fluxv2", Token: "s3cret"},
		{Address: "f", Channel: "fluxv2.servicebus.windows.net"},
		{Address: "flux", Channel: "fluxv2.servicebus.chinacloudapi.cn", Token: "s3cret"},
		{Address: "flux", Channel: "fluxv2.servicebus.usgovcloudapi.net:5671", Token: "s3cret"},
	} {
		_, err := azureeventhub.New(providertest.Complete(t, s))
		require.NoError(t, err)
	}
}

// A namespace is found under Azure's own domain, or where it is said to be.
func TestNamespaces(t *testing.T) {
	t.Parallel()
	for channel, want := range map[string]string{
		"fluxv2-does-not-exist":               "fluxv2-does-not-exist.servicebus.windows.net does not answer",
		"fluxv2.servicebus.chinacloudapi.cn":  "fluxv2.servicebus.chinacloudapi.cn does not answer",
		"fluxv2.servicebus.windows.net":       "fluxv2.servicebus.windows.net does not answer",
		"fluxv2.servicebus.usgovcloudapi.net": "fluxv2.servicebus.usgovcloudapi.net does not answer",
	} {
		p := provider(t, notify.Settings{Address: hub, Channel: channel, Token: "s3cret"})
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // nothing is dialled
		require.ErrorContains(t, p.Deliver(ctx, notify.Payload{Body: []byte("x")}), want)
	}
}
