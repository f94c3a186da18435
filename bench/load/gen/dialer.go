//go:build linux

package gen

import (
	"errors"
	"net"
	"net/netip"
	"syscall"

	"github.com/ringcore/ringcore/conn"
)

// dialer makes a worker's connections: a bounded number at once.
type dialer struct {
	w       *worker
	active  int       // attempts under way
	up      int       // connections
	waiting []*client // for their turn, oldest first
	resting []*client // whose attempt failed: they try again with the next tick
	failing int64     // when attempts began to fail, 0: the last one did not
	reason  error     // of the last failure
	best    int       // the most connections there were while joining
	bestAt  int64     // … and since when, 0: not known yet
}

// want has a client connected.
func (d *dialer) want(cl *client) {
	if cl.state != down {
		return
	}
	cl.state = queued
	d.waiting = append(d.waiting, cl)
	d.next()
}

// next begins attempts as long as there is room for them.
func (d *dialer) next() {
	n := 0
	for ; n < len(d.waiting) && d.active < d.w.cfg.Connecting; n++ {
		cl := d.waiting[n]
		cl.state = connecting
		d.active++
		ref := d.w.loop.ConnectFrom(cl.local, d.w.addr, d.w, cl.failed)
		if c := ref.Conn(); c != nil {
			c.State = cl
			c.SetTimeout(conn.WriteTimer, d.w.cfg.Timeout)
		}
	}
	if d.waiting = d.waiting[n:]; len(d.waiting) == 0 {
		d.waiting = nil
		if d.active == 0 {
			d.w.settled()
		}
	}
}

func (d *dialer) opened() {
	d.active--
	d.up++
	d.failing = 0
	d.next()
}

// failed takes the failure of an attempt.
func (d *dialer) failed(cl *client, err error) {
	w := d.w
	d.active--
	why := errConnect
	if errors.Is(err, syscall.ECONNREFUSED) {
		why = errRefused
	}
	if !errors.Is(err, conn.ErrShutdown) {
		w.count.errors[why] += int64(max(cl.due, 1))
	}
	cl.drop(cl.due)
	cl.reset()
	if d.reason = err; d.failing == 0 {
		d.failing = w.loop.Now()
	}
	if w.phase < finishing {
		d.resting = append(d.resting, cl)
	}
	d.next()
}

// retry lets some of those try again whose attempt has failed.
func (d *dialer) retry() {
	n := min(len(d.resting), d.w.cfg.Connecting)
	some := d.resting[:n]
	if d.resting = d.resting[n:]; len(d.resting) == 0 {
		d.resting = nil
	}
	for _, cl := range some {
		d.w.replace(cl)
	}
}

// source returns the i'th of n source addresses 127.x.y.z; nil for any.
func source(i, n int) *net.TCPAddr {
	if n <= 1 {
		return nil
	}
	i = i%n + 1 // 127.0.0.0 is nobody's
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, byte(i >> 16), byte(i >> 8), byte(i)}), 0))
}
