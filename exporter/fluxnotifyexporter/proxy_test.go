package fluxnotifyexporter

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configopaque"

	"github.com/fluxnotify/otelcol-flux/internal/providers"
	"github.com/fluxnotify/otelcol-flux/internal/testca"
)

// TestProxyAndPrivateAuthority sends a notification of every HTTP type to the
// host of its sample address, which exists only behind a proxy that wants
// credentials, and whose certificate only a private authority vouches for.
func TestProxyAndPrivateAuthority(t *testing.T) {
	t.Parallel()
	ca := testca.New(t)
	for _, row := range providers.Table {
		if row.Bus {
			continue
		}
		t.Run(row.Type, func(t *testing.T) {
			t.Parallel()
			sink, proxy, config := behindProxy(t, ca, row)
			e := start(t, config)
			require.NoError(t, e.ConsumeLogs(context.Background(), event("webapp", "failed")))
			sink.waitFor(t, 1)
			e.stop(t)
			assert.Equal(t, map[string]int64{"sent": 1}, e.counts(t))
			assert.Equal(t, "Basic "+base64.StdEncoding.EncodeToString([]byte("user:canary-proxy")), proxy.authorization())
		})
	}
}

// behindProxy is an endpoint of a type's sample, and the way to it.
func behindProxy(t *testing.T, ca *testca.Authority, row providers.Row) (*endpoint, *connectProxy, *Config) {
	t.Helper()
	sink := &endpoint{}
	sink.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sink.handler(nil).ServeHTTP(httptest.NewRecorder(), r)
		if row.OK != nil {
			row.OK(w, r)
			return
		}
		_, _ = io.WriteString(w, row.OKBody)
	}))
	sink.TLS = &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		leaf := ca.Issue(t, testca.Leaf{DNS: []string{hello.ServerName}})
		return &leaf, nil
	}}
	sink.StartTLS()
	t.Cleanup(sink.Close)
	proxy := newProxy(t, sink.Listener.Addr().String())

	config := sampleConfig(row)
	config.Target.ClientConfig.TLS.CAPem = configopaque.String(ca.PEM())
	config.Target.ClientConfig.ProxyURL = "http://user:canary-proxy@" + proxy.address
	return sink, proxy, config
}

// sampleConfig is the configuration of a row's sample.
func sampleConfig(row providers.Row) *Config {
	config := webhook(row.Sample.Address)
	config.Target.Type = row.Type
	config.Target.Channel, config.Target.Username = row.Sample.Channel, row.Sample.Username
	config.Target.Password, config.Target.Token = configopaque.String(row.Sample.Password), configopaque.String(row.Sample.Token)
	for _, header := range row.Sample.Headers {
		config.Target.ClientConfig.Headers.Set(header.Name, configopaque.String(header.Value))
	}
	return config
}

// connectProxy leads every CONNECT to one address.
type connectProxy struct {
	address string
	target  string
	mu      sync.Mutex
	auth    string
}

func newProxy(t *testing.T, target string) *connectProxy {
	t.Helper()
	p := &connectProxy{target: target}
	server := httptest.NewServer(http.HandlerFunc(p.connect))
	t.Cleanup(server.Close)
	p.address = server.Listener.Addr().String()
	return p
}

func (p *connectProxy) authorization() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.auth
}

func (p *connectProxy) connect(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	p.mu.Lock()
	p.auth = r.Header.Get("Proxy-Authorization")
	p.mu.Unlock()
	upstream, err := net.Dial("tcp", p.target)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	client, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		_ = upstream.Close()
		return
	}
	_, _ = io.WriteString(client, "HTTP/1.1 200 Connection Established\r\n\r\n")
	go func() {
		_, _ = io.Copy(upstream, client)
		_ = upstream.Close()
	}()
	_, _ = io.Copy(client, upstream)
	_ = client.Close()
}
