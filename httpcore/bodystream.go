//go:build linux

package httpcore

import (
	"io"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/ringcore/ringcore/conn"
)

const (
	// streamWindow is how much of a streamed body waits for its handler, in
	// octets. Beyond it the connection stops receiving.
	streamWindow = 64 << 10
	// maxUnread is how much of a streamed body that its handler has left
	// unread is thrown away to keep the connection; fasthttp's limit.
	maxUnread = 256 << 10
)

// bodyStream is a request's body while it arrives (StreamRequestBody): the loop
// puts octets in, the handler reads them, on its own goroutine. A full window
// leaves them in the connection, whose receiving pauses: backpressure.
type bodyStream struct {
	mu     sync.Mutex
	some   sync.Cond // there is something to read, or the end
	buf    []byte    // buf[r:] has not been read
	r      int
	err    error // what ends the stream, once buf is read
	full   bool  // the loop waits for room
	closed bool  // nobody reads any more
	ref    conn.Ref
	room   conn.Task // has the loop go on
	posted bool      // room is on its way, and must not be posted again
}

func newBodyStream(s *session) *bodyStream {
	b := &bodyStream{ref: s.c.Ref()}
	b.some.L = &b.mu
	b.room.Run = func(*conn.Loop) {
		b.mu.Lock()
		b.posted = false
		b.mu.Unlock()
		if c := b.ref.Conn(); c != nil && !c.Closing() {
			c.Redeliver()
		}
	}
	return b
}

// put takes as much of p as there is room for. For the loop.
func (b *bodyStream) put(p []byte) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return len(p)
	}
	if b.r > 0 && len(b.buf)+len(p) > cap(b.buf) {
		b.buf, b.r = b.buf[:copy(b.buf, b.buf[b.r:])], 0
	}
	n := min(len(p), streamWindow-(len(b.buf)-b.r))
	b.buf = append(b.buf, p[:n]...)
	b.full = n < len(p)
	if n > 0 {
		b.some.Signal()
	}
	return n
}

// end ends the stream with err: io.EOF in good order. For the loop.
func (b *bodyStream) end(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.err = err
		b.some.Broadcast()
	}
}

// Read implements io.Reader.
func (b *bodyStream) Read(p []byte) (int, error) {
	b.mu.Lock()
	for b.r == len(b.buf) && b.err == nil && !b.closed {
		b.some.Wait()
	}
	if b.r == len(b.buf) || b.closed {
		err := b.err
		if err == nil {
			err = io.ErrClosedPipe
		}
		b.mu.Unlock()
		return 0, err
	}
	n := copy(p, b.buf[b.r:])
	b.r += n
	// The loop goes on when half of the window is free: not for every Read.
	more := b.full && len(b.buf)-b.r <= streamWindow/2 && b.wantRoom()
	b.mu.Unlock()
	if more {
		b.ref.Loop().Post(&b.room)
	}
	return n, nil
}

// wantRoom reports whether room is to be posted: not while it is on its way from
// an earlier time, which does for this one too. b.mu is held.
func (b *bodyStream) wantRoom() bool {
	b.full = false
	if b.posted {
		return false
	}
	b.posted = true
	return true
}

// Close implements io.Closer: what still comes is thrown away.
func (b *bodyStream) Close() error {
	b.mu.Lock()
	b.closed = true
	b.buf, b.r = nil, 0
	more := b.full && b.wantRoom()
	b.mu.Unlock()
	if more {
		b.ref.Loop().Post(&b.room)
	}
	return nil
}

// beginStream hands a request to its handler while its body is still to come.
func (s *session) beginStream(x *exchange) {
	b := newBodyStream(s)
	x.body.stream = b
	x.ctx.Request.SetBodyStream(b, int(x.body.length))
	x.state = exchangeWaiting
	s.append(x)
}

// putStream takes octets of a streamed body. It returns how many it used, and
// whether that ended the body.
func (s *session) putStream(x *exchange, p []byte) (used int, whole bool) {
	b := &x.body
	for used < len(p) && !b.complete() {
		data, n := p[used:], 0
		if b.chunked {
			var err error
			if data, n, err = b.chunks.next(data); err != nil {
				s.breakStream(x, err)
				return used, true
			}
		} else {
			data = data[:min(int64(len(data)), b.left)]
			n = len(data)
			b.left -= int64(n)
		}
		taken := b.stream.put(data)
		if over := len(data) - taken; over > 0 { // it comes again when there is room
			b.unread(over)
			return used + n - over, false
		}
		used += n
		if b.answered {
			if b.wasted += taken; b.wasted > maxUnread {
				s.breakStream(x, fasthttp.ErrBodyTooLarge)
				return used, true
			}
		}
	}
	if !b.complete() {
		return used, false
	}
	err := io.EOF
	if b.chunked && x.parseTrailer(b.chunks.trailerSection()) != nil {
		err = fasthttp.ErrBadTrailer
	}
	s.endStream(x, err)
	return used, true
}

// endStream: nothing of the body is to come.
func (s *session) endStream(x *exchange, err error) {
	x.body.stream.end(err)
	s.reading = nil
	if s.timing != timingNothing {
		s.startTimer(timingNothing)
	}
	if x.body.answered {
		s.p.release(x)
	}
}

// breakStream: the body is malformed, late or cut off. The handler has begun
// already and hears of it from its Read; the connection closes after the
// response.
func (s *session) breakStream(x *exchange, err error) {
	x.last, s.closing = true, true
	answered := x.body.answered // then it is released
	s.endStream(x, err)
	if answered {
		s.c.Close()
	}
}

// leaveUnread keeps x after its response, while the rest of its body is thrown
// away.
func (s *session) leaveUnread(x *exchange) {
	x.body.answered = true
	_ = x.body.stream.Close()
	if s.timing == timingNothing { // an absolute deadline, whatever the configuration
		s.timing = timingBody
		s.c.SetTimeout(conn.ReadTimer, unreadTimeout)
	}
}

// unreadTimeout bounds the wait for a body that nobody reads.
const unreadTimeout = 5 * time.Second

// tooMuchUnread reports whether more of x's body is to come than will be thrown
// away, so that its response has to announce the end of the connection. A body
// stream of the response may read it yet.
func (s *session) tooMuchUnread(x *exchange) bool {
	return s.reading == x && (x.abandoned || x.body.left > maxUnread && !x.ctx.Response.IsBodyStream())
}
