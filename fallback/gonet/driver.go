package gonet

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/ringcore/ringcore/ring"
)

// Driver is a ring.Driver over net.Conn and net.Listener.
type Driver struct {
	bufferSize int

	mu       sync.Mutex
	queue    []ring.Event // completions, oldest first
	sockets  map[int]*socket
	last     int // the last number given out
	inFlight int // operations whose goroutines have not returned
	dead     bool

	wake  chan struct{} // capacity 1
	timer *time.Timer

	taken   []ring.Event // the owner's: what Next gives out
	at      int
	buffers bufferTable
	stats   ring.Stats
}

// socket is a connection or a listener with a number.
type socket struct {
	conn      net.Conn
	listener  net.Listener
	receiving bool
	cancelled bool // the receive or accept in flight is to end with ECANCELED
}

var _ ring.Driver = (*Driver)(nil)

// Open returns a driver. cfg.BufferSize is honoured; there is no limit on the
// number of buffers but that of connections.
func Open(cfg ring.Config) (*Driver, error) {
	size := cfg.BufferSize
	if size == 0 {
		size = 4096
	}
	d := &Driver{
		bufferSize: size, sockets: make(map[int]*socket), wake: make(chan struct{}, 1),
		timer: time.NewTimer(time.Hour),
	}
	d.timer.Stop()
	return d, nil
}

// Adopt gives nc a number for the commands. It may be called from any
// goroutine. The driver owns nc from then on; after Destroy it is closed.
func (d *Driver) Adopt(nc net.Conn) (fd int) { return d.add(&socket{conn: nc}) }

// AdoptListener gives ln a number for Accept.
func (d *Driver) AdoptListener(ln net.Listener) (fd int) { return d.add(&socket{listener: ln}) }

// firstFD is above what any descriptor can be, so that a mistake is noticed.
const firstFD = 1 << 30

func (d *Driver) add(s *socket) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		s.close()
		return -1
	}
	for {
		d.last = (d.last + 1) & (firstFD - 1)
		if _, used := d.sockets[firstFD+d.last]; !used {
			break
		}
	}
	fd := firstFD + d.last
	d.sockets[fd] = s
	return fd
}

func (s *socket) close() {
	if s.conn != nil {
		_ = s.conn.Close()
	} else {
		_ = s.listener.Close()
	}
}

func (d *Driver) socket(fd int) *socket {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sockets[fd]
}

// post queues the completion of an operation and wakes the owner.
func (d *Driver) post(ev ring.Event) {
	d.mu.Lock()
	d.queue = append(d.queue, ev)
	if !ev.More {
		d.inFlight--
	}
	d.mu.Unlock()
	d.Wake()
}

func (d *Driver) begin() {
	d.mu.Lock()
	d.inFlight++
	d.stats.Submitted++
	d.mu.Unlock()
}

// Accept implements ring.Driver.
func (d *Driver) Accept(fd int, t ring.Token) {
	d.begin()
	s := d.socket(fd)
	if s == nil || s.listener == nil {
		d.post(ring.Event{Token: t, Op: ring.OpAccept, Err: syscall.EBADF})
		return
	}
	go func() {
		for {
			nc, err := s.listener.Accept()
			if err != nil {
				d.post(ring.Event{Token: t, Op: ring.OpAccept, Err: d.acceptErrno(s, err)})
				return
			}
			if n := d.Adopt(nc); n >= 0 {
				d.post(ring.Event{Token: t, Op: ring.OpAccept, N: n, More: true})
			}
		}
	}()
}

func (d *Driver) acceptErrno(s *socket, err error) syscall.Errno {
	d.mu.Lock()
	cancelled := s.cancelled
	d.mu.Unlock()
	if cancelled {
		return syscall.ECANCELED
	}
	var errno syscall.Errno
	switch {
	case errors.Is(err, net.ErrClosed), errors.Is(err, io.EOF):
		return syscall.ESHUTDOWN // by whoever else has it
	case errors.As(err, &errno):
		return errno
	case isTimeout(err):
		return syscall.ETIMEDOUT
	}
	return syscall.EINVAL // broken for good
}

