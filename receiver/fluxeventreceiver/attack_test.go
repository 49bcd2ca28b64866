package fluxeventreceiver

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configtls"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"golang.org/x/net/http2"

	"github.com/fluxnotify/otelcol-flux/internal/testca"
)

// dial opens a connection that ends with the test.
func (s *service) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	return conn
}

// raw sends what no HTTP client would, and reads the status of the answer; 0 is
// a connection that was closed without one.
func (s *service) raw(t *testing.T, request string) int {
	t.Helper()
	conn := s.dial(t)
	_, _ = io.WriteString(conn, request) // it may be refused before its end
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0
	}
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}

// well proves that somebody with good manners is served.
func (s *service) well(t *testing.T) {
	t.Helper()
	assert.Equal(t, http.StatusAccepted, s.post(t, body(1)).status)
}

func (s *service) closedByServer(t *testing.T, conn net.Conn) {
	t.Helper()
	_, err := io.Copy(io.Discard, conn)
	var timeout net.Error
	if assert.NotErrorIs(t, err, io.ErrUnexpectedEOF) && err != nil {
		require.ErrorAs(t, err, &timeout)
		assert.False(t, timeout.Timeout(), "the connection stayed open")
	}
}

func TestSlowSendersHoldUpNobody(t *testing.T) {
	t.Parallel()
	s := start(t, consumertest.NewNop(), noDeduplication, func(c *Config) {
		c.ServerConfig.ReadHeaderTimeout, c.ServerConfig.ReadTimeout = time.Second, 2*time.Second
	})
	const slow = 100
	var conns []net.Conn
	for i := range slow {
		conn := s.dial(t)
		conns = append(conns, conn)
		begun := "POST / HTTP/1.1\r\nHost: x\r\n" // the headers never end
		if i%2 == 1 {
			begun += "Content-Length: 1000\r\n\r\n{" // or the body never does
		}
		_, err := io.WriteString(conn, begun)
		require.NoError(t, err)
		if i%10 == 0 {
			s.well(t)
		}
	}
	s.well(t)
	for _, conn := range conns {
		s.closedByServer(t, conn)
	}
}

func TestIdleConnectionsHoldUpNobody(t *testing.T) {
	t.Parallel()
	s := start(t, consumertest.NewNop(), noDeduplication)
	for i := range 2000 {
		s.dial(t)
		if i%500 == 0 {
			s.well(t)
		}
	}
	s.well(t)
}

func TestHeadersAreBounded(t *testing.T) {
	t.Parallel()
	s := start(t, consumertest.NewNop(), noDeduplication)
	head := func(lines string) string {
		return "POST / HTTP/1.1\r\nHost: x\r\n" + lines + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(body(1))) + body(1)
	}
	assert.Equal(t, http.StatusAccepted, s.raw(t, head("X-Long: "+strings.Repeat("a", maxHeaderBytes-1000)+"\r\n")))
	for name, lines := range map[string]string{
		"one":  "X-Long: " + strings.Repeat("a", 2*maxHeaderBytes) + "\r\n",
		"many": strings.Repeat("X-A: a\r\n", maxHeaderBytes/4),
	} {
		// Where the server closes with something unread, the reset may overtake
		// its answer.
		assert.Contains(t, []int{http.StatusRequestHeaderFieldsTooLarge, 0}, s.raw(t, head(lines)), name)
	}
	s.well(t)
}

func TestNonsenseIsRefused(t *testing.T) {
	t.Parallel()
	sink := new(consumertest.LogsSink)
	s := start(t, sink, noDeduplication)
	const post = "POST / HTTP/1.1\r\nHost: x\r\n"
	for name, c := range map[string]struct {
		request string
		status  int
	}{
		"a chunk's size is no number":  {post + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", 400},
		"a chunk of 2^64 bytes":        {post + "Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n{}\r\n0\r\n\r\n", 400},
		"a chunk longer than its size": {post + "Transfer-Encoding: chunked\r\n\r\n1\r\n{}{}{}\r\n0\r\n\r\n", 400},
		"an unknown encoding":          {post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
		"two lengths":                  {post + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x", 400},
		"a negative length":            {post + "Content-Length: -1\r\n\r\n", 400},
		"no host":                      {"POST / HTTP/1.1\r\n\r\n", 400},
		"a line break in a header":     {post + "X-A: a\r\n b: c\x00\r\nContent-Length: 2\r\n\r\n{}", 400},
		"no HTTP":                      {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400},
		"another version":              {"POST / HTTP/3.7\r\nHost: x\r\n\r\n", 505},
	} {
		assert.Equal(t, c.status, s.raw(t, c.request), name)
	}
	assert.Empty(t, sink.AllLogs())
	s.well(t)
}

// What follows a body is the next request, never a part of the one before.
func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	t.Parallel()
	sink := new(consumertest.LogsSink)
	s := start(t, sink)
	conn := s.dial(t)
	const posts = 50
	go func() {
		for i := range posts {
			event := body(i)
			if i%2 == 1 {
				event = "no event"
			}
			_, _ = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(event), event)
		}
	}()
	answers := bufio.NewReader(conn)
	for i := range posts {
		resp, err := http.ReadResponse(answers, nil)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, []int{http.StatusAccepted, http.StatusBadRequest}[i%2], resp.StatusCode, i)
	}
	assert.Equal(t, posts/2, sink.LogRecordCount())
}

