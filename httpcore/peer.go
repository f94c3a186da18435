//go:build linux

package httpcore

import (
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringcore/ringcore/conn"
)

// peer is the net.Conn that a handler sees: it tells the addresses and lets
// EarlyHints write. It owns no socket: that belongs to the loop. Reading from
// it would take the next request's bytes, so it is refused; for a connection
// of one's own there is RequestCtx.Hijack, after which it is that connection.
type peer struct {
	x             *exchange
	nc            net.Conn       // what there is instead of a socket, in the slow lane
	remote, local netip.AddrPort // invalid: a unix socket

	hinted atomic.Bool // there may be something in early
	mu     sync.Mutex  // a handler that has timed out may still write
	early  []byte      // informational responses, to be sent before the response
	given  *handover   // of a connection that is hijacked
}

func (p *peer) reset() {
	if p.hinted.Load() {
		p.early = nil
		p.hinted.Store(false)
	}
}

var errPeer = errors.New("httpcore: the connection belongs to the loop; use RequestCtx.Hijack to get one of your own")

func (p *peer) Read(b []byte) (int, error) {
	if h := p.handover(); h != nil {
		return h.Read(b)
	}
	return 0, errPeer
}

func (p *peer) Close() error {
	if h := p.handover(); h != nil {
		return h.Close()
	}
	return errPeer
}

// Write sends b ahead of the response: what RequestCtx.EarlyHints writes. With
// Inline dispatch it leaves together with the response.
func (p *peer) Write(b []byte) (int, error) {
	if h := p.handover(); h != nil {
		return h.Write(b)
	}
	x := p.x
	p.mu.Lock()
	for _, c := range b {
		if octets[c]&octField == 0 && c != '\r' && c != '\n' {
			c = ' ' // as in sanitizeHead; fasthttp lets no line end of a value through
		}
		p.early = append(p.early, c)
	}
	p.mu.Unlock()
	p.hinted.Store(true)
	if x.p.pool != nil {
		// The loop comes to this before it comes to the end of the handler.
		x.ref.Loop().Post(&conn.Task{Run: func(*conn.Loop) {
			if c := x.ref.Conn(); c != nil && !x.begun {
				c.State.(*session).sendEarly(x)
			}
		}})
	}
	return len(b), nil
}

func (p *peer) RemoteAddr() net.Addr {
	if p.nc != nil {
		return p.nc.RemoteAddr()
	}
	return netAddr(p.remote)
}

func (p *peer) LocalAddr() net.Addr {
	if p.nc != nil {
		return p.nc.LocalAddr()
	}
	return netAddr(p.local)
}

// SetDeadline is SetReadDeadline and SetWriteDeadline.
func (p *peer) SetDeadline(t time.Time) error {
	if h := p.handover(); h != nil {
		return h.setDeadline(t, true, true)
	}
	_ = p.SetReadDeadline(t)
	return p.SetWriteDeadline(t)
}

// SetReadDeadline bounds what is still to come of the request's body
// (StreamRequestBody); the next request has the server's timeouts again.
func (p *peer) SetReadDeadline(t time.Time) error {
	if h := p.handover(); h != nil {
		return h.setDeadline(t, true, false)
	}
	d, x := untilDeadline(t), p.x
	ref, number := x.ref, x.ctx.ConnRequestNum()
	ref.Loop().Post(&conn.Task{Run: func(*conn.Loop) {
		c := ref.Conn()
		if c == nil || c.Closing() {
			return
		}
		if s := c.State.(*session); s.reading == x && s.requests == number { // not yet the next one's
			s.timing = timingBody
			c.SetTimeout(conn.ReadTimer, d)
		}
	}})
	return nil
}

// SetWriteDeadline bounds the sending of the response, from when it begins: in
// pieces, as with WriteTimeout, if it is a stream. To be called by the handler.
func (p *peer) SetWriteDeadline(t time.Time) error {
	if h := p.handover(); h != nil {
		return h.setDeadline(t, false, true)
	}
	p.x.limits.write = untilDeadline(t)
	return nil
}

// untilDeadline returns the time left, at least a nanosecond; 0: no deadline.
func untilDeadline(t time.Time) time.Duration {
	if t.IsZero() {
		return 0
	}
	return max(time.Until(t), 1)
}

var unixAddr = &net.UnixAddr{Net: "unix"}

func netAddr(a netip.AddrPort) net.Addr {
	if !a.IsValid() {
		return unixAddr
	}
	return net.TCPAddrFromAddrPort(a)
}

// tlsPeer is the peer of a request that came over TLS: RequestCtx.IsTLS and
// TLSConnectionState find the connection by these methods.
type tlsPeer struct {
	*peer
	tc tlsConn
}

func (p tlsPeer) Handshake() error                     { return p.tc.Handshake() }
func (p tlsPeer) ConnectionState() tls.ConnectionState { return p.tc.ConnectionState() }
