//go:build linux

package fallback

import (
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/ring"
)

// longSend is the number of bytes from which on Go's scheduler is told of a
// send: copying more takes so long that it should have the processor back.
const longSend = 64 << 10

// Accept implements ring.Driver.
func (e *Epoll) Accept(fd int, t ring.Token) { e.arm(fd, t, ring.OpAccept) }

// Receive implements ring.Driver.
func (e *Epoll) Receive(fd int, t ring.Token) { e.arm(fd, t, ring.OpReceive) }

// arm starts a stream. There is no recv on speculation: a new socket's
// readiness comes with the next epoll_wait, a known one's is remembered.
func (e *Epoll) arm(fd int, t ring.Token, op ring.Op) {
	s := e.sockets.get(fd)
	if !e.begin(&s.in, t, op) {
		return
	}
	if s.ready&registered == 0 {
		if errno := e.register(s, op); errno != 0 {
			s.in.end(errno)
			e.done.push(s)
			return
		}
		if op == ring.OpAccept {
			// Of a socket that does not listen epoll tells nothing, but
			// accept4 does.
			s.ready |= readable
		}
	}
	if s.ready&readable != 0 {
		e.ready.push(s)
	}
}

// Send implements ring.Driver.
func (e *Epoll) Send(fd int, t ring.Token, p []byte) {
	s := e.sockets.get(fd)
	if e.begin(&s.out, t, ring.OpSend) {
		s.rest, s.sent = p, 0
		e.send(s)
	}
}

// Socket implements ring.Driver.
func (e *Epoll) Socket(domain int) (int, error) {
	e.enters++
	fd, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err == nil {
		e.sockets.renew(fd)
	}
	return fd, err
}

// Connect implements ring.Driver.
func (e *Epoll) Connect(fd int, t ring.Token, addr []byte) {
	s := e.sockets.get(fd)
	if e.begin(&s.out, t, ring.OpConnect) {
		s.rest, s.sent = addr, 0
		e.connect(s)
	}
}

// connect begins a connect, and after an edge asks what has become of it:
// connect(2) tells both.
func (e *Epoll) connect(s *socket) {
	e.enters++
	_, _, errno := unix.RawSyscall(unix.SYS_CONNECT, uintptr(s.fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(s.rest))), uintptr(len(s.rest)))
	if errno == unix.EINPROGRESS || errno == unix.EALREADY {
		s.ready &^= writable
		if s.ready&registered != 0 {
			return
		}
		if errno = e.register(s, ring.OpConnect); errno == 0 {
			return
		}
	}
	s.out.end(errno)
	e.done.push(s)
}

// Writable implements ring.WriteWaiter. What the edges have told does not count:
// others than this driver have sent, so that there may be no room since, or room
// of which no edge tells because nobody was refused. To modify what is registered
// makes epoll look again: it tells of room, or has TCP tell once there is some.
func (e *Epoll) Writable(fd int, t ring.Token) {
	s := e.sockets.get(fd)
	if !e.begin(&s.out, t, ring.OpWritable) {
		return
	}
	s.rest, s.sent = nil, 0
	var errno syscall.Errno
	if s.ready&registered == 0 {
		errno = e.register(s, ring.OpWritable)
	} else {
		s.ready &^= writable
		errno = e.control(unix.EPOLL_CTL_MOD, int(s.fd), s.generation, connInterest)
	}
	if errno != 0 {
		s.out.end(errno)
		e.done.push(s)
	}
}

// begin starts an operation. A second one beside it is against the contract;
// it is refused, and with it most likely its connection, before bytes of the
// two get mixed up.
func (e *Epoll) begin(o *operation, t ring.Token, op ring.Op) bool {
	e.submitted++
	if o.phase != idle {
		e.refused = append(e.refused, ring.Event{Token: t, Op: op, Err: unix.EALREADY})
		return false
	}
	o.token, o.op, o.phase, o.err = t, op, armed, 0
	return true
}

// register makes a socket known to epoll, which reports what is ready already
// as an event of the next epoll_wait.
func (e *Epoll) register(s *socket, op ring.Op) syscall.Errno {
	interest := uint32(connInterest)
	if op == ring.OpAccept {
		interest = listenInterest
		e.enters += 2
		if err := unix.SetNonblock(int(s.fd), true); err != nil { // accept4 has no MSG_DONTWAIT
			return errnoOf(err)
		}
	}
	if errno := e.control(unix.EPOLL_CTL_ADD, int(s.fd), s.generation, interest); errno != 0 {
		return errno
	}
	s.ready |= registered
	return 0
}

// Cancel implements ring.Driver.
func (e *Epoll) Cancel(fd int, t ring.Token, op ring.Op) {
	s := e.sockets.find(fd)
	if s == nil {
		return
	}
	o := &s.in
	if op == ring.OpSend || op == ring.OpConnect || op == ring.OpWritable {
		o = &s.out
	}
	if o.phase == armed && o.token == t && o.op == op {
		e.submitted++
		o.end(unix.ECANCELED)
		e.done.push(s)
	}
}

// Close implements ring.Driver. epoll forgets a closed socket by itself.
func (e *Epoll) Close(fd int) {
	s := e.sockets.get(fd)
	s.forget()
	e.enters++
	_ = unix.Close(int(s.fd)) // frees the descriptor whatever it returns, see close(2)
}

