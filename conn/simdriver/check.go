//go:build linux

package simdriver

import (
	"errors"
	"fmt"
	"hash/maphash"
	"syscall"

	"github.com/ringcore/ringcore/ring"
)

var errBroken = errors.New("simdriver: Wait fails, as it was asked to")

const (
	// maxSpin is how often in a row Wait may be called with nothing having
	// happened and no time to speak of having passed.
	maxSpin = 50
	// maxIdle is the same with time having passed: timers and retries.
	maxIdle = 20_000
	aMoment = 20_000 // ns
)

// checkWait is the beginning of every Wait.
func (d *Driver) checkWait() error {
	d.checkAlive("Wait")
	d.waits++
	if d.failed() {
		return errBroken
	}
	if d.waits > d.opts.MaxWaits {
		d.violate("more than %d calls of Wait", d.opts.MaxWaits)
	}
	d.idle++
	d.spin++
	if d.news {
		d.idle, d.spin = 0, 0
	} else if d.now-d.waitedAt > aMoment {
		d.spin = 0
	}
	d.news, d.waitedAt = false, d.now
	if d.spin > maxSpin {
		d.violate("spins: %d calls of Wait with nothing to do", d.spin)
	}
	if d.idle > maxIdle {
		d.violate("polls: %d calls of Wait with nothing to do", d.idle)
	}
	return d.Violation()
}

func (d *Driver) checkAlive(command string) {
	if d.over {
		d.violate("%s after Destroy", command)
	}
}

// find returns the open socket fd.
func (d *Driver) find(fd int, command string) *socket {
	if i := fd - FirstFD; i >= 0 && i < len(d.sockets) && d.sockets[i] != nil {
		return d.sockets[i]
	}
	d.violate("%s on descriptor %d, which is not open", command, fd)
	return nil
}

func (d *Driver) checkConnected(s *socket, command string) {
	if s.end == nil || s.send != nil && s.send.op == ring.OpConnect {
		d.violate("%s on descriptor %d, which is not connected", command, s.fd)
	}
}

// checkQuiet: nothing may be in flight on s.
func (d *Driver) checkQuiet(s *socket, command string) bool {
	if s.recv != nil || s.send != nil {
		d.violate("%s on descriptor %d with a receive (%v) or a send (%v) in flight", command, s.fd, s.recv != nil, s.send != nil)
		return false
	}
	return true
}

// checkToken: all operations on a socket are one owner's.
func (d *Driver) checkToken(s *socket, t ring.Token, command string) {
	if s.hasToken && s.token != t {
		d.violate("%s on descriptor %d for %x, which belongs to %x", command, s.fd, t, s.token)
	}
	s.token, s.hasToken = t, true
}

func (d *Driver) checksum(p []byte) uint64 { return maphash.Bytes(d.hash, p) }

// taken follows a completion's way out.
func (d *Driver) taken(c *completion) {
	if c.Buffer != ring.NoBuffer {
		d.buffers.state[c.Buffer-1] = withReceiver
	}
	o := c.of
	if o == nil {
		return
	}
	if o.data != nil && d.checksum(o.data) != o.sum {
		d.violate("the %d bytes of a %v of slot %d were changed before its completion", len(o.data), o.op, c.Token.Slot())
	}
	if c.More {
		return
	}
	switch o.op {
	case ring.OpOpen, ring.OpStat, ring.OpRead:
		delete(d.fileOps, fileKey{o.token, o.op})
	case ring.OpReceive:
		o.socket.recv = nil
	case ring.OpSend, ring.OpSendFile, ring.OpConnect:
		o.socket.send = nil
	case ring.OpAccept:
		ln := o.listener
		ln.accept = nil
		switch c.Err {
		case syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ENOBUFS:
			ln.shortage, ln.at = true, d.now
		}
	}
}

// checkEnd: at Destroy nothing may be left.
func (d *Driver) checkEnd() {
	if n := d.OpenSockets(); n > 0 {
		d.violate("%d sockets were never closed", n)
	}
	for _, ln := range d.listeners {
		if ln.fd >= 0 {
			d.violate("listener %d was never closed", ln.fd)
		}
	}
	if n := len(d.open); n > 0 && len(d.fileOps) == 0 {
		d.violate("%d files were never closed", n)
	}
	if n := d.buffers.count(withReceiver); n > 0 {
		d.violate("%d receive buffers were never released", n)
	}
}

// OpenSockets returns how many sockets that do not listen have not been closed.
func (d *Driver) OpenSockets() int {
	n := 0
	for _, s := range d.sockets {
		if s != nil {
			n++
		}
	}
	return n
}

// String says what this world is like.
func (d *Driver) String() string {
	return fmt.Sprintf("seed %d: %d buffers of %d bytes, multishot %v, %+v",
		d.seed, len(d.buffers.mem), d.buffers.size, d.multishot, d.faults)
}
