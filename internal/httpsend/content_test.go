package httpsend_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// counting counts what is read of answers, after decompression, and remembers the
// longest buffer that they were read into.
type counting struct {
	http.RoundTripper
	read, longest atomic.Int64
}

func (c *counting) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := c.RoundTripper.RoundTrip(req)
	if err == nil {
		res.Body = &countedBody{res.Body, c}
	}
	return res, err
}

type countedBody struct {
	io.ReadCloser
	counting *counting
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.counting.read.Add(int64(n))
	if length := int64(len(p)); length > b.counting.longest.Load() {
		b.counting.longest.Store(length)
	}
	return n, err
}

// bomb answers with much more than 1 GiB of zeros, in 1 MB.
func bomb(t *testing.T, status int) http.HandlerFunc {
	t.Helper()
	var member bytes.Buffer
	w := gzip.NewWriter(&member)
	_, err := w.Write(make([]byte, 1<<20))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.WriteHeader(status)
		for range 2000 {
			if _, err := w.Write(member.Bytes()); err != nil {
				return
			}
		}
	}
}

func TestBombs(t *testing.T) {
	t.Parallel()
	judge := func(httpsend.Answer) (*notify.Error, bool) { return notify.Permanentf("judged", "judged"), true }
	for status, most := range map[int]int64{http.StatusOK: 32<<20 + 1, http.StatusBadRequest: 320<<10 + 1} {
		url := serve(t, bomb(t, status))
		inner := &http.Transport{}
		t.Cleanup(inner.CloseIdleConnections)
		for name, c := range map[string]struct {
			most    int64
			longest int64
			errType string
			deliver func(notify.Settings) error
		}{
			"target": {320<<10 + 1, 64 << 10, map[int]string{200: "", 400: "400"}[status], func(s notify.Settings) error {
				return over(t, s.Address, s.HTTP.Transport, httpsend.Options{}).Deliver(t.Context(), post)
			}},
			"target that reads": {320<<10 + 1, 64 << 10, "judged", func(s notify.Settings) error {
				return over(t, s.Address, s.HTTP.Transport, httpsend.Options{Judge: judge}).Deliver(t.Context(), post)
			}},
			"SDK": {most, 1 << 20, map[int]string{200: "too_large", 400: "400"}[status], func(s notify.Settings) error {
				transport, err := httpsend.NewTransport(s, httpsend.Options{})
				require.NoError(t, err)
				_, err = get(t, transport, s.Address)
				return err
			}},
		} {
			counted := &counting{RoundTripper: inner}
			err := c.deliver(notify.Settings{Address: url, HTTP: &http.Client{Transport: counted}})
			if c.errType == "" {
				require.NoError(t, err)
			} else {
				assert.Equal(t, c.errType, failure(t, err).Type, "%s, %d", name, status)
			}
			assert.LessOrEqual(t, counted.read.Load(), c.most, "%s, %d", name, status)
			assert.LessOrEqual(t, counted.longest.Load(), c.longest, "%s, %d", name, status)
		}
	}
}

// Pages of every length arrive whole, announced or not, compressed or not.
func TestPages(t *testing.T) {
	t.Parallel()
	for _, length := range []int{0, 1, 1023, 1024, 1025, 4096, 4097, 64 << 10, 64<<10 + 1, 2 << 20, 3<<20 + 7} {
		page := bytes.Repeat([]byte("0123456"), length/7+1)[:length]
		for name, answer := range map[string]func(w http.ResponseWriter){
			"announced": func(w http.ResponseWriter) {
				w.Header().Set("Content-Length", fmt.Sprint(length))
				_, _ = w.Write(page)
			},
			"chunked": func(w http.ResponseWriter) {
				w.(http.Flusher).Flush()
				_, _ = w.Write(page)
			},
			"compressed": func(w http.ResponseWriter) {
				w.Header().Set("Content-Encoding", "gzip")
				z := gzip.NewWriter(w)
				_, _ = z.Write(page)
				_ = z.Close()
			},
		} {
			var judged []byte
			transport, url := sdk(t, httpsend.Options{Judge: func(a httpsend.Answer) (*notify.Error, bool) {
				judged = a.Body
				return nil, false
			}}, func(w http.ResponseWriter, _ *http.Request) { answer(w) })
			_, used := transport.OwnMemory()
			body, err := get(t, transport, url)
			require.NoError(t, err)
			assert.True(t, body == string(page), "%s, %d bytes: %d", name, length, len(body)) //nolint:testifylint // not to print it
			assert.True(t, bytes.Equal(page[:min(length, 64<<10)], judged), "%s, %d bytes", name, length)
			assert.Zero(t, used(), "%s, %d bytes", name, length)
		}
	}
}

