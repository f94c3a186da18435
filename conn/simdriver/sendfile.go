//go:build linux

package simdriver

import (
	"syscall"

	"github.com/ringcore/ringcore/ring"
)

var _ ring.FileSender = (*Driver)(nil)

// SendFile implements ring.FileSender.
func (d *Driver) SendFile(fd int, t ring.Token, file int, offset, n int64, _ bool) {
	d.checkAlive("SendFile")
	s := d.find(fd, "SendFile")
	if s == nil {
		return
	}
	d.checkToken(s, t, "SendFile")
	d.checkConnected(s, "SendFile")
	if s.send != nil {
		d.violate("a second send on descriptor %d", fd)
		return
	}
	if _, open := d.open[file]; !open || n <= 0 || offset < 0 {
		d.violate("a send of %d bytes of file %d from %d, open %v", n, file, offset, open)
		return
	}
	o := &operation{token: t, op: ring.OpSendFile, socket: s, file: file, offset: offset, left: n, disk: true}
	s.send = o
	d.tracef("send of %d bytes of file %d on %d", n, file, fd)
	d.command(func() {
		o.kernel = true
		at := d.now
		if d.chance(d.faults.late) {
			at += d.delay()
		}
		d.at(at, func() {
			o.disk = false
			if o.kernel { // else cancelled
				s.transmitFile(o)
			}
		})
	})
}

// fileErrors are what may become of a SendFile whatever the file and the peer do.
var (
	fileErrors  = []syscall.Errno{syscall.EINVAL, syscall.EOPNOTSUPP, syscall.ENOSYS, syscall.EPERM, syscall.EIO}
	againErrors = []syscall.Errno{syscall.EAGAIN, syscall.EINTR, syscall.ECANCELED}
)

// transmitFile moves what fits of o to the peer's side, and is done with that.
func (s *socket) transmitFile(o *operation) {
	d := s.d
	content := d.files[d.open[o.file]]
	content = content[min(o.offset, int64(len(content))):]
	n := min(o.left, int64(len(content)), ring.SendFileMax, int64(s.outRoom-len(s.out)))
	switch {
	case o.disk:
	case s.shutWrite || s.end.gone:
		d.complete(o, ring.Event{Err: syscall.EPIPE})
	case d.chance(d.faults.unsendable):
		d.complete(o, ring.Event{Err: fileErrors[d.rng.IntN(len(fileErrors))]})
	case d.chance(d.faults.again):
		d.complete(o, ring.Event{Err: againErrors[d.rng.IntN(len(againErrors))]})
	case len(content) == 0:
		d.complete(o, ring.Event{})
	case n > 0:
		if d.chance(d.faults.shortSend) {
			n = int64(d.part(int(n)))
		}
		s.out = append(s.out, content[:n]...)
		s.end.readSoon()
		d.complete(o, ring.Event{N: int(n)})
	}
}
