//go:build linux

package httpcore

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/ringcore/ringcore/conn"
)

// A body stream may block at any Read, so a goroutine of its own writes such a
// response. conn.Writer makes it wait while the client is slower: however long
// the body, a connection holds HighWater bytes of it and a Writer's window.

var streamBuffers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, 16<<10) }}

// startStream has a goroutine write resp. x comes back through its task.
func (x *exchange) startStream(c *conn.Conn, resp *fasthttp.Response) {
	cw := c.NewWriter()
	var w io.Writer = cw
	if d := x.limits.write; d > 0 {
		w = newStallWriter(x.ref, w, d)
	}
	go func() {
		x.err = errStreamEnded // stands if the stream calls runtime.Goexit
		defer x.finish()
		if x.err = x.stream(&headGuard{w: w}, resp); x.err == nil {
			x.err = cw.Flush()
		}
	}()
}

var errStreamEnded = errors.New("httpcore: the goroutine of a body stream has ended")

// stallWriter arms the connection's write timer for each piece, so that the
// limit is on the client that does not take it, not on the stream, which may
// have nothing to say for long.
type stallWriter struct {
	w   io.Writer
	ref conn.Ref
	arm conn.Task

	posted atomic.Bool // arm is on its way
}

const stallPiece = 16 << 10

func newStallWriter(ref conn.Ref, w io.Writer, d time.Duration) *stallWriter {
	g := &stallWriter{w: w, ref: ref}
	g.arm.Run = func(*conn.Loop) {
		g.posted.Store(false)
		if c := ref.Conn(); c != nil && !c.Closing() {
			c.SetTimeout(conn.WriteTimer, d)
		}
	}
	return g
}

func (g *stallWriter) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		if g.posted.CompareAndSwap(false, true) {
			g.ref.Loop().Post(&g.arm)
		}
		var k int
		k, err = g.w.Write(p[n:min(n+stallPiece, len(p))])
		n += k
	}
	return n, err
}

func (x *exchange) stream(w io.Writer, resp *fasthttp.Response) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("httpcore: panic in a body stream: %v", r)
			x.p.cfg.logger.Printf("%v", err)
		}
	}()
	bw := streamBuffers.Get().(*bufio.Writer)
	bw.Reset(w)
	defer func() {
		bw.Reset(nil)
		streamBuffers.Put(bw)
	}()
	if x.http10 && resp.Header.ContentLength() < 0 {
		err = writeUntilClose(bw, resp)
	} else {
		err = resp.Write(bw)
	}
	if err == nil {
		err = bw.Flush()
	}
	return err
}

// writeUntilClose writes a body of unknown length to an HTTP/1.0 client, which
// knows no chunks: the end of the connection delimits it (RFC 9112 section 6.3).
func writeUntilClose(w *bufio.Writer, resp *fasthttp.Response) error {
	body := resp.BodyStream()
	resp.Header.SetContentLength(-2)
	resp.Header.Del(fasthttp.HeaderTransferEncoding)
	head := resp.Header.Header()
	_, err := w.Write(head)
	if err == nil && !resp.SkipBody && !bodyless(resp.StatusCode()) {
		_, err = io.Copy(w, body)
	}
	if cerr := resp.CloseBodyStream(); err == nil {
		err = cerr
	}
	return err
}

// headGuard lets the head of a streamed response pass only in one piece and
// clean of control octets (see sanitizeHead); the body passes as it is.
type headGuard struct {
	w      io.Writer
	head   []byte
	passed bool
}

var errSplitHead = errors.New("httpcore: line break in a response field")

func (g *headGuard) Write(p []byte) (int, error) {
	if g.passed {
		return g.w.Write(p)
	}
	g.head = append(g.head, p...)
	end := bytes.Index(g.head, []byte("\r\n\r\n"))
	if end < 0 {
		return len(p), nil
	}
	g.passed = true
	if !sanitizeHead(g.head[:end+4]) {
		return 0, errSplitHead
	}
	_, err := g.w.Write(g.head)
	g.head = nil
	return len(p), err
}
