package googlepubsub_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/googlepubsub"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

func TestIDs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ address, channel, want string }{
		{"my-project", "flux-events", ""},
		{"example.com:my-project", "Flux.events_~+%20", ""},
		{"123456789012", "abc", ""},
		{"test", strings.Repeat("a", 255), ""},
		{"", topic, "address: must be the ID"},
		{"projects/my-project", topic, "address: must be the ID"},
		{"*detect-project-id*", topic, "address: must be the ID"},
		{"my-project-", topic, "address: must be the ID"},
		{project, "", "channel: "},
		{project, "projects/my-project/topics/flux-events", "without projects/…/topics/"},
		{project, "a/b/c/d", "channel: "},
		{project, "ab", "3 to 255"},
		{project, strings.Repeat("a", 256), "3 to 255"},
		{project, "1events", "a letter first"},
		{project, "google-events", "not beginning with goog"},
		{project, "flux events", "channel: "},
	} {
		_, err := googlepubsub.New(providertest.Complete(t, notify.Settings{Address: c.address, Channel: c.channel}))
		if c.want == "" {
			require.NoError(t, err, c)
			continue
		}
		require.ErrorContains(t, err, c.want, c)
	}
}

func TestAttributeLimits(t *testing.T) {
	t.Parallel()
	many := func(n int) []notify.Header {
		headers := make([]notify.Header, n)
		for i := range headers {
			headers[i] = notify.Header{Name: fmt.Sprint("name", i), Value: "s3cret"}
		}
		return headers
	}
	one := func(name, value string) []notify.Header { return []notify.Header{{Name: name, Value: value}} }
	for _, c := range []struct {
		headers []notify.Header
		want    string
	}{
		{many(100), ""},
		{append(many(100), many(1)...), ""},
		{one(strings.Repeat("n", 256), strings.Repeat("s3cret.", 146)+"ok"), ""},
		{many(101), "headers: there are 101, Pub/Sub takes 100 attributes"},
		{one(strings.Repeat("n", 257), "s3cret"), "headers: a name has 257 bytes, Pub/Sub takes 256"},
		{one("name", strings.Repeat("ä", 512)+"x"), "headers: the value of name has 1025 bytes, Pub/Sub takes 1024"},
		{one("name", "s3cret\xff"), "headers: the value of name is not UTF-8"},
		{one("googclient", "s3cret"), "headers: an attribute's name cannot begin with goog, as googclient does"},
	} {
		_, err := googlepubsub.New(providertest.Complete(t, notify.Settings{Address: project, Channel: topic, Headers: c.headers}))
		if c.want == "" {
			require.NoError(t, err)
			continue
		}
		require.EqualError(t, err, c.want)
		assert.NotContains(t, err.Error(), "s3cret")
	}
}
