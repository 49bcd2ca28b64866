package main

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/receiver/fluxeventreceiver"
)

// receive starts a real receiver.
func receive(t *testing.T, keys ...string) (endpoint string, sink *consumertest.LogsSink) {
	t.Helper()
	factory := fluxeventreceiver.NewFactory()
	config := factory.CreateDefaultConfig().(*fluxeventreceiver.Config)
	for _, key := range keys {
		config.Signature.Keys = append(config.Signature.Keys, configopaque.String(key))
	}
	sink = &consumertest.LogsSink{}
	for range 10 {
		config.ServerConfig.NetAddr.Endpoint = freeEndpoint(t)
		r, err := factory.CreateLogs(t.Context(), receivertest.NewNopSettings(factory.Type()), config, sink)
		require.NoError(t, err)
		if r.Start(t.Context(), componenttest.NewNopHost()) != nil {
			continue // somebody else has taken the port
		}
		t.Cleanup(func() { require.NoError(t, r.Shutdown(context.Background())) })
		return "http://" + config.ServerConfig.NetAddr.Endpoint + "/", sink
	}
	require.Fail(t, "no port is free")
	return "", nil
}

func freeEndpoint(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, listener.Close()) }()
	return listener.Addr().String()
}

func TestSend(t *testing.T) {
	t.Parallel()
	endpoint, sink := receive(t)
	failed, succeeded := eventFile("kustomization-failed"), eventFile("kustomization-succeeded")
	out, errOut, code := command(t, "", "send", "--endpoint", endpoint, failed, succeeded)
	assert.Equal(t, exitDone, code, errOut)
	assert.Equal(t, failed+": accepted (202 Accepted)\n"+succeeded+": accepted (202 Accepted)\n", out)
	assert.Equal(t, 2, sink.LogRecordCount())

	out, _, code = command(t, "", "send", "--endpoint", endpoint, succeeded)
	assert.Equal(t, exitFailed, code)
	assert.Equal(t, succeeded+": duplicate (429 Too Many Requests): the receiver knows this event, --unique makes it another one\n", out)

	out, _, code = command(t, "", "send", "--endpoint", endpoint, "--unique", succeeded, succeeded)
	assert.Equal(t, exitDone, code, out)
	assert.Equal(t, 4, sink.LogRecordCount())

	out, _, code = command(t, `[{"involvedObject":{"kind":"K"}},7]`, "send", "--endpoint", endpoint, "-o", "json", "-")
	assert.Equal(t, exitFailed, code)
	var results []result
	require.NoError(t, json.Unmarshal([]byte(out), &results))
	assert.Equal(t, []result{
		{"standard input#1", "refused", 400, "not an event: involvedObject.name is missing"},
		{"standard input#2", "refused", 400, "not an event: expected one JSON object, got a number"},
	}, results)
}

func TestSendSamples(t *testing.T) {
	t.Parallel()
	endpoint, sink := receive(t)
	before := time.Now().Add(-2 * time.Second)
	args := []string{"send", "--endpoint", endpoint}
	for _, name := range sampleNames() {
		args = append(args, "--sample", name)
	}
	out, _, code := command(t, "", args...)
	assert.Equal(t, exitDone, code, out)
	require.Equal(t, len(sampleNames()), sink.LogRecordCount())
	for _, logs := range sink.AllLogs() {
		at := logs.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0).Timestamp().AsTime()
		assert.True(t, at.After(before), "it happens now: %s", at)
	}
	// What makes an event unique is told to nobody.
	p, err := samplePosting("kustomization-failed", time.Now())
	require.NoError(t, err)
	require.NoError(t, p.makeUnique())
	e, err := fluxevent.Parse(p.body)
	require.NoError(t, err)
	assert.NotEmpty(t, e.Metadata["kustomize.toolkit.fluxcd.io/token"])
	listed, _, code := command(t, "", "render", "-c", collectorYAML, "-o", "json", write(t, "e.json", string(p.body)))
	assert.Equal(t, exitDone, code)
	assert.NotContains(t, listed, e.Metadata["kustomize.toolkit.fluxcd.io/token"])

	out, _, code = command(t, "", "send", "--sample", "list")
	assert.Equal(t, exitDone, code)
	golden(t, "samples", out)
}

// The samples are events of real controllers.
func TestSamplesAreReal(t *testing.T) {
	t.Parallel()
	for _, name := range sampleNames() {
		own, err := os.ReadFile(filepath.Join("samples", name+".json"))
		require.NoError(t, err)
		recorded, err := os.ReadFile(eventFile(name))
		require.NoError(t, err)
		assert.Equal(t, string(recorded), string(own), name)
	}
}

