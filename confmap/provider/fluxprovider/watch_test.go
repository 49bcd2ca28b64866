package fluxprovider

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.uber.org/zap/zaptest/observer"
)

const refusal = "the changed manifests cannot be used, those before stay in use"

// running is a resolver that is watched, as by a collector.
type running struct {
	*testing.T
	resolver *confmap.Resolver
	logs     *observer.ObservedLogs
	conf     *confmap.Conf
}

func run(t *testing.T, uris ...string) *running {
	t.Helper()
	r := &running{T: t}
	r.resolver, r.logs = newResolver(t, uris...)
	r.resolve()
	return r
}

func (r *running) resolve() {
	r.Helper()
	conf, err := r.resolver.Resolve(context.Background())
	require.NoError(r, err)
	r.conf = conf
}

func (r *running) changed() {
	r.Helper()
	select {
	case err := <-r.resolver.Watch():
		require.NoError(r, err)
	case <-time.After(patience):
		require.Fail(r, "no change is reported")
	}
}

func (r *running) unchanged() {
	r.Helper()
	select {
	case <-r.resolver.Watch():
		require.Fail(r, "a change is reported")
	case <-time.After(silence):
	}
}

func (r *running) refused(n int) {
	r.Helper()
	require.Eventually(r, func() bool { return r.logs.FilterMessage(refusal).Len() == n }, patience, tick)
}

func (r *running) severity() string {
	r.Helper()
	return exporter(r.T, r.conf, "flux_notify/apps-hook").Target.Alerts[0].EventSeverity
}

var errorsOnly = strings.Replace(manifests, "eventSeverity: info", "eventSeverity: error", 1)

func TestAChangeIsReported(t *testing.T) {
	t.Parallel()
	dir, file := folder(t, manifests)
	r := run(t, "flux:"+dir)
	assert.Equal(t, "info", r.severity())
	write(t, file, errorsOnly)
	r.changed()
	r.resolve()
	assert.Equal(t, "error", r.severity())

	// Also one that comes as a new file, in a new folder.
	require.NoError(t, os.Mkdir(filepath.Join(dir, "more"), 0o700))
	write(t, filepath.Join(dir, "more", "infra.yaml"), strings.ReplaceAll(manifests, "apps", "infra"))
	r.changed()
	r.resolve()
	assert.True(t, r.conf.IsSet("exporters::flux_notify/infra-hook"))
	write(t, filepath.Join(dir, "more", "infra.yaml"), strings.ReplaceAll(manifests, canary, canary+"-rotated"))
	r.refused(1) // the same names are there twice
}

func TestWhatMeansTheSameIsNotReported(t *testing.T) {
	t.Parallel()
	dir, file := folder(t, manifests)
	r := run(t, "flux:"+dir)
	write(t, file, "# a comment\n"+manifests)
	write(t, filepath.Join(dir, "notes.txt"), "something")
	r.unchanged()
	assert.Empty(t, r.logs.All())
}

// An edit that is whole may still not mean what its author thinks.
func TestWarningsOfAnEditAreLogged(t *testing.T) {
	t.Parallel()
	dir, file := folder(t, manifests)
	r := run(t, "flux:"+dir)
	warned := func(text string, n int) {
		t.Helper()
		text = file + ":22: Alert apps/all: spec." + text + ": is not a field of this kind, and is ignored"
		require.Eventually(t, func() bool { return r.logs.FilterMessage(text).Len() == n }, patience, tick, "%v", r.logs.All())
	}
	write(t, file, manifests+"  eventSeverty: error\n") // means the same: nothing is reloaded
	warned("eventSeverty", 1)
	r.unchanged()
	write(t, file, errorsOnly+"  eventSeverty: error\n")
	r.changed()
	r.resolve()
	warned("eventSeverty", 1) // is known
	write(t, file, manifests+"  colour: x\n")
	r.changed()
	warned("colour", 1)
	write(t, file, manifests+"  eventSeverty: error\n")
	warned("eventSeverty", 2) // it had gone
}

func TestABrokenChangeIsRefused(t *testing.T) {
	t.Parallel()
	dir, file := folder(t, manifests)
	r := run(t, "flux:"+dir)
	broken := strings.Replace(manifests, "eventSeverity: info", "eventSeverity: warning", 1)
	write(t, file, broken)
	r.refused(1)
	said := r.logs.FilterMessage(refusal).All()[0].ContextMap()["error"]
	assert.Equal(t, file+`:20: Alert apps/all: spec.eventSeverity: "warning" is not one of info, error`, said)
	r.unchanged()
	write(t, file, broken+"# once more\n")
	r.unchanged()
	r.refused(1) // said once

	r.resolve() // as on a SIGHUP: the collector has stopped, and must not end
	assert.Equal(t, "info", r.severity())
	r.refused(2)

	write(t, file, errorsOnly)
	r.changed()
	// It breaks again before the collector has asked: what was reported counts.
	write(t, file, "{")
	r.refused(3)
	r.resolve()
	assert.Equal(t, "error", r.severity())

	require.NoError(t, os.RemoveAll(dir))
	r.unchanged()
	r.resolve()
	assert.Equal(t, "error", r.severity())
	assert.Equal(t, 1, r.logs.FilterMessage("changes are seen at the next reload only (SIGHUP)").Len())
	require.NoError(t, os.Mkdir(dir, 0o700))
	write(t, file, manifests)
	r.resolve()
	assert.Equal(t, "info", r.severity())
	write(t, file, errorsOnly)
	r.changed()
}