// bombs are much of nothing in little, the one of zstd with as large a window as
// there is.
func bombs(t *testing.T) map[string]string {
	t.Helper()
	var zipped, zstandard bytes.Buffer
	gz, err := gzip.NewWriterLevel(&zipped, gzip.BestSpeed)
	require.NoError(t, err)
	zs, err := zstd.NewWriter(&zstandard, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(zstd.MaxWindowSize))
	require.NoError(t, err)
	nothing := make([]byte, 1<<20)
	for range 1 << 6 {
		_, err = gz.Write(nothing)
		require.NoError(t, err)
		_, err = zs.Write(nothing)
		require.NoError(t, err)
	}
	require.NoError(t, gz.Close())
	require.NoError(t, zs.Close())
	return map[string]string{"gzip": zipped.String(), "zstd": zstandard.String()}
}

// It measures the memory of the process, and so runs alone.
func TestBombsAreDefused(t *testing.T) {
	s := start(t, consumertest.NewNop(), noDeduplication)
	for encoding, bomb := range bombs(t) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got := s.post(t, bomb, "Content-Encoding", encoding)
		runtime.ReadMemStats(&after)
		assert.Contains(t, []int{http.StatusRequestEntityTooLarge, http.StatusBadRequest}, got.status, encoding)
		assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(32<<20), "%s: memory for a bomb", encoding)
	}
	s.well(t)
}

// TestRapidResets opens streams and takes them back as fast as it can.
func TestRapidResets(t *testing.T) {
	t.Parallel()
	ca := testca.New(t)
	certificate, key := testca.PairPEM(t, ca.Issue(t, testca.Leaf{}))
	s := start(t, consumertest.NewNop(), noDeduplication, func(c *Config) {
		c.ServerConfig.TLS = configoptional.Some(configtls.ServerConfig{Config: configtls.Config{
			CertPem: configopaque.String(certificate), KeyPem: configopaque.String(key),
		}})
	})
	s.url = strings.Replace(s.url, "http://", "https://", 1)
	trusting := &tls.Config{RootCAs: ca.Pool(), NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12}
	s.client = &http.Client{Transport: &http.Transport{TLSClientConfig: trusting.Clone(), ForceAttemptHTTP2: true}}
	conn, err := tls.Dial("tcp", strings.TrimPrefix(s.url, "https://"), trusting)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	require.Equal(t, "h2", conn.ConnectionState().NegotiatedProtocol)
	go func() { _, _ = io.Copy(io.Discard, conn) }()

	resetting := make(chan int)
	go func() { resetting <- reset(conn, 10_000) }()
	for range 20 {
		s.well(t)
	}
	t.Logf("the server bore %d resets", <-resetting)
	s.well(t)
}

// reset is a rapid reset of n streams; it ends early where the server has had
// enough, and returns how far it came.
func reset(conn net.Conn, n int) int {
	_, _ = io.WriteString(conn, http2.ClientPreface)
	framer := http2.NewFramer(conn, nil)
	_ = framer.WriteSettings()
	// :method POST, :scheme https, :path / of HPACK's static table, and a host.
	headers := []byte{0x83, 0x87, 0x84, 0x01, 0x01, 'x'}
	for i := range n {
		stream := uint32(2*i + 1)
		if framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: headers, EndHeaders: true}) != nil ||
			framer.WriteRSTStream(stream, http2.ErrCodeCancel) != nil {
			return i
		}
	}
	return n
}
