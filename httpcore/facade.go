//go:build linux

package httpcore

import (
	"net"
	"net/netip"
	"time"

	"github.com/valyala/fasthttp"
)

// facade is the net.Conn that Server.ConnState sees: the same one for the life
// of a connection. It tells the addresses; the connection itself is the loop's.
type facade struct {
	nc            net.Conn // the real one in the slow lane, else nil
	remote, local netip.AddrPort
}

func (f *facade) Read([]byte) (int, error)         { return 0, errPeer }
func (f *facade) Write([]byte) (int, error)        { return 0, errPeer }
func (f *facade) Close() error                     { return errPeer }
func (f *facade) SetDeadline(time.Time) error      { return errPeer }
func (f *facade) SetReadDeadline(time.Time) error  { return errPeer }
func (f *facade) SetWriteDeadline(time.Time) error { return errPeer }

func (f *facade) RemoteAddr() net.Addr {
	if f.nc != nil {
		return f.nc.RemoteAddr()
	}
	return netAddr(f.remote)
}

func (f *facade) LocalAddr() net.Addr {
	if f.nc != nil {
		return f.nc.LocalAddr()
	}
	return netAddr(f.local)
}

// activate tells ConnState that a request has begun to arrive, once.
func (s *session) activate() {
	if s.facade != nil && !s.active {
		s.active = true
		s.setState(fasthttp.StateActive)
	}
}

// setState calls Server.ConnState. Connections that were never admitted have
// no states.
func (s *session) setState(state fasthttp.ConnState) {
	if s.facade != nil && s.counted {
		s.p.cfg.fs.ConnState(s.facade, state)
	}
}
