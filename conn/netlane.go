//go:build linux

package conn

import (
	"net"

	"github.com/ringcore/ringcore/fallback/gonet"
	"github.com/ringcore/ringcore/ring"
)

// netDriver is a driver whose connections are net.Conns.
type netDriver interface {
	Adopt(nc net.Conn) (fd int)
	AdoptListener(ln net.Listener) (fd int)
	NetConn(fd int) net.Conn
}

// StartNet is Start for connections that are no sockets of the kernel's: TLS,
// or what a listener of any other kind accepts. It is the slow lane: each
// connection that is being received from has a goroutine. Options.Driver and
// MaxTier are ignored.
func StartNet(o Options) (*Engine, error) {
	o.OpenDriver = func(c ring.Config) (ring.Driver, error) { return gonet.Open(c) }
	o.unlocked = true
	return Start(o)
}

// ListenNet accepts from any listener; the Engine must come from StartNet. ln
// is the Engine's from now on.
func (e *Engine) ListenNet(ln net.Listener) {
	e.acceptor.loop.Post(&Task{Run: func(l *Loop) {
		if l.ended.Load() || e.acceptor.stopped {
			_ = ln.Close()
			return
		}
		e.acceptor.add(l.nets.AdoptListener(ln), func() {})
	}})
}

// ServeNet serves one connection that was made elsewhere; the Engine must come
// from StartNet. nc is the Engine's from now on.
func (e *Engine) ServeNet(nc net.Conn) {
	e.acceptor.loop.Post(&Task{Run: func(l *Loop) {
		if l.ended.Load() || e.acceptor.stopped {
			_ = nc.Close()
			return
		}
		e.acceptor.place(l.nets.Adopt(nc))
	}})
}

// NetConn returns the net.Conn that c is made of, nil when it is a socket. It
// is for asking about it (addresses, TLS state): reading and writing are the
// loop's.
func (c *Conn) NetConn() net.Conn {
	if c.loop.nets == nil {
		return nil
	}
	return c.loop.nets.NetConn(int(c.fd))
}
