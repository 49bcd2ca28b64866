package fluxeventreceiver

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
)

// claiming is an event whose metadata has the given keys and values, by turns.
func claiming(metadata ...string) string {
	var pairs []string
	for i := 0; i < len(metadata); i += 2 {
		pairs = append(pairs, strconv.Quote(metadata[i])+":"+strconv.Quote(metadata[i+1]))
	}
	return strings.TrimSuffix(body(1), "}") + `,"metadata":{` + strings.Join(pairs, ",") + "}}"
}

func clusterIn(t *testing.T, logs plog.Logs) string {
	t.Helper()
	name, found := logs.ResourceLogs().At(0).Resource().Attributes().Get("k8s.cluster.name")
	if !found {
		return ""
	}
	assert.NotEmpty(t, name.Str())
	return name.Str()
}

func TestCluster(t *testing.T) {
	t.Parallel()
	claim := claiming(fluxevent.ClusterKey, "claimed")
	for name, c := range map[string]struct {
		changes []func(*Config)
		path    string
		body    string
		want    string
	}{
		"unknown":                 {nil, "/", body(1), ""},
		"claimed":                 {nil, "/", claim, "claimed"},
		"claimed with spaces":     {nil, "/", claiming(fluxevent.ClusterKey, " Production EU "), "Production EU"},
		"claimed, blank":          {nil, "/", claiming(fluxevent.ClusterKey, " "), ""},
		"claimed, another key":    {nil, "/", claiming("cluster", "x", "kustomize.toolkit.fluxcd.io/cluster", "y"), ""},
		"configured":              {[]func(*Config){cluster("eu")}, "/", body(1), "eu"},
		"configured, not claimed": {[]func(*Config){cluster("eu")}, "/", claim, "eu"},
		"of the path":             {[]func(*Config){path("/events/{cluster}")}, "/events/prod-eu.1_A", body(1), "prod-eu.1_A"},
		"of the path, escaped":    {[]func(*Config){path("/events/{cluster}")}, "/events/prod%2Deu", body(1), "prod-eu"},
		"of the path, not claimed": {
			[]func(*Config){path("/{cluster}"), cluster("eu")}, "/prod", claim, "prod",
		},
		"of the longest path": {[]func(*Config){path("/{cluster}")}, "/" + strings.Repeat("x", 253), body(1), strings.Repeat("x", 253)},
		"with a query":        {[]func(*Config){path("/{cluster}")}, "/eu?cluster=us", body(1), "eu"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sink := new(consumertest.LogsSink)
			s := start(t, sink, c.changes...)
			require.Equal(t, http.StatusAccepted, s.do(t, http.MethodPost, c.path, c.body).status)
			assert.Equal(t, c.want, clusterIn(t, sink.AllLogs()[0]))
		})
	}
}

func TestPathsOfClusters(t *testing.T) {
	t.Parallel()
	sink := new(consumertest.LogsSink)
	s := start(t, sink, path("/events/{cluster}"), cluster("eu"))
	const notFound = "not found: events are posted to /events/{cluster}, where {cluster} is 1 to 253 of A-Za-z0-9._-"
	for _, path := range []string{
		"/", "/events", "/events/", "/events/a/", "/events/a/b", "/events/a%2Fb", "/events/a%20b", "/events/%C3%A4", "/events/a:b", "/events/a%00",
		"/events/{cluster}", "/events/" + strings.Repeat("x", 254), "//events/a", "/Events/a", "/a",
	} {
		for _, method := range []string{http.MethodPost, http.MethodGet} {
			assertLine(t, http.StatusNotFound, notFound, s.do(t, method, path, body(1)))
		}
	}
	got := s.do(t, http.MethodGet, "/events/a", "")
	assertLine(t, http.StatusMethodNotAllowed, "method not allowed, expected POST", got)
	assert.Equal(t, "POST", got.header.Get("Allow"))
	assert.Empty(t, sink.AllLogs())
	assertLine(t, http.StatusOK, "ok", s.do(t, http.MethodGet, "/healthz", ""))
}

