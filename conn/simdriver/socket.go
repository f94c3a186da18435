//go:build linux

package simdriver

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/ring"
)

// socket is the kernel's side of a connection.
type socket struct {
	d        *Driver
	fd       int  // -1 before accept and after close
	end      *End // nil before it is connected
	token    ring.Token
	hasToken bool

	recv, send *operation // until their last completion has been taken; a connect is in send
	failed     bool       // to connect
	starved    int        // the number of releases when a receive met ENOBUFS, -1: it did not

	in       []byte // from the peer
	inEOF    bool   // … which has closed its side
	reset    bool   // … or reset the connection
	shutRead bool

	out       []byte // for the peer
	outRoom   int    // how much may be in out
	shutWrite bool
	closed    bool
}

// Receive implements ring.Driver.
func (d *Driver) Receive(fd int, t ring.Token) {
	d.checkAlive("Receive")
	s := d.find(fd, "Receive")
	if s == nil {
		return
	}
	d.checkToken(s, t, "Receive")
	d.checkConnected(s, "Receive")
	if s.recv != nil {
		d.violate("a second receive on descriptor %d", fd)
		return
	}
	if s.starved == d.buffers.releases && d.buffers.count(bufferFree) == 0 {
		d.violate("descriptor %d was armed again after ENOBUFS although no buffer has come back", fd)
	}
	s.starved = -1
	o := &operation{token: t, op: ring.OpReceive, socket: s}
	s.recv = o
	d.tracef("receive on %d", fd)
	d.command(func() {
		o.kernel = true
		if d.chance(d.faults.again) {
			d.complete(o, ring.Event{Err: syscall.EAGAIN})
		}
		s.receive()
	})
}

// receive gives the armed receive what there is.
func (s *socket) receive() {
	d := s.d
	for o := s.recv; o != nil && o.kernel; {
		switch {
		case s.reset:
			s.reset, s.inEOF, s.in = false, true, nil // it is told once
			d.complete(o, ring.Event{Err: syscall.ECONNRESET})
		case len(s.in) > 0:
			limit := d.buffers.size
			if d.chance(d.faults.oneByte) {
				limit = 1
			}
			id, p := d.buffers.fill(s.in, limit)
			if id == ring.NoBuffer {
				s.starved = d.buffers.releases
				d.complete(o, ring.Event{Err: syscall.ENOBUFS})
				return
			}
			s.in = s.in[len(p):]
			more := d.multishot && !d.chance(d.faults.endEarly)
			d.complete(o, ring.Event{N: len(p), Data: p, Buffer: id, More: more})
		case s.inEOF || s.shutRead:
			d.complete(o, ring.Event{})
		default:
			return
		}
	}
}

// Send implements ring.Driver.
func (d *Driver) Send(fd int, t ring.Token, p []byte) {
	d.checkAlive("Send")
	s := d.find(fd, "Send")
	if s == nil {
		return
	}
	d.checkToken(s, t, "Send")
	d.checkConnected(s, "Send")
	if s.send != nil {
		d.violate("a second send on descriptor %d", fd)
		return
	}
	if len(p) == 0 {
		d.violate("a send of nothing on descriptor %d", fd)
	}
	o := &operation{token: t, op: ring.OpSend, socket: s, data: p, sum: d.checksum(p)}
	s.send = o
	d.tracef("send of %d bytes on %d", len(p), fd)
	d.command(func() {
		o.kernel = true
		s.transmit()
	})
}

// transmit moves what fits from the send in flight to the peer's side.
func (s *socket) transmit() {
	d, o := s.d, s.send
	if o == nil || !o.kernel || o.op == ring.OpConnect {
		return
	}
	if o.op == ring.OpSendFile {
		s.transmitFile(o)
		return
	}
	if s.shutWrite || s.end.gone {
		if o.sent > 0 {
			d.complete(o, ring.Event{N: o.sent})
		} else {
			d.complete(o, ring.Event{Err: syscall.EPIPE})
		}
		return
	}
	n := min(len(o.data)-o.sent, s.outRoom-len(s.out))
	if n <= 0 {
		return
	}
	short := d.chance(d.faults.shortSend)
	if short {
		n = d.part(n)
	}
	s.out = append(s.out, o.data[o.sent:o.sent+n]...)
	o.sent += n
	s.end.readSoon()
	if short || o.sent == len(o.data) {
		d.complete(o, ring.Event{N: o.sent})
	}
}

// Cancel implements ring.Driver.
func (d *Driver) Cancel(fd int, t ring.Token, op ring.Op) {
	d.checkAlive("Cancel")
	d.tracef("cancel %v on %d", op, fd)
	if op == ring.OpAccept {
		d.command(func() { d.cancelAccept(fd, t) })
		return
	}
	if op == ring.OpOpen || op == ring.OpStat || op == ring.OpRead {
		d.cancelFile(t, op)
		return
	}
	s := d.find(fd, "Cancel")
	if s == nil {
		return
	}
	o := s.recv
	if op == ring.OpSend || op == ring.OpSendFile || op == ring.OpConnect {
		o = s.send
	}
	if o == nil || o.token != t || o.op != op {
		return
	}
	d.command(func() { d.cancel(o) })
}

// cancel ends o with ECANCELED, unless something else is quicker.
func (d *Driver) cancel(o *operation) {
	if !o.kernel {
		return
	}
	if !d.chance(d.faults.cancelWins) {
		d.at(d.now+d.delay(), func() {
			if o.kernel {
				d.endByCancel(o)
			}
		})
		return
	}
	d.endByCancel(o)
}

func (d *Driver) endByCancel(o *operation) {
	if o.sent > 0 {
		d.complete(o, ring.Event{N: o.sent}) // the bytes are gone
		return
	}
	d.complete(o, ring.Event{Err: syscall.ECANCELED})
}

// Shutdown is shutdown(2) for simulated sockets: a method that package conn
// looks for, beyond ring.Driver.
func (d *Driver) Shutdown(fd, how int) error {
	d.news = true
	s := d.find(fd, "Shutdown")
	if s == nil {
		return unix.EBADF
	}
	if s.end == nil || s.end.gone {
		return unix.ENOTCONN
	}
	d.tracef("shutdown %d, how %d", fd, how)
	if how == unix.SHUT_WR || how == unix.SHUT_RDWR {
		s.shutWrite = true
		s.end.readSoon()
	}
	if how == unix.SHUT_RD || how == unix.SHUT_RDWR {
		s.shutRead = true
	}
	s.kick()
	return nil
}

// kick lets the operations in flight go on.
func (s *socket) kick() {
	s.receive()
	s.transmit()
}

// close is close(2): with input unread it resets the connection.
func (s *socket) close() {
	s.closed, s.shutWrite = true, true
	if s.end == nil {
		return
	}
	if len(s.in) > 0 {
		s.out = nil
		s.end.resetByServer()
		return
	}
	s.end.readSoon()
}
