//go:build linux

package conn

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// netLimit is how many bytes may wait on each way between a netConn's loop and
// its goroutines: received and not read, written and not yet in the output.
const netLimit = 128 << 10

// netCloseTimeout bounds how long a closed netConn goes on sending to a peer
// that does not read.
const netCloseTimeout = time.Minute

// netConn is a connection of a loop as a net.Conn, for code that blocks on its
// goroutine. It has no goroutine of its own, and while nothing waits on either
// way no buffer.
//
//	Read  ◄─ in  ◄─ Data    (or straight into the slice of a Read that waits)
//	Write ─► out ─► work ─► Conn.Write
//
// What a goroutine wants of the loop goes there by one task, work, however much
// of it there is.
type netConn struct {
	loop          *Loop
	local, remote net.Addr
	ref           Ref         // the loop's
	opened        func(error) // until it is connected; the loop's

	mu       sync.Mutex
	task     Task
	posted   bool // task is on its way
	closed   bool // by Close
	finished bool // by CloseWrite
	paused   bool // does not receive: in is full
	in, out  byteQueue
	err      error // why the connection has ended; nil: it has not
	eof      bool
	dst      []byte // of the Read that waits
	got      int    // bytes that it was given

	read, write half
}

var _ net.Conn = (*netConn)(nil)

func newNetConn(l *Loop, remote net.Addr) *netConn {
	nc := &netConn{loop: l, remote: remote}
	nc.task.Run = nc.work
	nc.read.wake.L, nc.write.wake.L = &nc.mu, &nc.mu
	return nc
}

// Read implements net.Conn.
func (nc *netConn) Read(p []byte) (int, error) {
	h := &nc.read
	h.busy.Lock()
	defer h.busy.Unlock()
	nc.mu.Lock()
	defer nc.mu.Unlock()
	for {
		switch {
		case nc.closed:
			return 0, nc.opError("read", net.ErrClosed)
		case h.late():
			return 0, nc.opError("read", os.ErrDeadlineExceeded)
		case len(p) == 0:
			return 0, nil
		case nc.in.n > 0:
			n := nc.in.pop(p)
			if nc.paused && nc.in.n <= netLimit/2 {
				nc.post()
			}
			return n, nil
		case nc.eof:
			return 0, io.EOF
		case nc.err != nil:
			return 0, nc.opError("read", nc.err)
		}
		nc.dst, nc.got = p, 0
		h.wait()
		nc.dst = nil
		if nc.got > 0 {
			return nc.got, nil
		}
	}
}

// Write implements net.Conn. It returns when all of p has been copied.
func (nc *netConn) Write(p []byte) (int, error) {
	h := &nc.write
	h.busy.Lock()
	defer h.busy.Unlock()
	nc.mu.Lock()
	defer nc.mu.Unlock()
	for n := 0; ; {
		switch {
		case nc.closed || nc.finished:
			return n, nc.opError("write", net.ErrClosed)
		case h.late():
			return n, nc.opError("write", os.ErrDeadlineExceeded)
		case nc.err != nil:
			return n, nc.opError("write", nc.err)
		case n == len(p):
			return n, nil
		}
		room := min(netLimit-nc.out.n, len(p)-n)
		if room == 0 {
			h.wait()
			continue
		}
		nc.out.push(p[n : n+room])
		nc.post()
		if n += room; n == len(p) {
			return n, nil
		}
	}
}

// Close implements net.Conn. What was written is sent in the background, as
// the system does it for a socket.
func (nc *netConn) Close() error {
	nc.mu.Lock()
	defer nc.mu.Unlock()
	if nc.closed {
		return nc.opError("close", net.ErrClosed)
	}
	nc.closed = true
	nc.in.drop()
	nc.read.end()
	nc.write.end()
	nc.post()
	return nil
}

// CloseWrite closes the writing side, once what was written is sent: the peer
// reads EOF. Reading goes on.
func (nc *netConn) CloseWrite() error {
	nc.mu.Lock()
	defer nc.mu.Unlock()
	switch {
	case nc.closed:
		return nc.opError("close", net.ErrClosed)
	case nc.err != nil:
		return nc.opError("close", nc.err)
	}
	nc.finished = true
	nc.write.wake.Broadcast()
	nc.post()
	return nil
}

// LocalAddr implements net.Conn.
func (nc *netConn) LocalAddr() net.Addr { return nc.local }

// RemoteAddr implements net.Conn.
func (nc *netConn) RemoteAddr() net.Addr { return nc.remote }

// SetDeadline implements net.Conn.
func (nc *netConn) SetDeadline(t time.Time) error { return nc.setDeadlines(t, &nc.read, &nc.write) }

// SetReadDeadline implements net.Conn.
func (nc *netConn) SetReadDeadline(t time.Time) error { return nc.setDeadlines(t, &nc.read) }

// SetWriteDeadline implements net.Conn.
func (nc *netConn) SetWriteDeadline(t time.Time) error { return nc.setDeadlines(t, &nc.write) }

func (nc *netConn) setDeadlines(t time.Time, halves ...*half) error {
	nc.mu.Lock()
	defer nc.mu.Unlock()
	if nc.closed {
		return nc.opError("set", net.ErrClosed)
	}
	for _, h := range halves {
		h.set(t)
	}
	return nil
}

func (nc *netConn) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: nc.remote.Network(), Source: nc.local, Addr: nc.remote, Err: err}
}

// post has the loop do what is wanted of it. While there is no err, the loop
// has not ended: Closed comes before, and needs the lock that the caller has. A
// loop that has ended would run the task here, which wants the lock too.
func (nc *netConn) post() {
	if !nc.posted && nc.err == nil {
		nc.posted = true
		nc.loop.Post(&nc.task)
	}
}
