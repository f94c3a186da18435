//go:build linux

package conn

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/ringcore/ringcore/ring"
)

// ErrTruncated tells that the file has ended before what was to be sent of it.
var ErrTruncated = errors.New("conn: the file has become shorter")

// fileChunk is how much of a file is read at once, in bytes. While it is being
// sent, the next one is read.
const fileChunk = 64 << 10

// directFrom is from how many bytes on a file is sent by the driver without being
// read, which saves two copies and costs a hand-over to a worker.
const directFrom = 128 << 10

// transfer is a file on its way to a connection: read by the loop and sent from its
// buffers, or sent directly, by ring.FileSender.
type transfer struct {
	head  []byte
	file  *File
	at    int64
	left  int64
	read  *fileOp // in flight, nil for none
	stall time.Duration
	then  func(*Conn, error)
	next  *transfer // in the loop's free list

	direct   bool
	full     bool // the last part was shorter than it could have been
	inFlight bool // a part is being sent directly
	dropped  bool // … although c has given it up

	writer Writer // what c.writer points to
}

// transfer returns the file on its way to c, nil for none.
func (c *Conn) transfer() *transfer {
	if c.writer == nil || c.writer.file == nil || c.writer.file.dropped {
		return nil
	}
	return c.writer.file
}

// fileInFlight reports whether what c sends at the moment is a part of a file.
func (c *Conn) fileInFlight() bool {
	return c.writer != nil && c.writer.file != nil && c.writer.file.inFlight
}

// SendFile sends head and then n bytes of f (1 or more), from offset on, behind
// what is queued. At most HighWater bytes of it are in memory at any time: it goes
// on as the peer takes it. head is copied; f is retained meanwhile. A large part of
// a file, on a socket, goes there from the page cache (see ring.FileSender).
//
// then is called on the loop's goroutine when the last byte has been queued, or
// with an error: ErrTruncated, or of the file's reading; some of it may have been
// sent by then. Until then nothing else may be written to c. It is never called
// within SendFile, nor when c is closed before: Close gives up what has not been
// read yet.
//
// A stall greater than zero arms the WriteTimer with each piece, so that it bounds
// how long the peer takes over one, however long the file.
func (c *Conn) SendFile(head []byte, f *File, offset, n int64, stall time.Duration, then func(*Conn, error)) {
	if c.state != stateOpen {
		return
	}
	l := c.loop
	t := l.files.idleTransfers
	if t == nil {
		t = &transfer{}
	} else {
		l.files.idleTransfers, t.next = t.next, nil
	}
	f.Retain()
	t.head = append(t.head[:0], head...)
	t.file, t.at, t.left, t.stall, t.then = f, offset, n, stall, then
	t.direct = n >= l.opts.directFrom && l.nets == nil
	t.writer.file = t
	c.writer = &t.writer
	c.pumpFile()
}

// pumpFile starts the next read if there is room for what it brings. What is sent
// directly goes behind its head and all other output, see startSend.
func (c *Conn) pumpFile() {
	t, l := c.transfer(), c.loop
	if t.read != nil || t.inFlight {
		return
	}
	if t.direct {
		if len(t.head) > 0 {
			t.head = t.head[:copy(t.head, t.head[c.Write(t.head):])]
			t.restartStall(c)
		}
		l.markDirty(c)
		return
	}
	n := len(t.head) + int(min(t.left, fileChunk, int64(l.opts.HighWater)))
	if c.queued > 0 && c.queued+n > l.opts.HighWater {
		return // a send is in flight or about to be; its completion comes back here
	}
	b := l.getBuf(n)
	if b == nil || len(b.mem) <= len(t.head) {
		if b != nil {
			l.freeBuf(b)
		}
		c.NotifyDrained()
		return
	}
	b.w = copy(b.mem, t.head)
	t.head = t.head[:0]
	op := l.files.take()
	op.buf, op.file, op.conn, op.at = b, t.file, c, t.at
	op.n = min(n, len(b.mem)) - b.w
	t.file.Retain()
	t.read = op
	l.files.inFlight++
	l.submitFile(op, ring.OpRead)
}

