//go:build linux

package simdriver

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/ring"
)

// listener is a listening socket. The descriptor is a real one, whose
// connections are simulated.
type listener struct {
	fd       int
	accept   *operation
	shortage bool  // the last accept ended for want of descriptors or memory
	at       int64 // … when
	closes   int   // … and after so many calls of Close
}

// Accept implements ring.Driver.
func (d *Driver) Accept(fd int, t ring.Token) {
	d.checkAlive("Accept")
	ln := d.listener(fd)
	if ln.accept != nil {
		d.violate("a second accept on listener %d", fd)
		return
	}
	if ln.shortage && d.now-ln.at < int64(time.Millisecond) && d.closes == ln.closes {
		d.violate("listener %d was armed again at once although descriptors or memory had run out", fd)
	}
	ln.shortage = false
	o := &operation{token: t, op: ring.OpAccept, listener: ln}
	ln.accept = o
	d.tracef("accept on %d", fd)
	d.command(func() {
		o.kernel, d.started = true, true
		d.accept()
	})
}

// listener returns the open listener fd; a new one if there is none.
func (d *Driver) listener(fd int) *listener {
	for _, ln := range d.listeners {
		if ln.fd == fd {
			return ln
		}
	}
	ln := &listener{fd: fd}
	d.listeners = append(d.listeners, ln)
	return ln
}

var acceptErrors = []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ENOBUFS,
	syscall.EAGAIN, syscall.EINTR, syscall.ECONNABORTED}

// accept gives the armed accepts the connections that wait.
func (d *Driver) accept() {
	for _, ln := range d.listeners {
		for o := ln.accept; o != nil && o.kernel && len(d.backlog) > 0; {
			if d.chance(d.faults.accept) {
				ln.closes = d.closes
				d.complete(o, ring.Event{Err: acceptErrors[d.rng.IntN(len(acceptErrors))]})
				break
			}
			s := d.backlog[0]
			d.backlog = d.backlog[1:]
			d.number(s)
			d.complete(o, ring.Event{N: s.fd, More: d.multishot && !d.chance(d.faults.endEarly)})
		}
	}
}

// number gives s the lowest free descriptor, as POSIX has it.
func (d *Driver) number(s *socket) {
	for i, other := range d.sockets {
		if other == nil {
			d.sockets[i], s.fd = s, FirstFD+i
			return
		}
	}
	s.fd = FirstFD + len(d.sockets)
	d.sockets = append(d.sockets, s)
}

func (d *Driver) cancelAccept(fd int, t ring.Token) {
	for _, ln := range d.listeners {
		if ln.fd == fd && ln.accept != nil && ln.accept.token == t {
			d.cancel(ln.accept)
		}
	}
}

func (d *Driver) closeListener(fd int) {
	ln := d.listener(fd)
	if ln.accept != nil {
		d.violate("Close on listener %d with an accept in flight", fd)
		return
	}
	d.tracef("close listener %d", fd)
	_ = unix.Close(fd)
	ln.fd = -1
	d.refuse = true
	for _, s := range d.backlog {
		s.close()
		s.end.resetByServer()
	}
	d.backlog = nil
}