// isTimeout reports whether a deadline caused err: not every net.Conn says so
// by os.ErrDeadlineExceeded.
func isTimeout(err error) bool {
	var te interface{ Timeout() bool } // nor implements all of net.Error
	return errors.As(err, &te) && te.Timeout()
}

// Receive implements ring.Driver.
func (d *Driver) Receive(fd int, t ring.Token) {
	d.begin()
	d.mu.Lock()
	s := d.sockets[fd]
	if s != nil {
		s.receiving, s.cancelled = true, false
	}
	d.mu.Unlock()
	if s == nil || s.conn == nil {
		d.post(ring.Event{Token: t, Op: ring.OpReceive, Err: syscall.EBADF})
		return
	}
	go d.receive(s, t)
}

func (d *Driver) receive(s *socket, t ring.Token) {
	buf, id := d.buffers.get(d.bufferSize)
	n, err := s.conn.Read(buf)
	d.mu.Lock()
	cancelled := s.cancelled
	s.receiving, s.cancelled = false, false
	if cancelled {
		_ = s.conn.SetReadDeadline(time.Time{}) // under the lock, as in Cancel: they must not pass each other
	}
	d.mu.Unlock()
	if n > 0 {
		d.post(ring.Event{Token: t, Op: ring.OpReceive, N: n, Data: buf[:n], Buffer: id})
		return
	}
	d.buffers.put(id)
	ev := ring.Event{Token: t, Op: ring.OpReceive}
	switch {
	case err == nil:
		ev.Err = syscall.EAGAIN
	case cancelled && isTimeout(err):
		ev.Err = syscall.ECANCELED
	default:
		ev.Err = errnoOf(err)
	}
	d.post(ev)
}

// errnoOf translates what a Read or Write returned; 0 is the peer's EOF.
func errnoOf(err error) syscall.Errno {
	var errno syscall.Errno
	switch {
	case errors.Is(err, io.EOF):
		return 0
	case errors.As(err, &errno):
		return errno
	case errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrClosedPipe):
		return 0
	case isTimeout(err):
		return syscall.ETIMEDOUT
	}
	return syscall.EPROTO // what is above the socket, such as TLS, has failed
}

// Send implements ring.Driver.
func (d *Driver) Send(fd int, t ring.Token, p []byte) {
	d.begin()
	s := d.socket(fd)
	if s == nil || s.conn == nil {
		d.post(ring.Event{Token: t, Op: ring.OpSend, Err: syscall.EBADF})
		return
	}
	go func() {
		n, err := s.conn.Write(p)
		ev := ring.Event{Token: t, Op: ring.OpSend, N: n}
		if err != nil && n == 0 {
			if ev.Err = errnoOf(err); ev.Err == 0 {
				ev.Err = syscall.EPIPE
			}
		}
		d.post(ev)
	}()
}

// Socket implements ring.Driver: there are none here.
func (d *Driver) Socket(int) (int, error) { return -1, syscall.EOPNOTSUPP }

// Connect implements ring.Driver. It fails: Dial and Adopt.
func (d *Driver) Connect(_ int, t ring.Token, _ []byte) {
	d.begin()
	d.post(ring.Event{Token: t, Op: ring.OpConnect, Err: syscall.EOPNOTSUPP})
}

// Cancel implements ring.Driver.
func (d *Driver) Cancel(fd int, _ ring.Token, op ring.Op) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.sockets[fd]
	switch {
	case s == nil:
	case op == ring.OpAccept && s.listener != nil:
		s.cancelled = true
		go s.close() // nothing else ends an Accept of any listener
	case op == ring.OpReceive && s.receiving:
		s.cancelled = true
		_ = s.conn.SetReadDeadline(longAgo)
	case op == ring.OpSend && s.conn != nil:
		_ = s.conn.SetWriteDeadline(longAgo)
	}
}