// An endpoint that announces more than it sends gets little memory.
func TestAnnouncedLength(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(1<<30))
		_, _ = io.WriteString(w, "short")
	})
	inner := &http.Transport{}
	t.Cleanup(inner.CloseIdleConnections)
	counted := &counting{RoundTripper: inner}
	transport, err := httpsend.NewTransport(notify.Settings{Address: url, HTTP: &http.Client{Transport: counted}}, httpsend.Options{})
	require.NoError(t, err)
	_, used := transport.OwnMemory()
	_, err = get(t, transport, url)
	assert.Equal(t, "connection", failure(t, err).Type)
	assert.Zero(t, used())
	assert.EqualValues(t, 1<<20, counted.longest.Load())
}

func TestMemoryOfAllAnswers(t *testing.T) {
	t.Parallel()
	assert.EqualValues(t, 64<<20, httpsend.Memory())
	lengths := []int{4<<10 + 1, 64<<10 + 1, 2<<20 + 1} // the first of each tier
	for tier, length := range lengths {
		page := strings.Repeat("x", length)
		transport, url := sdk(t, httpsend.Options{}, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, page) })
		use, used := transport.OwnMemory()
		use(tier)
		before := used()
		for limit := 50 * time.Millisecond; ; limit *= 2 {
			err := within(t, transport, url, limit)
			assert.Equal(t, notify.Retryable, err.Class)
			assert.Equal(t, before, used(), "what it had is free again")
			if strings.HasSuffix(err.Error(), " while waiting for memory for the answer") {
				break
			}
			require.Less(t, limit, 20*time.Second, "it waits for something else: %v", err) // or the machine is slow
		}
	}
}

// within is the failure of a request that has so much time.
func within(t *testing.T, transport *httpsend.Transport, url string, limit time.Duration) *notify.Error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	require.NoError(t, err)
	_, err = transport.RoundTrip(req) //nolint:bodyclose // there is none
	return failure(t, err)
}

// Short answers need no memory that long ones could have used up.
func TestShortAnswersDoNotWait(t *testing.T) {
	t.Parallel()
	p := target(t, notify.Settings{Address: serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("x", 4096)) })},
		httpsend.Options{Judge: func(a httpsend.Answer) (*notify.Error, bool) { return nil, len(a.Body) == 4096 }})
	use, _ := p.OwnMemory()
	for tier := range 3 {
		use(tier)
	}
	require.NoError(t, p.Deliver(t.Context(), post))
}

// The memory of a page is released when the SDK has finished with it, in any way.
func TestMemoryOfAPage(t *testing.T) {
	t.Parallel()
	transport, url := sdk(t, httpsend.Options{}, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 100<<10)) })
	_, used := transport.OwnMemory()
	for name, end := range map[string]func(io.ReadCloser, context.CancelFunc){
		"read":      func(body io.ReadCloser, _ context.CancelFunc) { _, _ = io.Copy(io.Discard, body) },
		"closed":    func(body io.ReadCloser, _ context.CancelFunc) { _ = body.Close() },
		"forgotten": func(_ io.ReadCloser, cancel context.CancelFunc) { cancel() },
		"all of it": func(body io.ReadCloser, cancel context.CancelFunc) {
			_, _ = io.Copy(io.Discard, body)
			_ = body.Close()
			_ = body.Close()
			cancel()
		},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		require.NoError(t, err)
		res, err := transport.RoundTrip(req)
		require.NoError(t, err)
		assert.Equal(t, 3, used(), name) // of two tiers, and of its target
		end(res.Body, cancel)
		require.Eventually(t, func() bool { return used() == 0 }, 10*time.Second, time.Millisecond, name)
		cancel()
		_ = res.Body.Close()
	}
}

// A refused answer keeps no memory.
func TestMemoryOfARefusal(t *testing.T) {
	t.Parallel()
	refuse := func(httpsend.Answer) (*notify.Error, bool) { return notify.Permanentf("judged", "judged"), true }
	for _, status := range []int{http.StatusOK, http.StatusBadGateway} {
		handler := func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write(make([]byte, 100<<10))
		}
		transport, url := sdk(t, httpsend.Options{Judge: refuse}, handler)
		_, used := transport.OwnMemory()
		_, err := get(t, transport, url)
		assert.Equal(t, "judged", failure(t, err).Type)
		assert.Zero(t, used(), "SDK, %d", status)

		p := target(t, notify.Settings{Address: serve(t, handler)}, httpsend.Options{Judge: refuse})
		_, used = p.OwnMemory()
		assert.Equal(t, "judged", failure(t, p.Deliver(t.Context(), post)).Type)
		assert.Zero(t, used(), "target, %d", status)
	}
}

// An answer without an end does not delay a delivery until its deadline.
func TestDrainEnds(t *testing.T) {
	t.Parallel()
	address := listen(t, func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 4096))
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for err := error(nil); err == nil; time.Sleep(10 * time.Millisecond) {
			_, err = io.WriteString(conn, "1\r\nx\r\n") // for ever
		}
	})
	p := target(t, notify.Settings{Address: "http://" + address}, httpsend.Options{})
	done := make(chan error, 1)
	go func() { done <- p.Deliver(context.Background(), post) }()
	select {
	case err := <-done:
		require.NoError(t, err)
	case <-time.After(30 * time.Second):
		require.Fail(t, "the answer is read for ever")
	}
}
