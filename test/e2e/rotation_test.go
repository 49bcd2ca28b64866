package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// mounted is a folder into which Kubernetes mounts a Secret: the keys are links
// through ..data, and a new version becomes visible by one rename.
type mounted struct {
	t       *testing.T
	dir     string
	version int
}

func mount(t *testing.T, keys map[string]string) *mounted {
	t.Helper()
	m := &mounted{t: t, dir: filepath.Join(t.TempDir(), "secret")}
	require.NoError(t, os.Mkdir(m.dir, 0o700))
	m.Swap(keys)
	for name := range keys {
		require.NoError(t, os.Symlink(filepath.Join("..data", name), filepath.Join(m.dir, name)))
	}
	return m
}

// Swap replaces all keys at once.
func (m *mounted) Swap(keys map[string]string) {
	m.t.Helper()
	old, err := os.Readlink(filepath.Join(m.dir, "..data"))
	m.version++
	version := fmt.Sprintf("..2026_03_09_12_12_48.%d", m.version)
	require.NoError(m.t, os.Mkdir(filepath.Join(m.dir, version), 0o700))
	for name, value := range keys {
		require.NoError(m.t, os.WriteFile(filepath.Join(m.dir, version, name), []byte(value), 0o600))
	}
	require.NoError(m.t, os.Symlink(version, filepath.Join(m.dir, "..data_tmp")))
	require.NoError(m.t, os.Rename(filepath.Join(m.dir, "..data_tmp"), filepath.Join(m.dir, "..data")))
	if err == nil {
		require.NoError(m.t, os.RemoveAll(filepath.Join(m.dir, old)))
	}
}

// postUntil posts new events until one of them has what is waited for: the time
// at which a folder's change is noticed is not to be seen from outside.
func (c *collector) postUntil(s *sink, condition func(request) bool) {
	c.t.Helper()
	n := 0
	require.Eventually(c.t, func() bool {
		n++
		before := len(s.Accepted())
		c.Accept(newEvent("apps", fmt.Sprintf("after version %d of %s", n, time.Now())))
		deadline := time.After(300 * time.Millisecond)
		for len(s.Accepted()) == before {
			select {
			case <-deadline:
				return false
			case <-time.After(tick):
			}
		}
		accepted := s.Accepted()
		return condition(accepted[len(accepted)-1])
	}, patience, tick)
}

func TestRotatedToken(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	first := c.Secret("first token", "xoxb-first-0123456789")
	second := c.Secret("second token", "xoxb-second-0123456789")
	s := newSink(t, func(request) answer { return answer{body: `{"ok":true}`} })
	// Editors and kubectl leave a line break at the end of a value.
	folder := mount(t, map[string]string{"token": first + "\n"})
	c.Start(spec{exporters: `
flux_notify:
  type: slack
  address: ` + s.URL + `/api/chat.postMessage
  channel: general
  secret_dir: ` + folder.dir + `
`})
	c.Accept(newEvent("apps", "before"))
	assert.Equal(t, "Bearer "+first, s.Wait(1)[0].header.Get("Authorization"))

	folder.Swap(map[string]string{"token": second + "\n"})
	c.postUntil(s, func(r request) bool { return r.header.Get("Authorization") == "Bearer "+second })
	// The new one stays in use: no delivery may fall back to the first.
	n := len(s.Accepted())
	c.Accept(numbered(20)...)
	for _, r := range s.Wait(n + 20)[n:] {
		assert.Equal(t, "Bearer "+second, r.header.Get("Authorization"))
	}
}

func TestRotatedCA(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	old, renewed := newAuthority(t, "old"), newAuthority(t, "renewed")
	var serving atomic.Pointer[authority]
	serving.Store(old)
	s := newSink(t, nil, withTLS(serveCertificateOf(t, &serving)))
	header := c.Secret("value of a header", "token-0123456789")
	keys := func(ca string) map[string]string {
		return map[string]string{"ca.crt": ca, "headers": "X-Api-Key: " + header + "\n"}
	}
	folder := mount(t, keys(old.pem))
	c.Start(spec{exporters: `
flux_notify:
  type: generic
  address: ` + s.URL + `
  secret_dir: ` + folder.dir + `
  retry_on_failure: {initial_interval: 50ms, max_interval: 200ms}
`})
	c.Accept(newEvent("apps", "before"))
	assert.Equal(t, header, s.Wait(1)[0].header.Get("X-Api-Key"))

	// The certificate is one of the new authority from here on, for every
	// connection: what arrives shows that the new ca.crt is in use.
	serving.Store(renewed)
	s.CloseClientConnections()
	folder.Swap(keys(renewed.pem))
	c.postUntil(s, func(r request) bool { return r.header.Get("X-Api-Key") == header })
	assert.Empty(t, c.Lines("\twarn\t", "ca.crt"))

	// A broken one changes nothing, and is reported once.
	folder.Swap(keys("garbage\n"))
	require.Eventually(t, func() bool { return len(c.Lines("\twarn\t", "ca.crt")) > 0 }, patience, tick)
	s.CloseClientConnections()
	n := len(s.Accepted())
	c.Accept(newEvent("apps", "with the garbage in place"))
	assert.Contains(t, s.Wait(n + 1)[n].body, "with the garbage in place")

	// The next good one is used.
	again := newAuthority(t, "again")
	serving.Store(again)
	s.CloseClientConnections()
	folder.Swap(keys(again.pem))
	c.postUntil(s, func(request) bool { return true })
	c.Stop()
	assert.Len(t, c.Lines("\twarn\t", "ca.crt"), 1)
	assert.Empty(t, c.Lines("garbage"), "the log quotes the file")
}