func TestSendSigned(t *testing.T) {
	endpoint, _ := receive(t, canary, canary+"\n")
	line := write(t, "line", canary+"\n")
	wrong := write(t, "wrong", canary+"x\n")
	for name, c := range map[string]struct {
		args     []string
		variable string
		code     int
		out      string
	}{
		"not at all":           {nil, "", exitFailed, "refused (401 Unauthorized): the header X-Signature is missing\n"},
		"by a flag":            {[]string{"--hmac-key", canary}, "", exitDone, "accepted (202 Accepted)\n"},
		"by a file, all of it": {[]string{"--hmac-key-file", line}, "", exitDone, "accepted (202 Accepted)\n"},
		"by a variable":        {nil, canary, exitDone, "accepted (202 Accepted)\n"},
		"wrongly":              {[]string{"--hmac-key", "x"}, canary, exitFailed, "refused (401 Unauthorized): the signature does not match: expected X-Signature: <sha224|sha256|sha384|sha512>=<hex>, of the body, by a known key\n"},
		"by a wrong file":      {[]string{"--hmac-key-file", wrong}, "", exitFailed, "by a known key (the key ends in a line break, which is part of it)\n"},
	} {
		t.Setenv(keyVariable, c.variable)
		out, errOut, code := command(t, "", append([]string{"send", "--endpoint", endpoint, "--unique", "--sample", "kustomization-failed"}, c.args...)...)
		assert.Equal(t, c.code, code, name+errOut)
		assert.True(t, strings.HasSuffix(out, c.out), "%s: %s", name, out)
	}
}

func TestSendToOthers(t *testing.T) {
	t.Parallel()
	other := func(status int, body string) string {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://example.com/")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}))
		server.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes are meant to fail
		server.StartTLS()
		t.Cleanup(server.Close)
		return server.URL
	}
	for endpoint, want := range map[string]string{
		strings.Replace(other(200, ""), "https", "http", 1): "refused (400 Bad Request): Client sent an HTTP request to an HTTPS server.",
		other(200, ""): "failed: tls: failed to verify certificate: x509: certificate signed by unknown authority",
		"http://user:" + canary + "@127.0.0.1:1/events": "failed: dial tcp 127.0.0.1:1: connect: connection refused",
	} {
		out, _, code := command(t, "", "send", "--endpoint", endpoint, "--sample", "kustomization-failed")
		assert.Equal(t, exitFailed, code)
		assert.Equal(t, "sample kustomization-failed: "+want+"\n", out)
	}
	s := &sender{}
	for status, want := range map[int]string{204: accepts, 302: refused, 429: duplicate, 503: refused} {
		r := result{Status: status}
		s.judge(&r, http.Header{})
		assert.Equal(t, want, r.Result, "%d", status)
	}
}

func TestSendRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		err  string
	}{
		"nothing":           {nil, "name an event's file"},
		"an unknown sample": {[]string{"--sample", "x"}, `sample: "x" is not one of gitrepository-new-artifact, `},
		"no URL":            {[]string{"--endpoint", "localhost:8787", "--sample", "kustomization-failed"}, "endpoint: must be a URL that begins with https:// or http://"},
		"two keys":          {[]string{"--hmac-key", "a", "--hmac-key-file", "b", "--sample", "kustomization-failed"}, "none of the others can be"},
		"no key in it":      {[]string{"--hmac-key-file", write(t, "key", ""), "--sample", "kustomization-failed"}, "hmac-key-file: is empty"},
		"no key file":       {[]string{"--hmac-key-file", "none", "--sample", "kustomization-failed"}, "hmac-key-file: open none"},
		"no authority":      {[]string{"--ca-file", "none", "--sample", "kustomization-failed"}, "ca-file: "},
		"a token for none":  {[]string{"--unique", eventOfTheCore(t)}, "unique: the event's object is of no API group"},
	} {
		_, errOut, code := command(t, "", append([]string{"send"}, c.args...)...)
		assert.Equal(t, exitUsage, code, name)
		assert.Contains(t, errOut, c.err, name)
	}
}

func eventOfTheCore(t *testing.T) string {
	t.Helper()
	return write(t, "pod.json", `{"involvedObject":{"kind":"Pod","name":"a","apiVersion":"v1"}}`)
}
