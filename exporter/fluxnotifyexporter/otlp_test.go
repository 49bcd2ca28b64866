package fluxnotifyexporter

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configauth"
	"go.opentelemetry.io/collector/config/configcompression"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/confignet"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configtls"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/extension/extensionauth"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/fluxnotify/otelcol-flux/internal/testca"
)

// otlpHost is a name that the certificate of a peer has.
const otlpHost = "otlp.example.com"

// otlpPeer is the collector's own OTLP receiver. It takes what an authenticator
// lets through, and keeps the headers.
type otlpPeer struct {
	component.StartFunc
	component.ShutdownFunc
	consumertest.TracesSink
	authorization string
	url           string
	ca            string

	mu      sync.Mutex
	headers []http.Header
}

var otlpAuth = component.MustNewID("peer")

// GetExtensions implements component.Host.
func (p *otlpPeer) GetExtensions() map[component.ID]component.Component {
	return map[component.ID]component.Component{otlpAuth: p}
}

// Authenticate implements extensionauth.Server.
func (p *otlpPeer) Authenticate(ctx context.Context, sources map[string][]string) (context.Context, error) {
	header := http.Header(sources).Clone()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.headers = append(p.headers, header)
	if header.Get("Authorization") != p.authorization {
		return ctx, errors.New("who are you?")
	}
	return ctx, nil
}

var _ extensionauth.Server = (*otlpPeer)(nil)

func newOTLPPeer(t *testing.T, authorization string) *otlpPeer {
	t.Helper()
	p := &otlpPeer{authorization: authorization}
	// The receiver does not tell which port it got: it is given a free one, and
	// another where somebody was quicker.
	require.Eventually(t, func() bool { return p.listen(t) == nil }, patience, 1)
	return p
}

func (p *otlpPeer) listen(t *testing.T) error {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())

	server := confighttp.NewDefaultServerConfig()
	server.NetAddr = confignet.AddrConfig{Endpoint: address, Transport: confignet.TransportTypeTCP}
	server.Auth = configoptional.Some(confighttp.AuthConfig{Config: configauth.Config{AuthenticatorID: otlpAuth}})
	server.TLS = configoptional.Some(p.certificate(t))
	factory := otlpreceiver.NewFactory()
	config := factory.CreateDefaultConfig().(*otlpreceiver.Config)
	config.Protocols.HTTP = configoptional.Some(otlpreceiver.HTTPConfig{ServerConfig: server, TracesURLPath: "/v1/traces"})
	receiver, err := factory.CreateTraces(t.Context(), receivertest.NewNopSettings(factory.Type()), config, &p.TracesSink)
	require.NoError(t, err)
	if err := receiver.Start(t.Context(), p); err != nil {
		return errors.Join(err, receiver.Shutdown(t.Context()))
	}
	t.Cleanup(func() { require.NoError(t, receiver.Shutdown(context.Background())) })
	p.url = "https://" + address
	return nil
}

func (p *otlpPeer) certificate(t *testing.T) configtls.ServerConfig {
	t.Helper()
	ca := testca.New(t)
	certificate, key := testca.PairPEM(t, ca.Issue(t, testca.Leaf{DNS: []string{otlpHost}}))
	config := configtls.NewDefaultServerConfig()
	config.CertPem, config.KeyPem = configopaque.String(certificate), configopaque.String(key)
	p.ca = ca.PEM()
	return config
}

func (p *otlpPeer) config() *Config {
	config := webhook(p.url)
	config.Target.Type = "otel"
	config.Target.ClientConfig.TLS.CAPem = configopaque.String(p.ca)
	config.Target.ClientConfig.TLS.ServerName = otlpHost
	return config
}

// TestOTLPReceiver lets the collector's own receiver take what the exporter
// sends, with every way to prove who it is.
func TestOTLPReceiver(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		authorization string
		encoding      string
		change        func(*Config)
	}{
		"basic, with headers and gzip": {"Basic Zmx1eDpzM2NyM3Q=", "gzip", func(c *Config) {
			c.Target.Username, c.Target.Password = "flux", "s3cr3t"
			c.Target.ClientConfig.Headers.Set("X-Scope-OrgID", "tenant")
			c.Target.ClientConfig.Compression = configcompression.TypeGzip
		}},
		"bearer, without headers": {"Bearer s3cr3t", "", func(c *Config) { c.Target.Token = "s3cr3t" }},
		"a header of its own, zstd": {"Api-Token s3cr3t", "zstd", func(c *Config) {
			c.Target.ClientConfig.Headers.Set("Authorization", "Api-Token s3cr3t")
			c.Target.ClientConfig.Compression = configcompression.TypeZstd
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			peer := newOTLPPeer(t, c.authorization)
			config := peer.config()
			c.change(config)
			e := start(t, config)
			failed := event("webapp", "health check failed")
			require.NoError(t, e.ConsumeLogs(t.Context(), failed))
			require.NoError(t, e.ConsumeLogs(t.Context(), failed))
			require.Eventually(t, func() bool { return peer.SpanCount() == 2 }, patience, 5)
			e.stop(t)
			assert.Equal(t, map[string]int64{"sent": 2}, e.counts(t))

			traces := peer.AllTraces()
			assert.Equal(t, traces[0], traces[1], "the same event is the same span")
			span := traces[0].ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0)
			assert.Equal(t, "Kustomization: apps/webapp", span.Name())
			assert.Equal(t, map[string]any{
				"object.kind": "Kustomization", "object.name": "webapp", "object.namespace": "apps",
				"flux.event.message": "health check failed", "change_request": "42", "revision": "main@sha1:731f7eaddfb6af01cb2173e18f0f75b0ba780ef1",
			}, span.Attributes().AsRaw())
			assert.Equal(t, ptrace.StatusCodeError, span.Status().Code())
			assert.Equal(t, "health check failed", span.Status().Message())
			assert.Equal(t, int64(1_700_000_000), span.StartTimestamp().AsTime().Unix())
			assert.Equal(t, span.StartTimestamp(), span.EndTimestamp())
			for _, header := range peer.headers {
				assert.Equal(t, "application/x-protobuf", header.Get("Content-Type"))
				assert.Equal(t, c.encoding, header.Get("Content-Encoding"))
				if config.Target.Username != "" {
					assert.Equal(t, "tenant", header.Get("X-Scope-OrgID"))
				}
			}
		})
	}
}

// TestOTLPReceiverRefuses lets that receiver refuse credentials.
func TestOTLPReceiverRefuses(t *testing.T) {
	t.Parallel()
	peer := newOTLPPeer(t, "Bearer another")
	config := peer.config()
	config.Target.Token = "canary-token"
	e := start(t, config)
	require.NoError(t, e.ConsumeLogs(t.Context(), event("webapp", "failed")))
	require.Eventually(t, func() bool { return e.counts(t)["failed 401"] == 1 }, patience, 5)
	e.stop(t)
	assert.Zero(t, peer.SpanCount())
	assert.Len(t, peer.headers, 1, "a refusal is final")
	for _, entry := range e.logs.All() {
		assert.NotContains(t, fmt.Sprint(entry.Message, entry.ContextMap()), "canary")
	}
}