func TestWhatTheExporterWouldRefuseIsRefused(t *testing.T) {
	t.Parallel()
	dir, file := folder(t, manifests)
	r := run(t, "flux:"+dir)
	for i, broken := range []string{
		strings.Replace(manifests, "https://", "ftp://", 1),
		strings.Replace(manifests, "token: ", "key: ", 1),
		strings.Replace(manifests, "secretRef: {name: key}", "secretRef: {name: absent}", 1),
		strings.Split(manifests, "---")[0],
	} {
		write(t, file, broken)
		r.refused(i + 1)
	}
	r.unchanged()
	write(t, file, errorsOnly)
	r.changed()
}

// ConfigMaps are mounted as links through ..data, which is swapped.
func TestConfigMap(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	swap := func(version, text string) {
		require.NoError(t, os.Mkdir(filepath.Join(dir, version), 0o700))
		write(t, filepath.Join(dir, version, "flux.yaml"), text)
		require.NoError(t, os.Symlink(version, filepath.Join(dir, "..data_tmp")))
		require.NoError(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	}
	swap("..1", manifests)
	require.NoError(t, os.Symlink(filepath.Join("..data", "flux.yaml"), filepath.Join(dir, "flux.yaml")))
	for _, uri := range []string{"flux:" + dir, "flux:" + filepath.Join(dir, "flux.yaml")} {
		r := run(t, uri)
		assert.Equal(t, "info", r.severity())
		swap("..2"+filepath.Base(uri), errorsOnly)
		r.changed()
		r.resolve()
		assert.Equal(t, "error", r.severity())
		swap("..3"+filepath.Base(uri), manifests)
		r.changed()
	}
}

// A change that names a Secret not mounted yet is taken when it is.
func TestASecretThatComesLater(t *testing.T) {
	t.Parallel()
	dir, file := folder(t, manifests)
	secrets := t.TempDir()
	key := filepath.Join(secrets, "apps", "key")
	require.NoError(t, os.MkdirAll(key, 0o700))
	write(t, filepath.Join(key, "token"), canary)
	r := run(t, "flux:"+dir+"?secrets="+secrets)
	write(t, file, strings.Replace(manifests, "{name: key}", "{name: other}", 1))
	r.refused(1)
	r.unchanged()
	require.NoError(t, os.Rename(key, filepath.Join(secrets, "apps", "other")))
	r.changed()
	r.resolve()
	assert.Equal(t, filepath.Join(secrets, "apps", "other"), exporter(t, r.conf, "flux_notify/apps-hook").Target.SecretDir)
}

func TestChangesOfManySources(t *testing.T) {
	t.Parallel()
	var uris, files []string
	for _, name := range []string{"a", "b", "c"} {
		dir, file := folder(t, strings.ReplaceAll(manifests, "apps", name))
		uris, files = append(uris, "flux:"+dir), append(files, file)
	}
	r := run(t, uris...)
	for _, severity := range []string{"error", "info", "error"} {
		for i, file := range files {
			text := strings.ReplaceAll(manifests, "apps", string(rune('a'+i)))
			write(t, file, strings.Replace(text, "eventSeverity: info", "eventSeverity: "+severity, 1))
		}
		for _, name := range []string{"a", "b", "c"} {
			for exporter(t, r.conf, "flux_notify/"+name+"-hook").Target.Alerts[0].EventSeverity != severity {
				r.changed()
				r.resolve()
			}
		}
	}
}

// The resolver has room for one report, which who reloads on a signal leaves
// unread. The next one waits, and no reload may wait for it.
func TestReportsLeftUnread(t *testing.T) {
	t.Parallel()
	dir, file := folder(t, manifests)
	r := run(t, "flux:"+dir)
	for i, severity := range []string{"error", "info", "error", "info", "error"} {
		write(t, file, strings.Replace(manifests, "eventSeverity: info", "eventSeverity: "+severity, 1))
		reports := min(i+1, 2) // one that is unread, one that waits
		require.Eventually(t, func() bool { return r.logs.FilterMessage("the manifests have changed").Len() == reports }, patience, tick)
		r.resolve()
		assert.Equal(t, severity, r.severity())
	}
	r.changed()
	r.changed()
	r.unchanged()
	write(t, file, manifests)
	r.changed()
}

func TestClosingEndsReports(t *testing.T) {
	t.Parallel()
	dir, file := folder(t, manifests)
	p := NewFactory().Create(confmaptest.NewNopProviderSettings())
	reports := make(chan struct{}, 10)
	retrieved, err := p.Retrieve(context.Background(), "flux:"+dir, func(*confmap.ChangeEvent) { reports <- struct{}{} })
	require.NoError(t, err)
	require.NoError(t, retrieved.Close(context.Background()))
	write(t, file, errorsOnly)
	require.Never(t, func() bool { return len(reports) > 0 }, silence, tick)
}