// The health path is also a path of clusters here.
func TestHealthPathAmongClusters(t *testing.T) {
	t.Parallel()
	s := start(t, consumertest.NewNop(), path("/{cluster}"))
	assertLine(t, http.StatusOK, "ok", s.do(t, http.MethodGet, "/healthz", ""))
	assert.Equal(t, http.StatusMethodNotAllowed, s.do(t, http.MethodPost, "/healthz", body(1)).status)
	assert.Equal(t, http.StatusAccepted, s.do(t, http.MethodPost, "/healthy", body(1)).status)
}

func TestClustersAreDeduplicatedApart(t *testing.T) {
	t.Parallel()
	sink := new(consumertest.LogsSink)
	s := start(t, sink, path("/{cluster}"))
	for _, want := range []int{http.StatusAccepted, http.StatusTooManyRequests} {
		for _, cluster := range []string{"/eu", "/us"} {
			assert.Equal(t, want, s.do(t, http.MethodPost, cluster, body(1)).status, cluster)
		}
	}
	require.Equal(t, 2, sink.LogRecordCount())
	uid := func(i int) string {
		return fluxevent.RecordUID(sink.AllLogs()[i].ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0))
	}
	assert.NotEqual(t, uid(0), uid(1))
}

// Who may post what, for every combination of keys.
func TestClusterKeys(t *testing.T) {
	t.Parallel()
	type post struct {
		path, body, key string // key: empty: not signed
		want            int
	}
	const (
		ok = http.StatusAccepted
		no = http.StatusUnauthorized
	)
	plain, eu, us := body(1), claiming(fluxevent.ClusterKey, "eu"), claiming(fluxevent.ClusterKey, "us")
	own := []func(*Config){clusterKeys("eu", "eu-old", "eu-new"), clusterKeys("asia", "asia")}
	with := func(changes ...func(*Config)) []func(*Config) {
		return append(append([]func(*Config){noDeduplication}, own...), changes...)
	}
	for name, c := range map[string]struct {
		changes []func(*Config)
		posts   []post
	}{
		"by path, with keys": {with(path("/{cluster}"), keys("general")), []post{
			{"/eu", plain, "eu-old", ok},
			{"/eu", plain, "eu-new", ok},
			{"/eu", plain, "", no},
			{"/eu", plain, "general", no},
			{"/eu", plain, "asia", no},
			{"/us", plain, "general", ok},
			{"/us", plain, "", no},
			{"/us", plain, "eu-old", no},
			// What the metadata claims is not what counts.
			{"/us", eu, "general", ok},
			{"/us", eu, "eu-old", no},
			{"/eu", us, "eu-old", ok},
			{"/eu", us, "general", no},
			{"/EU", plain, "general", ok},
			{"/EU", plain, "eu-old", no},
		}},
		"by path, not required": {with(path("/{cluster}"), keys("general"), required(false)), []post{
			{"/eu", plain, "eu-old", ok},
			{"/eu", plain, "", no},
			{"/eu", plain, "general", no},
			{"/us", plain, "general", ok},
			{"/us", plain, "", ok},
			{"/us", plain, "eu-old", no},
			{"/us", plain, "wrong", no},
		}},
		"by path, without keys": {with(path("/{cluster}")), []post{
			{"/eu", plain, "eu-old", ok},
			{"/eu", plain, "", no},
			{"/eu", plain, "wrong", no},
			{"/us", plain, "", ok},
			{"/us", plain, "wrong", ok},
		}},
		"by path, required without keys": {with(path("/{cluster}"), required(true)), []post{
			{"/eu", plain, "eu-old", ok}, {"/eu", plain, "", no}, {"/us", plain, "", no}, {"/us", plain, "eu-old", no},
		}},
		"configured": {with(cluster("eu"), keys("general")), []post{
			{"/", plain, "eu-new", ok}, {"/", plain, "general", no}, {"/", us, "eu-new", ok}, {"/", plain, "", no},
		}},
		"configured, without keys of its own": {with(cluster("us"), keys("general")), []post{
			{"/", plain, "general", ok}, {"/", eu, "general", ok}, {"/", eu, "eu-old", no}, {"/", plain, "", no},
		}},
		"claimed, with keys": {with(keys("general")), []post{
			{"/", eu, "eu-old", ok},
			{"/", eu, "eu-new", ok},
			{"/", eu, "general", no},
			{"/", eu, "asia", no},
			{"/", eu, "", no},
			{"/", us, "general", ok},
			{"/", us, "eu-old", no},
			{"/", us, "", no},
			{"/", plain, "general", ok},
			{"/", plain, "eu-old", no},
			{"/", plain, "", no},
		}},
		"claimed, not required": {with(keys("general"), required(false)), []post{
			{"/", eu, "eu-old", ok},
			{"/", eu, "general", no},
			{"/", eu, "", no},
			{"/", us, "general", ok},
			{"/", us, "", ok},
			{"/", us, "wrong", no},
			{"/", us, "eu-old", no},
			{"/", plain, "general", ok},
			{"/", plain, "", ok},
			{"/", plain, "wrong", no},
		}},
		"claimed, without keys": {with(), []post{
			{"/", eu, "eu-old", ok},
			{"/", eu, "wrong", no},
			{"/", eu, "", no},
			{"/", us, "", ok},
			{"/", us, "wrong", ok},
			{"/", plain, "", ok},
		}},
		"claimed, required without keys": {with(required(true)), []post{
			{"/", eu, "eu-old", ok}, {"/", eu, "", no}, {"/", us, "", no}, {"/", us, "eu-old", no}, {"/", plain, "eu-old", no},
		}},
		"claimed in other ways, not required": {with(keys("general"), required(false)), []post{
			{"/", claiming("cluster", "eu"), "", no},
			{"/", claiming("cluster", "us"), "", ok},
			{"/", claiming("kustomize.toolkit.fluxcd.io/cluster", "eu"), "", no},
			{"/", claiming("my-cluster", "eu"), "", ok},
		}},
		// Notifications show these as the cluster too.
		"claimed in other ways": {with(keys("general")), []post{
			{"/", claiming(fluxevent.ClusterKey, " eu\n"), "general", no},
			{"/", claiming(fluxevent.ClusterKey, " eu\n"), "eu-old", ok},
			{"/", claiming("cluster", "eu"), "general", no},
			{"/", claiming("kustomize.toolkit.fluxcd.io/cluster", "eu "), "general", no},
			{"/", claiming(fluxevent.ClusterKey, "us", "kustomize.toolkit.fluxcd.io/cluster", "eu"), "general", no},
			{"/", claiming(fluxevent.ClusterKey, "asia", "cluster", "eu"), "asia", no},
			{"/", claiming(fluxevent.ClusterKey, "asia", "cluster", "eu"), "eu-old", no},
			{"/", claiming("cluster", "us", "x/cluster", "us", "my-cluster", "eu"), "general", ok},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sink := new(consumertest.LogsSink)
			s := start(t, sink, c.changes...)
			accepted := 0
			for _, p := range c.posts {
				var headers []string
				if p.key != "" {
					headers = []string{"X-Signature", sign("sha256", p.key, p.body)}
				}
				got := s.do(t, http.MethodPost, p.path, p.body, headers...)
				assert.Equal(t, p.want, got.status, "%+v", p)
				if p.want == ok {
					accepted++
					continue
				}
				if p.key == "" {
					assertLine(t, no, unsigned, got)
				} else {
					assertLine(t, no, badSignature, got)
				}
			}
			assert.Equal(t, accepted, sink.LogRecordCount())
		})
	}
}

// A sender without a key learns nothing about its body, also where only the
// event can name the cluster.
func TestClusterKeysComeBeforeTheBody(t *testing.T) {
	t.Parallel()
	s := start(t, consumertest.NewNop(), keys("general"), clusterKeys("eu", "eu"))
	assertLine(t, http.StatusUnauthorized, unsigned, s.post(t, "not an event"))
	assertLine(t, http.StatusUnauthorized, badSignature, s.post(t, "not an event", "X-Signature", sign("sha256", "wrong", "not an event")))
	for _, key := range []string{"general", "eu"} {
		assert.Equal(t, http.StatusBadRequest, s.post(t, "not an event", "X-Signature", sign("sha256", key, "not an event")).status)
	}
	s = start(t, consumertest.NewNop(), clusterKeys("eu", "eu"), required(true))
	assertLine(t, http.StatusUnauthorized, unsigned, s.post(t, "not an event"))
}
