//go:build linux

package conn

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/ring"
)

// Connect starts a connection to addr, a *net.TCPAddr or a *net.UnixAddr. To be
// called on the loop's goroutine; any number may be under way at once.
//
// Either h.Opened is called when it is connected, and h is the connection's
// handler for its life; or failed, once, with the reason. Neither happens
// within Connect. The error wraps what the system said (ECONNREFUSED, EMFILE,
// …), os.ErrDeadlineExceeded, what Abort was given, or ErrShutdown (then it is
// in vain to try again).
//
// The connection that is returned cannot be written to before Opened. It has
// State, SetTimeout(WriteTimer, d), which bounds the attempt, and Abort, which
// ends it. Without a timeout the system's holds: about two minutes.
//
// When the engine is shut down, outbound connections go on as long as there are
// accepted ones, which may need them, and are then closed. Drain and TurnEnd are
// for the loop's handler, not for h.
func (l *Loop) Connect(addr net.Addr, h Handler, failed func(error)) Ref {
	return l.ConnectFrom(nil, addr, h, failed)
}

// ConnectFrom is Connect with our own address given, nil for any; with port 0
// the system chooses a port when it knows the peer's (IP_BIND_ADDRESS_NO_PORT,
// ip(7)). More addresses are more ports: one has some 28,000 for a peer.
func (l *Loop) ConnectFrom(local *net.TCPAddr, addr net.Addr, h Handler, failed func(error)) Ref {
	if l.released || l.cut || l.ended.Load() {
		l.refuse(addr, failed, ErrShutdown)
		return Ref{}
	}
	b := l.getBuf(sockaddrMax)
	if b == nil {
		l.refuse(addr, failed, syscall.ENOBUFS)
		return Ref{}
	}
	o := outbound{handler: h, failed: failed, local: local, addr: addr, name: b}
	var err error
	if o.domain, b.w, err = putSockaddr(b.mem, addr); err != nil {
		l.freeBuf(b)
		l.refuse(addr, failed, err)
		return Ref{}
	}
	fd, err := l.socket(&o)
	if err != nil {
		l.freeBuf(b)
		l.refuse(addr, failed, err)
		return Ref{}
	}
	c := l.slots.take(l)
	c.fd, c.state = int32(fd), stateConnecting
	c.own = l.outbounds.add(o)
	c.connect()
	return c.Ref()
}

// refuse tells of a failure that needs no slot, later.
func (l *Loop) refuse(addr net.Addr, failed func(error), err error) {
	l.Post(&Task{Run: func(*Loop) { failed(connectError(addr, err)) }})
}

func connectError(addr net.Addr, err error) error {
	return fmt.Errorf("connect %s %s: %w", addr.Network(), addr, err)
}

// outbound is what a connection that Connect has made has besides its slot.
type outbound struct {
	handler Handler
	failed  func(error)  // nil once it is connected
	local   *net.TCPAddr // nil for any
	addr    net.Addr
	name    *sendBuf // addr as the kernel reads it; nil once it is connected
	domain  int      // AF_INET, …
}

// outbounds is the table of those, by number; 0 is nobody's.
type outbounds struct {
	all   []outbound
	free  []uint32
	count atomic.Int64
}

func (t *outbounds) add(o outbound) (number uint32) {
	t.count.Add(1)
	if n := len(t.free); n > 0 {
		number = t.free[n-1]
		t.free = t.free[:n-1]
		t.all[number-1] = o
		return number
	}
	t.all = append(t.all, o)
	return uint32(len(t.all))
}

func (t *outbounds) at(number uint32) *outbound { return &t.all[number-1] }

func (t *outbounds) remove(number uint32) {
	*t.at(number) = outbound{}
	t.free = append(t.free, number)
	t.count.Add(-1)
}

// handler returns the one that c's events go to.
func (c *Conn) handler() Handler {
	if c.own == 0 {
		return c.loop.handler
	}
	return c.loop.outbounds.at(c.own).handler
}

// Outbound reports whether c was made by Loop.Connect.
func (c *Conn) Outbound() bool { return c.own != 0 }

// Outbound returns the number of connections that Connect has made or is about
// to make; Conns does not count them. It may be called from any goroutine.
func (l *Loop) Outbound() int { return int(l.outbounds.count.Load()) }

// socket makes the socket for o, with the options that an accepted one
// inherits from its listener.
func (l *Loop) socket(o *outbound) (int, error) {
	fd, err := l.driver.Socket(o.domain)
	if err == nil && o.domain != unix.AF_UNIX {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		l.engine.keepAlive(fd)
	}
	if err == nil && o.local != nil {
		if err = bind(fd, o.domain, o.local); err != nil {
			l.driver.Close(fd)
			return -1, err
		}
	}
	return fd, err
}