// longAgo as a deadline ends what waits.
var longAgo = time.Unix(1, 0)

// Close implements ring.Driver.
func (d *Driver) Close(fd int) {
	if s := d.forget(fd); s != nil {
		// In the background: closing a TLS connection may wait for its peer.
		go s.close()
	}
}

func (d *Driver) forget(fd int) *socket {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.sockets[fd]
	delete(d.sockets, fd)
	return s
}

// Detach implements ring.Driver. The connection is NetConn's caller's.
func (d *Driver) Detach(fd int) error {
	d.forget(fd)
	return nil
}

// NetConn returns the connection behind fd, nil for none. Reading from it
// belongs to the driver while it is not detached.
func (d *Driver) NetConn(fd int) net.Conn {
	if s := d.socket(fd); s != nil {
		return s.conn
	}
	return nil
}

// Shutdown is shutdown(2): with SHUT_WR (1) it closes our side of fd (TLS: with
// a close_notify), with SHUT_RDWR (2) both, which ends what is in flight.
func (d *Driver) Shutdown(fd, how int) error {
	s := d.socket(fd)
	if s == nil || s.conn == nil {
		return syscall.EBADF
	}
	if how != shutWrite {
		go s.close()
		return nil
	}
	if cw, ok := s.conn.(interface{ CloseWrite() error }); ok {
		go func() { // TLS writes, which may wait
			if cw.CloseWrite() != nil {
				s.close() // half cannot be had
			}
		}()
		return nil
	}
	return syscall.EPROTONOSUPPORT
}

const shutWrite = 1 // SHUT_WR, on every system

// Release implements ring.Driver.
func (d *Driver) Release(id ring.BufferID) {
	d.stats.BuffersInUse--
	d.buffers.put(id)
}

// Next implements ring.Driver.
func (d *Driver) Next(ev *ring.Event) bool {
	if d.at == len(d.taken) {
		clear(d.taken)
		d.mu.Lock()
		d.taken, d.queue = d.queue, d.taken[:0]
		d.mu.Unlock()
		if d.at = 0; len(d.taken) == 0 {
			return false
		}
	}
	*ev = d.taken[d.at]
	d.at++
	d.stats.Completed++
	if ev.Buffer != ring.NoBuffer {
		d.stats.BuffersInUse++
	}
	return true
}

// Wait implements ring.Driver.
func (d *Driver) Wait(timeout time.Duration) error {
	d.stats.Enters++
	d.mu.Lock()
	ready := len(d.queue) > 0
	d.mu.Unlock()
	switch {
	case ready || d.at < len(d.taken):
	case timeout == 0:
		select {
		case <-d.wake:
		default:
		}
	case timeout < 0:
		<-d.wake
	default:
		d.timer.Reset(timeout)
		select {
		case <-d.wake:
		case <-d.timer.C:
		}
		d.timer.Stop()
	}
	return nil
}

// Wake implements ring.Driver.
func (d *Driver) Wake() {
	select {
	case d.wake <- struct{}{}:
	default: // one is on its way
	}
}

// Stats implements ring.Driver.
func (d *Driver) Stats() ring.Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	st := d.stats
	st.Buffers = d.buffers.count()
	return st
}

// destroyTimeout bounds how long Destroy waits for goroutines that sit in a
// Read or Write of a connection which close does not end.
const destroyTimeout = 5 * time.Second

// Destroy implements ring.Driver.
func (d *Driver) Destroy() error {
	d.mu.Lock()
	d.dead = true
	for fd, s := range d.sockets {
		go s.close()
		delete(d.sockets, fd)
	}
	d.mu.Unlock()
	deadline := time.Now().Add(destroyTimeout)
	for {
		d.mu.Lock()
		left := d.inFlight
		d.mu.Unlock()
		if left == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("gonet: %d operations did not end within %v of closing their connections", left, destroyTimeout)
		}
		if err := d.Wait(10 * time.Millisecond); err != nil {
			return err
		}
	}
}
