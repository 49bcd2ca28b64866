package providers_test

import (
	"flag"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/fluxnotify/otelcol-flux/internal/alert"
	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

var update = flag.Bool("update", false, "write the goldens of every type")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// each runs a proof with every row of the table.
func each(t *testing.T, proof func(*testing.T, providers.Row)) {
	t.Helper()
	for _, row := range providers.Table {
		t.Run(row.Type, func(t *testing.T) {
			t.Parallel()
			proof(t, row)
		})
	}
}

// eachHTTP leaves out what is not spoken over HTTP.
func eachHTTP(t *testing.T, proof func(*testing.T, providers.Row)) {
	t.Helper()
	each(t, func(t *testing.T, row providers.Row) {
		if row.Bus {
			t.Skip("not spoken over HTTP")
		}
		proof(t, row)
	})
}

func TestGoldens(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, row providers.Row) { providertest.Golden(t, row, *update) })
}

func TestPureRender(t *testing.T) {
	t.Parallel()
	each(t, providertest.Pure)
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	eachHTTP(t, providertest.Statuses)
}

func TestNoLeak(t *testing.T) {
	t.Parallel()
	eachHTTP(t, providertest.NoLeak)
}

func TestCancel(t *testing.T) {
	t.Parallel()
	eachHTTP(t, providertest.Cancels)
}

func TestOneTransport(t *testing.T) {
	t.Parallel()
	eachHTTP(t, providertest.OneTransport)
}

func TestUserAgent(t *testing.T) {
	t.Parallel()
	eachHTTP(t, providertest.NamesItself)
}

func TestOwnHeaders(t *testing.T) {
	t.Parallel()
	eachHTTP(t, providertest.OwnHeaders)
}

// The types that do not speak HTTP prove the same next to their servers.
func TestUnverifiedCertificate(t *testing.T) {
	t.Parallel()
	eachHTTP(t, providertest.Unverified)
}

func TestStop(t *testing.T) {
	t.Parallel()
	each(t, providertest.Stops)
}

func TestBadAddress(t *testing.T) {
	t.Parallel()
	each(t, providertest.RefusesAddresses)
}

func TestHostileEvents(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, row providers.Row) {
		p := providertest.Sample(t, row)
		for name, e := range providertest.Hostile() {
			e = providertest.OnChangeRequest(row, e)
			for _, n := range []*notify.Notification{providertest.Notification(t, e), alert.Everything(&e)} {
				payloads, err := p.Render(n)
				require.NoError(t, err, name)
				providertest.Check(t, row, payloads)
			}
		}
	})
}

func FuzzRender(f *testing.F) {
	rendering := make([]notify.Provider, len(providers.Table))
	for i, row := range providers.Table {
		rendering[i] = providertest.Sample(f, row)
	}
	f.Add("apply failed", "webapp", "revision", "main@sha1:5394cb7f48332b2de7c17dd8b8384bbc84b7e738", "error")
	f.Add("", "", "", "", "")
	f.Add("<!channel> *b*\r\n\x00", "a\u202eb", "summary", "\xff\xfe", "info")
	f.Add(strings.Repeat("🚀<", 100), "n", strings.Repeat("k", 100), strings.Repeat("&", 100), "trace") // long ones make fuzzing slow
	f.Fuzz(func(t *testing.T, message, name, key, value, severity string) {
		e := fluxevent.Event{
			InvolvedObject: fluxevent.Object{
				Kind: "Kustomization", Name: name, Namespace: name, UID: value, APIVersion: "kustomize.toolkit.fluxcd.io/v1",
			},
			Message: message, Reason: name, Severity: severity, ReportingController: name,
			Metadata: map[string]string{
				fluxevent.Group + "/" + key: value, "kustomize.toolkit.fluxcd.io/revision": value, notify.ChangeRequestKey: "42",
			},
			Observed: providertest.Observed,
		}
		byAlert := providertest.NotificationWith(t, e, map[string]string{"operator-" + key: value})
		for i, p := range rendering {
			for _, n := range []*notify.Notification{alert.Everything(&e), byAlert} {
				payloads, err := p.Render(n)
				require.NoError(t, err, providers.Table[i].Type)
				providertest.Check(t, providers.Table[i], payloads)
			}
		}
	})
}

func TestTable(t *testing.T) {
	t.Parallel()
	types := make([]string, len(providers.Table))
	for i, row := range providers.Table {
		types[i] = row.Type
		assert.NotEmpty(t, row.Words, row.Type)
		assert.NotZero(t, row.Takes, row.Type)
		for _, setting := range []struct {
			name string
			use  providers.Use
			set  bool
		}{
			{"address", row.Address, row.Sample.Address != ""},
			{"channel", row.Channel, row.Sample.Channel != ""},
			{"username", row.Username, row.Sample.Username != ""},
			{"password", row.Password, row.Sample.Password != ""},
			{"token", row.Token, row.Sample.Token != ""},
			{"headers", row.Headers, len(row.Sample.Headers) > 0},
		} {
			if setting.use == providers.Required {
				assert.True(t, setting.set, "%s: the sample lacks %s", row.Type, setting.name)
			}
			if setting.set {
				assert.NotEqual(t, providers.Unused, setting.use, "%s: the sample sets %s, which is not used", row.Type, setting.name)
			}
		}
		found, ok := providers.Find(row.Type)
		assert.True(t, ok)
		assert.Equal(t, row.Type, found.Type)
	}
	assert.True(t, slices.IsSorted(types), "the table is sorted")
	assert.Len(t, slices.Compact(types), len(providers.Table), "a type stands there once")
}

func TestFindNothing(t *testing.T) {
	t.Parallel()
	_, ok := providers.Find("carrier-pigeon")
	assert.False(t, ok)
}

func TestNearest(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{
		"Slack": "slack", "slak": "slack", "generichmac": "generic-hmac", "generic_hmac": "generic-hmac",
		"alert-manager": "alertmanager", "NATS": "nats", "generics": "generic",
	} {
		all := providers.Nearest(word)
		assert.Equal(t, want, all[0], word)
		assert.Len(t, all, len(providers.Table))
	}
}