// bind gives the socket fd its own address.
func bind(fd, domain int, a *net.TCPAddr) error {
	if a.Port == 0 {
		_ = unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	}
	ip, err := a.AddrPort().Addr().Unmap(), error(syscall.EAFNOSUPPORT)
	switch {
	case domain == unix.AF_INET && ip.Is4():
		err = unix.Bind(fd, &unix.SockaddrInet4{Port: a.Port, Addr: ip.As4()})
	case domain == unix.AF_INET6 && ip.Is6():
		err = unix.Bind(fd, &unix.SockaddrInet6{Port: a.Port, Addr: ip.As16()})
	}
	if err != nil {
		return fmt.Errorf("bind to %v: %w", a, err)
	}
	return nil
}

func (c *Conn) connect() {
	b := c.loop.outbounds.at(c.own).name
	c.sending = true // a connect has the place of a send
	c.loop.driver.Connect(int(c.fd), c.token(), b.mem[:b.w])
}

// reconnect is another attempt, with a new socket: the old one may be
// connecting still.
func (c *Conn) reconnect() {
	l := c.loop
	l.driver.Close(int(c.fd))
	fd, err := l.socket(l.outbounds.at(c.own))
	if c.fd = int32(fd); err != nil {
		c.fd = -1
		c.finish(err)
		return
	}
	c.connect()
}

// connectRetry is how long to wait for a place in the backlog of a unix socket.
const connectRetry = 5 * time.Millisecond

// onConnect handles the completion of a connect.
func (l *Loop) onConnect(c *Conn, ev *ring.Event) {
	c.sending = false
	if c.state == stateJoining {
		c.join()
		return
	}
	o := l.outbounds.at(c.own)
	switch ev.Err {
	case 0:
		if o.domain != unix.AF_UNIX && c.toItself(o.addr) {
			c.finish(syscall.ECONNREFUSED)
			return
		}
	case syscall.ECANCELED: // the loop has moved
		c.reconnect()
		return
	case syscall.EAGAIN, syscall.EINTR:
		c.setTimeout(ReadTimer, connectRetry)
		return
	default:
		c.finish(ev.Err)
		return
	}
	l.freeBuf(o.name)
	o.name, o.failed = nil, nil
	for t := range c.timer {
		c.timer[t].remove()
	}
	c.state = stateOpen
	o.handler.Opened(c)
	c.arm()
}

// toItself reports whether a TCP socket has met itself: where nobody listens,
// the system may choose for its own end just the port that it connects to, and
// takes that for a simultaneous open (RFC 9293, 3.5).
func (c *Conn) toItself(to net.Addr) bool {
	const least = 1024 // the system chooses no lower port
	a, ok := to.(*net.TCPAddr)
	if !ok || a.Port < least {
		return false
	}
	local := c.LocalAddr()
	return int(local.Port()) == a.Port && local == c.RemoteAddr()
}

// expireConnect follows a timer's end while connecting.
func (c *Conn) expireConnect(which Timer) {
	if which == ReadTimer {
		c.reconnect()
		return
	}
	c.finish(os.ErrDeadlineExceeded)
}

// buryOutbound tells the owner that c will not be, or is no more.
func (l *Loop) buryOutbound(c *Conn) {
	o := *l.outbounds.at(c.own)
	if o.failed == nil {
		o.handler.Closed(c, c.err)
		return
	}
	l.freeBuf(o.name)
	l.outbounds.at(c.own).name = nil
	o.failed(connectError(o.addr, c.closeError()))
}

// accepted reports whether connections are left that outbound ones may serve.
func (e *Engine) accepted() bool { return e.Conns() > 0 || e.holds.Load() > 0 }

// Hold keeps the outbound connections during a shutdown, as an accepted one
// would, until release is called, once: for those who use them without having
// accepted a connection here.
func (e *Engine) Hold() (release func()) {
	e.holds.Add(1)
	return func() {
		e.holds.Add(-1)
		e.loops[0].Post(&Task{Run: (*Loop).releaseAll})
	}
}

// release ends the outbound connections, and thereby the loop.
func (l *Loop) release() {
	l.released = true
	if l.ended.Load() {
		return
	}
	l.forAll(func(c *Conn) {
		switch {
		case c.own == 0:
		case c.state == stateConnecting:
			c.finish(ErrShutdown)
		default:
			c.Close()
		}
	})
}

// gone counts an accepted connection out. With the last one of an engine that
// is shut down, all loops end.
func (l *Loop) gone() {
	l.conns.Add(-1)
	l.releaseAll()
}

func (l *Loop) releaseAll() {
	e := l.engine
	if l.draining && !e.accepted() && e.released.CompareAndSwap(false, true) {
		for _, l := range e.loops {
			l.Post(&Task{Run: (*Loop).release})
		}
	}
}

var errNoHandler = errors.New("conn: to accept connections Options.Handler is required")

// noHandler is the handler of a loop that only connects.
type noHandler struct{}

func (noHandler) Opened(c *Conn)             { c.Abort(errNoHandler) }
func (noHandler) Data(_ *Conn, p []byte) int { return len(p) }
func (noHandler) EOF(*Conn)                  {}
func (noHandler) Drained(*Conn)              {}
func (noHandler) TimedOut(*Conn, Timer)      {}
func (noHandler) Closed(*Conn, error)        {}
