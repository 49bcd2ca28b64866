package httpsend

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

const (
	// maxDrain is how much more is read so that the connection can be used
	// again, in bytes; past that a new connection costs less.
	maxDrain = 256 << 10
	// maxDrainTime bounds that in time.
	maxDrainTime = time.Second

	firstPiece   = 1 << 10
	longestPiece = 1 << 20
)

// content is what was read of an answer, after decompression. It is in pieces, so
// that it grows without being copied.
type content struct {
	pieces [][]byte
	size   int64
	whole  bool // the answer has no more
	hold   hold
	once   sync.Once
}

// receive reads an answer up to a limit. With an error it returns the content up to
// there. The content must be released.
func (p *party) receive(w *progress, res *http.Response, limit int64) (*content, error) {
	c := &content{hold: hold{memory: p.memory, target: p.pages}}
	if res.ContentLength == 0 {
		c.whole = true
		return c, nil
	}
	for c.size < limit && c.size != res.ContentLength {
		length := min(c.next(res.ContentLength), limit-c.size)
		if err := c.hold.grow(w.ctx, w, c.size+length); err != nil {
			return c, err
		}
		piece := make([]byte, length)
		n, err := fill(res.Body, piece)
		c.pieces, c.size = append(c.pieces, piece[:n]), c.size+int64(n)
		if err != nil {
			return c, c.ended(err)
		}
	}
	n, err := fill(res.Body, make([]byte, 1))
	if n > 0 {
		return c, nil
	}
	return c, c.ended(err)
}

func (c *content) ended(err error) error {
	if errors.Is(err, io.EOF) {
		c.whole = true
		return nil
	}
	return err
}

// next is the length of the next piece: the rest of an announced length, else as much
// as was read before. An endpoint that announces more than it sends gets no more than
// longestPiece.
func (c *content) next(announced int64) int64 {
	if announced > 0 {
		return min(announced-c.size, longestPiece)
	}
	return min(max(c.size, firstPiece), longestPiece)
}

// fill reads until the buffer is full or the reader ends. Unlike io.ReadFull it
// leaves the reader's error as it is.
func fill(r io.Reader, buffer []byte) (n int, err error) {
	for n < len(buffer) && err == nil {
		var more int
		more, err = r.Read(buffer[n:])
		n += more
	}
	return n, err
}

// head is the beginning of the content, up to maxAnswer.
func (c *content) head() []byte {
	if len(c.pieces) == 1 && c.size <= maxAnswer {
		return c.pieces[0]
	}
	head := make([]byte, 0, min(c.size, maxAnswer))
	for _, piece := range c.pieces {
		head = append(head, piece[:min(len(piece), cap(head)-len(head))]...)
	}
	return head
}

// release gives back the memory.
func (c *content) release() { c.once.Do(c.hold.release) }

// open makes a body of the content, for an SDK. The memory is released when the SDK
// has read or closed the body, at the latest when the context ends.
func (c *content) open(ctx context.Context) io.ReadCloser {
	if len(c.hold.held) == 0 {
		return io.NopCloser(c.reader())
	}
	return &page{Reader: c.reader(), content: c, forget: context.AfterFunc(ctx, c.release)}
}

func (c *content) reader() io.Reader {
	if len(c.pieces) == 1 {
		return bytes.NewReader(c.pieces[0])
	}
	readers := make([]io.Reader, len(c.pieces))
	for i, piece := range c.pieces {
		readers[i] = bytes.NewReader(piece)
	}
	return io.MultiReader(readers...)
}

// page is a body whose memory is counted.
type page struct {
	io.Reader
	content *content
	forget  func() bool
}

// Read implements io.Reader.
func (p *page) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	if err != nil {
		_ = p.Close()
	}
	return n, err
}

// Close implements io.Closer.
func (p *page) Close() error {
	p.forget()
	p.content.release()
	return nil
}

// drain reads the rest of an answer, so that the connection can be used again.
func (w *progress) drain(res *http.Response) {
	if res.ContentLength == 0 {
		return
	}
	stop := time.AfterFunc(maxDrainTime, w.cancel)
	defer stop.Stop()
	_, _ = io.CopyN(io.Discard, res.Body, maxDrain)
}
