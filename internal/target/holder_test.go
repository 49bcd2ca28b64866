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
)

// A successor knows what its predecessor has remembered, unless it is of another type.
func TestSuccessorsShareTheMemory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put := func(token string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "token"), []byte(token), 0o600))
	}
	put("one")
	config := NewConfig()
	config.Type, config.Address, config.SecretDir = "github", "https://github.com/owner/repository", dir
	h := NewHolder(component.MustNewIDWithName("flux_notify", "status"), componenttest.NewNopTelemetrySettings(), 1)
	provider, _ := h.Acquire()
	assert.Nil(t, provider)
	assert.Equal(t, defaultTimeout, h.Timeout())
	require.NoError(t, h.Start(t.Context(), &config, nil))
	first, release := h.Acquire()
	release()
	memory := h.memory
	put("two")
	require.Eventually(t, func() bool {
		h.reload()
		second, release := h.Acquire()
		defer release()
		return second != first
	}, 10*time.Second, time.Millisecond)
	assert.Same(t, memory, h.memory)

	other := config
	other.ClientConfig.Timeout = time.Minute
	require.NoError(t, h.Replace(t.Context(), &other, nil))
	assert.Same(t, memory, h.memory)
	assert.Equal(t, time.Minute, h.Timeout())
	broken := other
	broken.Address = "none"
	require.Error(t, h.Replace(t.Context(), &broken, nil))
	assert.Same(t, &other, h.config, "what worked stays in use")
	another := other
	another.Type = "generic"
	require.NoError(t, h.Replace(t.Context(), &another, nil))
	assert.NotSame(t, memory, h.memory)
	require.NoError(t, h.Shutdown(t.Context()))
	provider, _ = h.Acquire()
	assert.Nil(t, provider)
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