// Detach implements ring.Driver.
func (e *Epoll) Detach(fd int) error {
	s := e.sockets.get(fd)
	known := s.ready&registered != 0
	s.forget()
	if known {
		if errno := e.control(unix.EPOLL_CTL_DEL, fd, 0, 0); errno != 0 {
			return fmt.Errorf("epoll_ctl: detach socket %d: %w", fd, errno)
		}
	}
	e.enters += 2
	if err := unix.SetNonblock(int(s.fd), true); err != nil {
		return fmt.Errorf("fcntl: detach socket %d: %w", fd, err)
	}
	return nil
}

// Release implements ring.Driver.
func (e *Epoll) Release(id ring.BufferID) { e.buffers.put(id) }

// Next implements ring.Driver. What has ended comes first: it costs no system
// call, and it may give back a buffer, which the next recv finds in the cache.
func (e *Epoll) Next(ev *ring.Event) bool {
	for {
		if s := e.done.pop(); s != nil {
			if e.report(s, ev) {
				e.completed++
				return true
			}
		} else if s := e.ready.pop(); s != nil {
			if e.serve(s, ev) {
				e.completed++
				return true
			}
		} else if len(e.refused) > 0 {
			*ev = e.refused[0]
			e.refused = e.refused[1:]
			e.completed++
			return true
		} else {
			return false
		}
	}
}

// report returns the last completion of an ended operation.
func (e *Epoll) report(s *socket, ev *ring.Event) bool {
	switch {
	case s.out.phase == ended:
		s.out.phase = idle
		s.rest = nil
		*ev = ring.Event{Token: s.out.token, Op: s.out.op, N: s.sent, Err: s.out.err}
		if s.sent > 0 {
			ev.Err = 0 // as io_uring has it: the next send fails then
		}
		if s.in.phase == ended {
			e.done.push(s)
		}
	case s.in.phase == ended:
		endStream(s, ev, s.in.err)
	default:
		return false // closed since
	}
	return true
}

// serve makes one system call for a ready socket in each direction, and
// returns what came in. A send that is complete comes by way of done.
func (e *Epoll) serve(s *socket, ev *ring.Event) bool {
	if s.canSend() {
		switch s.out.op {
		case ring.OpConnect:
			e.connect(s)
		case ring.OpWritable:
			s.out.end(0)
			e.done.push(s)
		default:
			e.send(s)
		}
	}
	if !s.canReceive() {
		return false
	}
	if s.in.op == ring.OpAccept {
		return e.accept(s, ev)
	}
	return e.receive(s, ev)
}

func (e *Epoll) receive(s *socket, ev *ring.Event) bool {
	id, buf := e.buffers.take()
	if id == ring.NoBuffer {
		endStream(s, ev, unix.ENOBUFS) // still readable: arming again goes on
		return true
	}
	e.enters++
	r, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(s.fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(buf))), uintptr(len(buf)), unix.MSG_DONTWAIT, 0, 0)
	n, errno := result(r, errno)
	if n > 0 {
		if n < len(buf) && s.ready&unbounded == 0 {
			s.ready &^= readable
		} else {
			e.ready.push(s)
		}
		*ev = ring.Event{Token: s.in.token, Op: ring.OpReceive, More: true, N: n, Data: buf[:n], Buffer: id}
		return true
	}
	e.buffers.put(id)
	switch errno {
	case unix.EAGAIN:
		s.ready &^= readable | unbounded
		return false
	case unix.EINTR:
		e.ready.push(s)
		return false
	}
	endStream(s, ev, errno) // 0: the peer has closed its side
	return true
}

func (e *Epoll) accept(s *socket, ev *ring.Event) bool {
	e.enters++
	r, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(s.fd), 0, 0, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	n, errno := result(r, errno)
	switch errno {
	case 0:
		e.sockets.renew(n)
		e.ready.push(s)
		*ev = ring.Event{Token: s.in.token, Op: ring.OpAccept, More: true, N: n}
		return true
	case unix.EAGAIN:
		s.ready &^= readable
		return false
	case unix.EINTR, unix.ECONNABORTED, unix.ENETDOWN, unix.EPROTO, unix.ENOPROTOOPT,
		unix.EHOSTDOWN, unix.ENONET, unix.EHOSTUNREACH, unix.ENETUNREACH:
		// Of that one connection, see accept(2): the next one may be well.
		e.ready.push(s)
		return false
	}
	endStream(s, ev, errno) // still readable: arming again tries again
	return true
}

func endStream(s *socket, ev *ring.Event, errno syscall.Errno) {
	s.in.phase = idle
	*ev = ring.Event{Token: s.in.token, Op: s.in.op, Err: errno}
}

// send gives the kernel what it takes of s.rest. What it does not take waits
// for the next edge: a call that took less than all has asked for one.
func (e *Epoll) send(s *socket) {
	p := s.rest
	e.enters++
	call := unix.RawSyscall6
	if len(p) >= longSend {
		call = unix.Syscall6
	}
	r, _, errno := call(unix.SYS_SENDTO, uintptr(s.fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))),
		uintptr(len(p)), unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, 0, 0)
	n, errno := result(r, errno)
	s.sent += n
	s.rest = p[n:]
	switch {
	case errno == unix.EINTR:
		s.ready |= writable
		e.ready.push(s)
		return
	case errno == 0 && n == len(p):
		s.out.end(0)
		e.done.push(s)
		return
	case errno == 0 || errno == unix.EAGAIN:
		s.ready &^= writable
		if s.ready&registered != 0 {
			return
		}
		if errno = e.register(s, ring.OpSend); errno == 0 {
			return
		}
	}
	s.out.end(errno)
	e.done.push(s)
}

// errnoOf unwraps what golang.org/x/sys returns.
func errnoOf(err error) syscall.Errno {
	if errno, ok := err.(syscall.Errno); ok {
		return errno
	}
	return unix.EINVAL
}
