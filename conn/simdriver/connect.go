//go:build linux

package simdriver

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/ring"
)

// Reply is what becomes of a connect: Err, or the connection to End. With
// neither there is no answer.
type Reply struct {
	Err syscall.Errno
	// End must be new. Opened (nil: nobody) is called when it is connected.
	End    *End
	Opened func()
}

// Socket implements ring.Driver.
func (d *Driver) Socket(int) (int, error) {
	d.news = true
	d.checkAlive("Socket")
	if d.chance(d.faults.socket) {
		return -1, unix.EMFILE
	}
	s := &socket{d: d, fd: -1, starved: -1}
	d.number(s)
	return s.fd, nil
}

// Connect implements ring.Driver.
func (d *Driver) Connect(fd int, t ring.Token, addr []byte) {
	d.checkAlive("Connect")
	s := d.find(fd, "Connect")
	if s == nil {
		return
	}
	d.checkToken(s, t, "Connect")
	if s.send != nil || s.end != nil || s.failed {
		d.violate("a connect on descriptor %d, which has been used before", fd)
		return
	}
	o := &operation{token: t, op: ring.OpConnect, socket: s, data: addr, sum: d.checksum(addr)}
	s.send = o
	d.tracef("connect on %d", fd)
	d.command(func() {
		o.kernel, d.started = true, true
		d.After(0, func() { d.reach(o) })
	})
}

var connectErrors = []syscall.Errno{syscall.EAGAIN, syscall.EINTR, syscall.ECANCELED,
	syscall.ECONNREFUSED, syscall.EADDRNOTAVAIL}

// reach has the connect o meet its peer, unless it was cancelled.
func (d *Driver) reach(o *operation) {
	switch {
	case !o.kernel:
		return
	case d.chance(d.faults.connect):
		d.refused(o, connectErrors[d.rng.IntN(len(connectErrors))])
		return
	case d.Answer == nil:
		d.refused(o, syscall.ECONNREFUSED)
		return
	}
	switch r := d.Answer(o.data); {
	case r.Err != 0:
		d.refused(o, r.Err)
	case r.End != nil:
		d.join(r.End, o.socket)
		d.complete(o, ring.Event{})
		if r.Opened != nil {
			r.Opened()
		}
	}
}

func (d *Driver) refused(o *operation, errno syscall.Errno) {
	o.socket.failed = true
	d.complete(o, ring.Event{Err: errno})
}

// join makes e the peer of s.
func (d *Driver) join(e *End, s *socket) {
	e.d = d
	if e.Room == 0 {
		e.Room = []int{10, 500, 4 << 10, 256 << 10}[d.rng.IntN(4)]
	}
	e.s, s.end, s.outRoom = s, e, e.Room
}
