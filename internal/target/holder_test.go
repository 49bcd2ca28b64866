package target

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers"
)

// TestRotatedSecretsShareTheMemory proves that a successor knows what its
// predecessor has written, and by which name an expression knows either.
func TestRotatedSecretsShareTheMemory(t *testing.T) {
	t.Parallel()
	var memories []*notify.Memory
	var names []string
	dir := t.TempDir()
	put := func(token string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "token"), []byte(token), 0o600))
	}
	put("one")
	row := providers.Row{
		Type: "sample", Takes: notify.TakesAll, Token: providers.Optional,
		New: func(s notify.Settings) (notify.Provider, error) {
			memories, names = append(memories, s.Memory), append(names, s.Type+" "+s.Name)
			return nil, nil
		},
	}
	config := NewConfig()
	config.SecretDir = dir
	c := &Holder{config: &config, row: row, name: config.providerName(component.MustNewIDWithName("flux_notify", "status")), set: componenttest.NewNopTelemetrySettings(), width: 1}
	require.NoError(t, c.Start(t.Context(), nil))
	put("two")
	require.Eventually(t, func() bool { c.reload(); c.reloading.Lock(); defer c.reloading.Unlock(); return len(memories) == 2 }, 10*time.Second, time.Millisecond)
	require.NoError(t, c.Shutdown(t.Context()))
	assert.NotNil(t, memories[0])
	assert.Same(t, memories[0], memories[1])
	assert.Equal(t, []string{"sample status", "sample status"}, names)
}

func TestProviderName(t *testing.T) {
	t.Parallel()
	for id, want := range map[component.ID]string{
		component.MustNewIDWithName("flux_notify", "status"): "status",
		component.MustNewID("flux_notify"):                   "flux_notify",
	} {
		assert.Equal(t, want, (&Config{}).providerName(id))
		assert.Equal(t, "github-status", (&Config{Name: "github-status"}).providerName(id))
	}
}

func TestEndsAtProxy(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		proxy, address string
		want           bool
	}{
		{"http://proxy:3128", "http://example.com", true},
		{"https://proxy:3128", "http://example.com", true},
		{"http://proxy:3128", "https://example.com", false}, // CONNECT
		{"socks5://proxy:1080", "http://example.com", false},
	} {
		proxy, err := url.Parse(c.proxy)
		require.NoError(t, err)
		address, err := url.Parse(c.address)
		require.NoError(t, err)
		assert.Equal(t, c.want, endsAtProxy(&http.Transport{Proxy: http.ProxyURL(proxy)}, address), "%v", c)
		assert.False(t, endsAtProxy(&http.Transport{Proxy: http.ProxyURL(nil)}, address))
		assert.False(t, endsAtProxy(&http.Transport{}, address))
	}
}
