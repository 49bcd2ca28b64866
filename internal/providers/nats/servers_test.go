package nats_test

import (
	"crypto/tls"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/testca"
)

func TestTLS(t *testing.T) {
	t.Parallel()
	ca := testca.New(t)
	s := run(t, server.Options{
		TLS: true, TLSVerify: true, TLSTimeout: patient.Seconds(),
		TLSConfig: &tls.Config{
			Certificates: []tls.Certificate{ca.Issue(t, testca.Leaf{})}, MinVersion: tls.VersionTLS12,
			ClientCAs: ca.Pool(), ClientAuth: tls.RequireAndVerifyClientCert,
		},
	})
	ours := &tls.Config{RootCAs: ca.Pool(), MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{ca.Issue(t, testca.Leaf{Name: "flux"})}}
	require.NoError(t, deliver(t, provider(t, notify.Settings{Address: s.ClientURL(), TLS: ours}), "x"))

	stranger := &tls.Config{RootCAs: testca.New(t).Pool(), MinVersion: tls.VersionTLS12}
	reports(t, provider(t, notify.Settings{Address: s.ClientURL(), TLS: stranger}), "not connected: the certificate could not be verified: x509: certificate signed by unknown authority")
	nobody := &tls.Config{RootCAs: ca.Pool(), MinVersion: tls.VersionTLS12}
	before := seen(t, s)
	refused := provider(t, notify.Settings{Address: s.ClientURL(), TLS: nobody})
	// Which words reach a client whose certificate is missing is the luck of the
	// moment; what counts is that it was there, and was not let in.
	require.Eventually(t, func() bool { return seen(t, s) >= before+2 }, patient, 10*time.Millisecond)
	assert.Equal(t, notify.Retryable, failure(t, deliver(t, refused, "x")).Class)
}

// seen is how many connections a server has had.
func seen(t *testing.T, s *server.Server) uint64 {
	t.Helper()
	all, err := s.Varz(nil)
	require.NoError(t, err)
	return all.TotalConnections
}

func TestSeveralServers(t *testing.T) {
	t.Parallel()
	first, second := run(t, server.Options{}), run(t, server.Options{})
	p := provider(t, notify.Settings{Address: first.ClientURL() + "," + second.ClientURL()})
	require.NoError(t, deliver(t, p, "before"))
	serving := first
	if second.NumClients() > 0 {
		serving = second
	}
	serving.Shutdown()
	serving.WaitForShutdown()
	require.Eventually(t, func() bool { return deliver(t, p, "after") == nil }, patient, 10*time.Millisecond)
	assert.Equal(t, 1, first.NumClients()+second.NumClients(), "one connection, to the server that is left")
}

// A server restarts while events flow, each repeated until it is delivered, as
// the exporter does. The stream holds each once.
func TestRestartInMidStream(t *testing.T) {
	t.Parallel()
	const events, workers = 500, 10
	options := server.Options{JetStream: true, StoreDir: t.TempDir()}
	s := run(t, options)
	options.Port = s.Addr().(*net.TCPAddr).Port
	stream := jetstream.StreamConfig{Name: "events", Subjects: []string{subject}}
	p := provider(t, notify.Settings{Address: s.ClientURL(), JetStream: true})
	_, err := streams(t, s).CreateStream(t.Context(), stream)
	require.NoError(t, err)

	work, half := make(chan int), make(chan struct{})
	var group sync.WaitGroup
	var failures sync.Map
	for range workers {
		group.Go(func() {
			for i := range work {
				id := strconv.Itoa(i)
				for {
					err := send(t, p, notify.Payload{Body: []byte(id), Key: id})
					if err == nil {
						break
					}
					failures.Store(notify.AsError(err).Class, err)
					time.Sleep(time.Millisecond) // the exporter's pause, in small
				}
			}
		})
	}
	go func() {
		defer close(work)
		for i := range events {
			if i == events/2 {
				close(half)
			}
			work <- i
		}
	}()
	<-half
	s.Shutdown()
	s.WaitForShutdown()
	s = run(t, options)
	group.Wait()

	assert.EqualValues(t, events, kept(t, streams(t, s)), "nothing lost, nothing twice")
	failures.Range(func(class, err any) bool {
		return assert.Equal(t, notify.Retryable, class, "%v", err)
	})
}

func TestAMessageTooLargeForItsStream(t *testing.T) {
	t.Parallel()
	s, _ := withStream(t, &jetstream.StreamConfig{Name: "events", Subjects: []string{subject}, MaxMsgSize: 100})
	p := provider(t, notify.Settings{Address: s.ClientURL(), JetStream: true})
	e := failure(t, deliver(t, p, string(make([]byte, 200))))
	assert.Equal(t, notify.Permanent, e.Class)
	assert.Equal(t, "too_large", e.Type)
	assert.ErrorContains(t, e, "max_msg_size")
}