// fileRead takes what was read.
func (c *Conn) fileRead(op *fileOp, n int, errno syscall.Errno) {
	t, l := c.transfer(), c.loop
	if errno != 0 || n == 0 {
		err := ErrTruncated
		if errno != 0 {
			err = fmt.Errorf("read of a file: %w", errno)
		}
		c.endTransfer(err)
		return
	}
	b := op.buf
	b.w += n
	t.at += int64(n)
	t.left -= int64(n)
	if op.n -= n; op.n > 0 && c.queued > 0 {
		// Fewer than asked. There is something to send meanwhile: fill it up, so
		// that buffers hold what they could.
		op.at = t.at
		l.files.inFlight++
		l.submitFile(op, ring.OpRead)
		return
	}
	op.buf = nil
	t.read = nil
	l.doneFile(op)
	t.file.Release()
	c.append(b)
	t.restartStall(c)
	if t.left == 0 {
		c.endTransfer(nil)
	} else {
		c.pumpFile()
	}
}

// restartStall follows each piece that is queued or taken.
func (t *transfer) restartStall(c *Conn) {
	if t.stall > 0 {
		c.setTimeout(WriteTimer, t.stall)
	}
}

// sendFilePart sends the next part directly.
func (c *Conn) sendFilePart(t *transfer) {
	c.sending, t.inFlight = true, true
	c.loop.files.sender.SendFile(int(c.fd), c.token(), t.file.fd, t.at, t.left, t.full)
}

// onSendFile handles the completion of a part that was sent directly.
func (l *Loop) onSendFile(c *Conn, ev *ring.Event) {
	if !c.fileInFlight() {
		return
	}
	t := c.writer.file
	c.sending, t.inFlight = false, false
	if t.dropped {
		c.writer = nil
		l.freeTransfer(t)
		if c.state == stateJoining {
			c.join()
		} else {
			l.markDirty(c)
		}
		return
	}
	switch ev.Err {
	case 0:
		t.full = int64(ev.N) < min(t.left, ring.SendFileMax)
		t.at += int64(ev.N)
		t.left -= int64(ev.N)
		if ev.N == 0 {
			c.endTransfer(ErrTruncated)
		} else if t.restartStall(c); t.left == 0 {
			c.endTransfer(nil)
		}
	case syscall.EAGAIN, syscall.EINTR, syscall.ECANCELED: // see ring.FileSender
	case syscall.EINVAL, syscall.EOPNOTSUPP, syscall.ENOSYS, syscall.EPERM:
		t.direct = false
		c.pumpFile()
	case syscall.EIO, syscall.ESTALE:
		c.endTransfer(fmt.Errorf("read of a file: %w", ev.Err))
	default:
		c.fail(fmt.Errorf("send: %w", ev.Err))
		return
	}
	if c.state != stateJoining && c.state != stateFree {
		l.markDirty(c)
	}
}

// append adds a filled buffer to the output.
func (c *Conn) append(b *sendBuf) {
	if c.outTail != nil {
		c.outTail.next = b
	} else {
		c.outHead = b
	}
	c.outTail = b
	c.queued += b.w - b.r
	c.loop.markDirty(c)
}

// endTransfer ends c's transfer and tells who waits for it.
func (c *Conn) endTransfer(err error) {
	then := c.transfer().then
	c.dropTransfer()
	then(c, err)
}

// dropTransfer gives c's transfer up. What is in flight keeps its buffer and its
// file until it completes, whatever becomes of c.
func (c *Conn) dropTransfer() {
	t, l := c.transfer(), c.loop
	if t == nil {
		return
	}
	if t.inFlight {
		t.dropped = true
		l.driver.Cancel(int(c.fd), c.token(), ring.OpSendFile)
		return
	}
	c.writer = nil
	if op := t.read; op != nil {
		op.conn = nil
		if op.op != ring.OpNone {
			l.driver.Cancel(-1, op.token(), ring.OpRead)
		} else {
			l.doneFile(op)
			t.file.Release()
		}
	}
	l.freeTransfer(t)
}

func (l *Loop) freeTransfer(t *transfer) {
	t.file.Release()
	*t = transfer{head: t.head[:0], next: l.files.idleTransfers}
	l.files.idleTransfers = t
}
